import pytest


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """A proxy in the environment must not see what goes to 127.0.0.1."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
