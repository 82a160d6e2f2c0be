"""Opening a store that is not there, not writable, not reachable: the message and its mend."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from tests.tracker.postgres import Cluster
from tests.tracker.store.values import BENCHMARKS, file_of, measurement
from tracker.errors import SchemaError, StoreError, UsageError
from tracker.store import Store, engine, queries


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"directory .*nowhere does not exist; create it"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/store.db")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a directory; name a file"):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to have been one. " * 100)
    for read_only in (True, False):
        with pytest.raises(StoreError, match="not a SQLite database"):
            Store.open(f"sqlite:///{file}", read_only=read_only)


def test_read_only_never_creates(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with pytest.raises(StoreError, match="no such file"):
        Store.open(f"sqlite:///{file}", read_only=True)
    file.touch()
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(f"sqlite:///{file}", read_only=True)
    assert file.read_bytes() == b""


def test_read_only_never_writes(store_url: str) -> None:
    Store.open(store_url).close()
    with Store.open(store_url, read_only=True) as store:
        with pytest.raises(StoreError, match="opened read-only"):
            store.record_project("p")
        assert queries.list_projects(store) == []


def test_a_file_on_read_only_ground(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    Store.open(f"sqlite:///{file}").close()
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    with Store.open(url) as store, pytest.raises(StoreError, match="read-only; make the file"):
        store.record_project("p")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_file_without_write_permission(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    Store.open(f"sqlite:///{file}").close()
    file.chmod(0o400)
    with pytest.raises(StoreError, match="read-only"):
        Store.open(f"sqlite:///{file}").record_project("p")


def test_a_locked_file_names_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_WAIT", 0.1)
    file = tmp_path / "store.db"
    with Store.open(f"sqlite:///{file}") as store:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            store.record_project("p")
        other.execute("ROLLBACK")
        other.close()
        store.record_project("p")


@pytest.mark.postgres
def test_a_writer_that_holds_on_to_a_server_is_named(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOCK_WAIT", 0.1)
    with Store.open(postgres_url) as store, Store.open(postgres_url) as other:

        def act(_: object) -> None:
            with pytest.raises(StoreError, match="locked by another process"):
                other.record_project("p")
            assert queries.list_projects(other) == []  # a reader does not wait

        store.write(act)
        other.record_project("p")


def test_a_store_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    release.start()
    with Store.open(f"sqlite:///{file}") as store:
        store.record_project("p")
    release.join()
    other.close()


def test_a_locked_file_does_not_stop_readers(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with Store.open(f"sqlite:///{file}") as store:
        store.record_project("p")
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert [one.name for one in queries.list_projects(store)] == ["p"]
        other.close()


def test_a_server_that_cannot_be_reached() -> None:
    with pytest.raises(StoreError, match="PostgreSQL cannot be reached") as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/nothing")
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
def test_a_database_that_is_not_there(postgres_cluster: Cluster) -> None:
    with pytest.raises(StoreError, match="create it with createdb"):
        Store.open(f"postgresql://tester@/absent?host={postgres_cluster.root}")


@pytest.mark.postgres
def test_an_empty_database_read_only(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(postgres_url, read_only=True)


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'pacekeeper\[postgres\]'"):
        Store.open("postgresql://localhost/x")


@pytest.mark.parametrize("url", ["store.db", "", "mysql://localhost/x", "sqlite:/x"])
def test_a_url_that_names_no_supported_database(url: str) -> None:
    with pytest.raises(UsageError, match=r"not a database URL|not supported"):
        Store.open(url)


def test_a_store_in_memory_is_whole_and_lives_as_long_as_it_is_open() -> None:
    with Store.open("sqlite://") as store:
        store.record_file("p", file_of(1, measurement(1.0)), benchmarks=BENCHMARKS)
        assert queries.list_projects(store)[0].num_results == 1
    with Store.open("sqlite://") as store:
        assert queries.list_projects(store) == []


def test_sqlite_keeps_foreign_keys_and_writes_ahead(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/s.db") as store, store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_a_store_cut_short_is_an_error_not_an_answer(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    with Store.open(f"sqlite:///{file}") as store:
        for number in range(40):
            store.record_file("p", file_of(number, measurement(1.0)), benchmarks=BENCHMARKS)
    file.write_bytes(file.read_bytes()[: 4096 * 3])
    with pytest.raises((StoreError, SchemaError), match=r"damaged|not a"):
        queries.list_series(Store.open(f"sqlite:///{file}"), "p")
