import pytest

from tests.tracker.measure.toy import ToyProject


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """An empty toy project; asv's own files go to a home of the test's."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    for name in ("PACEKEEPER_DB", "PACEKEEPER_ARTIFACTS", "PACEKEEPER_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    project = ToyProject(tmp_path / "toy")
    monkeypatch.chdir(project.root)
    return project
