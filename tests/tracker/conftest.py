"""Stores to test on: SQLite in a temporary directory, PostgreSQL in a throw-away cluster."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracker.measure.toy import ToyProject
from tests.tracker.postgres import Cluster, NoServerError
from tests.tracker.rest_api import FakeApi, rest_api
from tracker.store import Store

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that lives as long as the tests."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pacekeeper[postgres])")
    try:
        with Cluster() as cluster:
            yield cluster
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> str:
    """The URL of an empty PostgreSQL database of this test's own."""
    return postgres_cluster.new_database()


@pytest.fixture(scope="session")
def postgres_store(postgres_cluster: Cluster) -> str:
    """The URL of a PostgreSQL database with the tables of a store, to be copied."""
    url = postgres_cluster.new_database()
    Store.open(url).close()
    return url


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of a store, to be copied."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    Store.open(f"sqlite:///{file}").close()
    return file


_backends = pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])


@_backends
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, once on each backend."""
    if request.param == "sqlite":
        file = shutil.copy(request.getfixturevalue("sqlite_store"), tmp_path / "store.db")
        return f"sqlite:///{file}"
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    return cluster.new_database(copy_of=request.getfixturevalue("postgres_store"))


@_backends
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, once on each backend."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded histories of other projects, where they are at hand."""
    given = os.environ.get("PACEKEEPER_DATA")
    place = Path(given) if given else REPO.parent / "shared" / "data"
    if not (place / "asv").is_dir():
        pytest.skip(f"no recorded histories at {place}; set PACEKEEPER_DATA")
    return place


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyProject:
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


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A REST API on loopback."""
    with rest_api() as fake:
        yield fake
