"""Engines: one URL in, a SQLAlchemy engine with this store's rules out.

SQLite gets foreign keys, write-ahead logging and a wait for locks on every connection, and
explicit BEGIN statements: the driver's own habit of starting transactions late would leave a
failed migration's tables behind.

Writing transactions of one store take turns on both backends: SQLite has one write lock, and on
PostgreSQL an advisory lock stands for it. A writer therefore sees all that was written before, takes
no other lock that it could wait for, and no two can deadlock. Readers wait for nobody.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from tracker.errors import StoreError, UsageError

LOCK_WAIT = 30.0  # seconds a writer waits for another one

# How a connection begins: "IMMEDIATE" takes the write lock at once, so that two writers queue up;
# "MIGRATE" does too, and lifts SQLite's foreign keys, which table rebuilds need.
BEGIN = "pacekeeper_begin"
_WRITE_LOCK = 0x7061636B  # PostgreSQL's advisory lock of the writers of a database


def parse_url(url: str) -> URL:
    """Return the URL of a store, with the driver this package installs.

    Raises:
        UsageError: It is no database URL, or of a database that is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError(
            f"{_without_user(url)!r} is not a database URL; give sqlite:///FILE or postgresql://HOST/NAME"
        ) from None
    backend = parsed.drivername.partition("+")[0]
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    raise UsageError(f"{shown(parsed)}: {backend!r} is not supported; use sqlite or postgresql")


def _without_user(text: str) -> str:
    """A malformed URL without what stands before its host, which may be a password."""
    return re.sub(r"[^/\s]*@", "", text)


def shown(url: URL) -> str:
    """Return the URL as it may be printed: without its password."""
    plain = url.set(drivername=url.drivername.partition("+")[0])
    return plain.render_as_string(hide_password=True)


def sqlite_file(url: URL) -> Path | None:
    """Return the file of a SQLite URL; None for another backend or a store in memory."""
    if not url.drivername.startswith("sqlite"):
        return None
    name = url.database or ""
    if name in ("", ":memory:"):
        return None
    if name.startswith("file:"):
        name = re.sub(r"^file:(//)?|\?.*$", "", name)
    return Path(name)


def absolute_url(url: str) -> str:
    """Return the URL of the same store from any working directory, its password included.

    Raises:
        UsageError: It is no URL of a store, or of one in memory, which no other process can open.
    """
    parsed = parse_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return url
    file = sqlite_file(parsed)
    if file is None:
        raise UsageError(f"{shown(parsed)}: jobs run in processes of their own; name a file")
    if (parsed.database or "").startswith("file:"):
        return url
    return f"sqlite:///{file.absolute()}"


def require_place(url: URL, *, must_exist: bool = False) -> None:
    """Raise unless a store can be at `url`, as far as the file system knows.

    Raises:
        StoreError: The directory is missing, or, with `must_exist`, the file.
    """
    file = sqlite_file(url)
    if file is None:
        return
    if must_exist and not file.exists():
        raise StoreError(f"{shown(url)}: no such file; ingest something first (tracker ingest)")
    if not file.parent.is_dir():
        raise StoreError(f"{shown(url)}: directory {file.parent} does not exist; create it first")
    if file.is_dir():
        raise StoreError(f"{shown(url)}: {file} is a directory; name a file")


def make_engine(url: URL, *, read_only: bool = False, pooled: bool = True) -> Engine:
    """Return an engine on `url`. Nothing is connected yet.

    Raises:
        StoreError: The driver is not installed.
    """
    options: dict[str, Any] = {}
    if not pooled:
        options["poolclass"] = NullPool
    if url.drivername.startswith("sqlite"):
        options["connect_args"] = {"timeout": LOCK_WAIT}
        if sqlite_file(url) is None:
            # Every connection to a memory store would otherwise see a database of its own.
            options["poolclass"] = StaticPool
            options["connect_args"]["check_same_thread"] = False
    else:
        options["pool_pre_ping"] = True
        options["connect_args"] = {"connect_timeout": 10}
    try:
        engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            f"{shown(url)}: psycopg cannot be imported ({error}); "
            "install it with: pip install 'pacekeeper[postgres]'"
        ) from None
    (_sqlite_rules if engine.dialect.name == "sqlite" else _postgresql_rules)(engine, read_only)
    return engine


def _postgresql_rules(engine: Engine, read_only: bool) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if read_only:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        elif connection.get_execution_options().get(BEGIN) is not None:
            # A client that hangs, or whose machine is gone, must not hold the lock for ever.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{1000 * LOCK_WAIT:.0f}ms'")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '60s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")


def _sqlite_rules(engine: Engine, read_only: bool) -> None:
    on_disk = sqlite_file(engine.url) is not None

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, see below
        connection.execute("PRAGMA foreign_keys=ON")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
        elif on_disk:
            _write_ahead(connection)
            connection.execute("PRAGMA cache_size=-65536")  # KiB: the pages one transaction writes
            connection.execute("PRAGMA wal_autocheckpoint=8000")  # pages: each is copied less often
            # Safe against a killed process; a power cut may cost the last commits, not the file.
            connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        how = connection.get_execution_options().get(BEGIN, "DEFERRED")
        if how == "MIGRATE":
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            how = "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {how}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a database file to write-ahead logging, once in its life.

    SQLite does not wait for a lock here: where two processes make the same store at once, one
    of them is refused on the spot.
    """
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn the driver's errors into `StoreError`s that name the store and the mend."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(f"{shown(url)}: {_explain(url, error)}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"{shown(url)}: {error}") from error


def _explain(url: URL, error: DBAPIError) -> str:
    said = str(error.orig).strip()
    first = said.splitlines()[0] if said else type(error.orig).__name__
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, said):
            return f"{meaning} ({first})"
    if url.drivername.startswith("postgresql") and error.connection_invalidated:
        return f"the connection was lost; is the server still up? ({first})"
    return first


_MEANINGS = (
    (r"unable to open database file", "the file cannot be opened; check the directory's rights"),
    (r"file is not a database|file is encrypted", "the file is not a SQLite database"),
    (r"readonly database", "the store is read-only; make the file and its directory writable"),
    (
        r"permission denied for|must be owner of",
        "the role of the URL may not do this; grant it the right, or use the role of the owner",
    ),
    (
        r"database (table )?is locked|due to lock timeout",
        f"locked by another process for more than {LOCK_WAIT:.0f} s; end it or try again",
    ),
    (r"disk is full|No space left", "no space left on the device"),
    (
        r"malformed|disk image",
        "the file is damaged; restore a backup or import a dump (tracker db import)",
    ),
    (
        r"password authentication failed|role .* does not exist|no password supplied",
        "the server refused the user; check name and password in the URL",
    ),
    (
        r'database ".*" does not exist',
        "there is no such database; create it with createdb",
    ),
    (
        r"[Cc]onnection refused|No such file or directory|could not translate host|"
        r"failed to resolve|timeout expired|connection failed",
        "PostgreSQL cannot be reached; is the server up, and are host and port right?",
    ),
)
