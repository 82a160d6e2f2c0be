"""Which schema a database has, and bringing it to the one this version reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, Connection, Engine, inspect, text

from tracker.errors import SchemaError
from tracker.store.engine import BEGIN, make_engine, shown, translated

# Oldest first. Repeated here so that opening a store does not import Alembic; a test holds
# the list against the scripts.
REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
)
HEAD = REVISIONS[-1]
SCRIPTS = Path(__file__).parent / "migrations"

State = Literal["empty", "current", "older", "newer", "foreign"]


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a database: its state, and the Alembic revision it is stamped with."""

    state: State
    revision: str | None


def read_schema(connection: Connection) -> Schema:
    """Return what schema the database behind `connection` has. Changes nothing."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return Schema("empty", None)
    if "alembic_version" not in tables:
        return Schema("foreign", None)
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is None:
        return Schema("empty" if tables == ["alembic_version"] else "foreign", None)
    if revision == HEAD:
        return Schema("current", revision)
    return Schema("older" if revision in REVISIONS else "newer", revision)


def require_current(schema: Schema, url: URL) -> None:
    """Raise unless the schema is the one this version reads and writes.

    Raises:
        SchemaError: Naming the store and the mend.
    """
    if schema.state == "current":
        return
    name = shown(url)
    if schema.state == "empty":
        raise SchemaError(f"{name}: empty database; create the tables with: tracker db upgrade")
    if schema.state == "older":
        raise SchemaError(
            f"{name}: schema {schema.revision} is older than {HEAD}; "
            f"back it up and run: tracker --db {name} db upgrade"
        )
    if schema.state == "newer":
        raise SchemaError(
            f"{name}: schema {schema.revision} is unknown to this version (it reads {HEAD}); "
            "install the Pacekeeper that wrote it, or a later one"
        )
    raise SchemaError(f"{name}: a database of something else, not a Pacekeeper store")


def create_schema(engine: Engine) -> Schema:
    """Create the newest schema in an empty database; return the schema it has then.

    The tables are those that the migrations arrive at (a test compares them), without the time that
    Alembic takes. Another process may have been faster.
    """
    from tracker.store.tables import metadata

    with engine.connect().execution_options(**{BEGIN: "IMMEDIATE"}) as conn, conn.begin():
        if read_schema(conn).state == "empty":
            metadata.create_all(conn, checkfirst=False)
            conn.execute(
                text(
                    "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL,"
                    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
                )
            )
            conn.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
        return read_schema(conn)


def upgrade(url: URL, *, scripts: Path = SCRIPTS, target: str = "head") -> tuple[str | None, str]:
    """Bring the database to `target` in one transaction; a failure leaves it as it was.

    Returns:
        The revision before (None: it was empty) and after.

    Raises:
        SchemaError: The database is newer than this version, or no store at all.
        StoreError: It cannot be opened or written.
    """
    from alembic import command
    from alembic.config import Config

    engine = make_engine(url, pooled=False)
    try:
        with translated(url), engine.connect().execution_options(**{BEGIN: "MIGRATE"}) as conn:
            with conn.begin():
                before = read_schema(conn)
                if before.state in ("newer", "foreign"):
                    require_current(before, url)
                config = Config()
                config.set_main_option("script_location", str(scripts).replace("%", "%%"))
                config.attributes["connection"] = conn
                command.upgrade(config, target)
            with conn.begin():
                after = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        return before.revision, str(after)
    finally:
        engine.dispose()
