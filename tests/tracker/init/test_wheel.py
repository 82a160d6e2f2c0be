"""The wheel, as an outsider installs it: what it holds, and the first gate in each shape of project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracker.measure.served import COMMAND, SERVER, commit
from tests.tracker.measure.toy import quiet_environment

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel (pacekeeper[dev])")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """The `tracker` of a fresh environment: the wheel, with the dependencies that are here already."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "--quiet", "--no-deps"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # As plain folders, whose own .pth files do not count: one may bring the checkout along.
    present = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "present.pth").write_text("".join(f"{path}\n" for path in present))
    return home / "bin" / "tracker"


@pytest.fixture
def home(tmp_path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return quiet_environment(tmp_path / "home") | {
        "PACEKEEPER_MEASURING_LOCK": str(tmp_path / "lock")
    }


def test_the_wheel_is_complete_for_an_outsider(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
    packages = ("tracker", "inference", "dashboard")
    sources = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    templates = {"measure.yml", "gitlab.yml", "pacekeeperGate.groovy"}
    assert {f"tracker/ci/templates/{name}" for name in templates} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    base = {
        re.split(r"[ ;<>=!\[(]", line.partition(": ")[2])[0].lower()
        for line in text.splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    }
    assert {"asv", "asv_runner", "click", "sqlalchemy"} <= {n.replace("-", "_") for n in base}
    assert not {"torch", "triton", "transformers"} & base


def test_the_installed_tracker_is_the_wheels_and_loads_no_torch(installed, home, tmp_path):
    script = (
        "import sys, tracker, tracker.load.suite, tracker.load.http, tracker.cli; "
        "assert 'torch' not in sys.modules; print(tracker.__file__)"
    )
    done = subprocess.run(
        [installed.parent / "python", "-c", script],
        cwd=tmp_path, env=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.parents[1])


class Repository:
    """A repository that is set up and gated with the installed tracker."""

    def __init__(self, root: Path, tracker: Path, environment: dict[str, str]) -> None:
        self.root, self._tracker, self._environment = root, tracker, environment

    def commit(self, files: dict[str, str], subject: str) -> None:
        commit(self.root, files, subject)

    def tracker(self, *args: str) -> tuple[int, str]:
        done = subprocess.run(
            [self._tracker, *args],
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def repository(installed, home, tmp_path) -> Iterator[Repository]:
    yield Repository(tmp_path / "engine", installed, home)


def gates(repository: Repository, same: str, slow: str, broken: str) -> Iterator[tuple[int, str]]:
    """Gates of an unchanged, a slower and a broken commit, each against the one before it."""
    # What the first shows no more pairs would change; a call takes 8 at the least.
    for head, pairs in ((same, "4"), (slow, "12"), (broken, "4")):
        options = ("--max-pairs", pairs, "--fail-fast", "--all")
        yield repository.tracker("gate", f"{head}~1", head, *options)


def test_a_command_is_gated_from_the_first_commit_after_init(repository):
    repository.commit({"bench.py": COMMAND, "delay": "10"}, "a benchmark")
    code, said = repository.tracker("init", "--command", "python3 bench.py {out}", "--yes")
    assert code == 0, said
    repository.commit({}, "set up the tracker")
    repository.commit({}, "change nothing")
    repository.commit({"delay": "12.5"}, "slow down")
    repository.commit({"bench.py": "raise SystemExit('it broke')"}, "break")
    same, slow, broken = gates(repository, "HEAD~2", "HEAD~1", "HEAD")
    assert same[0] == 0 and "csv.decode" in same[1], same[1]
    assert slow[0] == 1 and "REGRESSION: csv.decode" in slow[1], slow[1]
    assert broken[0] == 1 and "BROKEN" in broken[1], broken[1]
    assert "exit code 1: it broke" in broken[1], broken[1]


def test_a_server_is_gated_from_the_first_commit_after_init(repository):
    repository.commit({"serve.py": SERVER, "delay": "0.01"}, "a server")
    code, said = repository.tracker("init", "--server", "python3 serve.py {port}", "--yes")
    assert code == 0, said
    toml = (repository.root / "pacekeeper.toml").read_text()
    assert tomllib.loads(toml)["measure"]["scenarios"]["chat"]["requests"] == 16
    # A load of a second rather than ten: the shape is what is tested.
    small = toml.replace("requests = 16", "requests = 4").replace("output = 16", "output = 6")
    repository.commit({"pacekeeper.toml": small}, "set up the tracker")
    repository.commit({}, "change nothing")
    repository.commit({"delay": "0.03"}, "slow down")
    repository.commit({"serve.py": "raise SystemExit('no such model')"}, "break")
    same, slow, broken = gates(repository, "HEAD~2", "HEAD~1", "HEAD")
    assert same[0] == 0 and "chat.ttft_p50" in same[1], same[1]
    assert slow[0] == 1 and "REGRESSION: " in slow[1], slow[1]
    assert broken[0] == 1 and "BROKEN" in broken[1] and "no such model" in broken[1], broken[1]


@pytest.mark.e2e
def test_a_python_package_is_gated_from_the_first_commit_after_init(repository):
    package = repository.root / "src" / "engine"
    package.mkdir(parents=True)
    repository.commit({"src/engine/__init__.py": "SIZE = 1\n"}, "a package")
    code, said = repository.tracker("init", "--asv", "--yes")
    assert code == 0, said
    repository.commit({}, "set up the tracker")
    slow = "import time\n\ntime.sleep(0.15)\n"
    repository.commit({"src/engine/__init__.py": slow}, "slow down")
    repository.commit({"src/engine/__init__.py": slow + "SIZE = 2\n"}, "change nothing that counts")
    repository.commit({"src/engine/__init__.py": "raise RuntimeError('it broke')\n"}, "break")
    same, slower, broken = gates(repository, "HEAD~1", "HEAD~2", "HEAD")
    assert slower[0] == 1 and "REGRESSION: first.Import" in slower[1], slower[1]
    assert same[0] == 0, same[1]
    assert broken[0] == 1 and "BROKEN" in broken[1], broken[1]


@pytest.mark.e2e
def test_one_pip_install_is_enough(wheel, home, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", str(wheel)],
        env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commit(tmp_path / "engine", {"engine.py": "SIZE = 1\n"}, "first")
    tracker = Repository(tmp_path / "engine", python.parent / "tracker", home)
    assert tracker.tracker("init", "--asv", "--yes")[0] == 0
    commit(tmp_path / "engine", {}, "second")
    code, said = tracker.tracker("gate", "HEAD~1", "HEAD", "--max-pairs", "3")
    assert code == 0, said
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0
