"""Stores to test on: SQLite in a temporary directory, PostgreSQL in a throw-away cluster."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracker.measure.toy import ToyProject
from tests.tracker.rest_api import FakeApi, rest_api

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Path]:
    """The socket directory of a PostgreSQL server that lives as long as the tests."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pacekeeper[postgres])")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    binaries = places[-1].parent if places else None
    if binaries is None:
        found = shutil.which("initdb")
        if found is None:
            pytest.skip("no PostgreSQL server: no initdb in /usr/lib/postgresql/*/bin or PATH")
        binaries = Path(found).parent
    as_server: list[str] = []
    root = Path(tempfile.mkdtemp(prefix="pk-pg-", dir="/tmp"))  # a socket's path must be short
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            shutil.rmtree(root)
            pytest.skip("running as root, and there is no user postgres to run the server")
        os.chown(root, owner.pw_uid, owner.pw_gid)
        as_server = ["runuser", "-u", "postgres", "--"]
    data = root / "data"

    def server(*command: str | Path) -> None:
        done = subprocess.run(
            [*as_server, *map(str, command)], capture_output=True, text=True, cwd=root
        )
        assert done.returncode == 0, f"{command[0]} failed: {done.stderr or done.stdout}"

    try:
        server(
            binaries / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "-N",
            "--locale=C.UTF-8",
        )  # fmt: skip
        options = f"-c listen_addresses='' -k {root} -c fsync=off -c max_connections=40"
        pg_ctl = (binaries / "pg_ctl", "-D", data)
        server(*pg_ctl, "-w", "-t", "60", "-l", root / "log", "-o", options, "start")
        try:
            yield root
        finally:
            server(*pg_ctl, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_cluster: Path) -> str:
    """The URL of an empty PostgreSQL database of this test's own."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    where = f"host={postgres_cluster} user=tester dbname=postgres"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://tester@/{name}?host={postgres_cluster}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, once on each backend."""
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
