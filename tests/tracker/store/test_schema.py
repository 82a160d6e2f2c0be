"""Migrations: from nothing to what the models say, on both backends, all or nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    MetaData,
    Table,
    create_engine,
    inspect,
    select,
    text,
)

from tracker.errors import SchemaError, StoreError
from tracker.store import Store, queries, schema, tables
from tracker.store.engine import parse_url


def test_the_migrated_schema_is_the_models_schema(database_url: str) -> None:
    assert schema.upgrade(parse_url(database_url)) == (None, schema.HEAD)
    engine = create_engine(parse_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        found = set(inspect(connection).get_table_names())
        checks = inspect(connection).get_check_constraints("result")
    engine.dispose()
    assert found == {*tables.metadata.tables, "alembic_version"}
    assert [check["name"] for check in checks] == ["ck_result_value_iff_ok"]


def test_every_constraint_has_a_name_of_the_convention() -> None:
    for table in tables.metadata.tables.values():
        for constraint in table.constraints:
            assert constraint.name, (table.name, constraint)


def test_the_revisions_known_without_alembic_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    listed = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(listed)) == schema.REVISIONS


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    schema.upgrade(parse_url(database_url))
    assert schema.upgrade(parse_url(database_url)) == (schema.HEAD, schema.HEAD)


def test_rows_of_every_older_schema_outlive_all_upgrades(database_url: str) -> None:
    url = parse_url(database_url)
    engine = create_engine(url)
    rows = {}
    for number, older in enumerate(schema.REVISIONS[:-1], start=1):
        schema.upgrade(url, target=older)
        with pytest.raises(SchemaError, match="db upgrade"):
            Store.open(database_url)
        then = MetaData()
        then.reflect(engine)
        with engine.begin() as connection:
            for table in then.sorted_tables:
                if table.name != "alembic_version":
                    rows[table.name, number] = row = one_row(table, number)
                    connection.execute(table.insert().values(**row))
    assert schema.upgrade(url) == (schema.REVISIONS[-2], schema.HEAD)
    now = MetaData()
    now.reflect(engine)
    with engine.begin() as connection:
        for (name, _), row in rows.items():
            (key,) = now.tables[name].primary_key.columns
            columns = [column for column in now.tables[name].c if column.name in row]
            kept = connection.execute(select(*columns).where(key == row[key.name])).mappings().one()
            assert {key: in_utc(cell) for key, cell in kept.items()}.items() <= row.items(), name
            assert row.keys() - kept.keys() <= ({"worse"} if name == "change_point" else set())
    engine.dispose()
    with Store.open(database_url) as store:
        assert len(queries.list_projects(store)) == number


def one_row(table: Table, number: int) -> dict[str, object]:
    """A row with a value in every column; links lead to the row of that number of the other table."""
    values = {str: f"[{number}]", int: number, float: 1.0, bool: True, bytes: b"12345678"}
    values[datetime] = datetime(2026, 1, 1, tzinfo=UTC)
    row = {column.name: values[column.type.python_type] for column in table.columns}
    return row | {"status": "ok"} if table.name == "result" else row


def in_utc(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


SHIFT_OF_0002 = """
INSERT INTO project (id, name) VALUES (1, 'p');
INSERT INTO machine (id, project_id, name) VALUES (1, 1, 'box');
INSERT INTO benchmark (id, project_id, name, version, type, unit, kind, step, param_names)
    VALUES (1, 1, 'b', '1', 'track', 's', 'timing', 0, '[]');
INSERT INTO param_point (id, digest, params) VALUES (1, 'd', '[]');
INSERT INTO series (id, project_id, benchmark_id, param_point_id, machine_id, environment,
    num_results, num_points) VALUES (1, 1, 1, 1, 1, 'existing', 0, 0);
INSERT INTO revision (id, project_id, commit_hash, committed_at, num_results)
    VALUES (1, 1, 'c', '2026-01-01 00:00:00', 0);
INSERT INTO change_point (series_id, revision_id, before, after, effect, worse, algorithm,
    is_latest) VALUES (1, 1, 1.0, 2.0, 1.0, (1 = 1), 'a', (1 = 1));
"""


def test_level_shifts_outlive_the_columns_that_they_were_given(database_url: str) -> None:
    schema.upgrade(parse_url(database_url), target="0002")
    engine = create_engine(parse_url(database_url))
    with engine.begin() as connection:
        for statement in filter(str.strip, SHIFT_OF_0002.split(";")):
            connection.execute(text(statement))
    engine.dispose()
    schema.upgrade(parse_url(database_url))
    with Store.open(database_url) as store:
        searched = queries.last_searches(store, "p")[1]
    (shift,) = searched.shifts
    assert searched.detection is None
    assert (shift.after, shift.previous, shift.recovered, shift.cause) == (2.0, None, False, "code")


BROKEN = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("half_done", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO half_done VALUES (1)")
    op.execute("SELECT * FROM never_there")
"""


@pytest.mark.parametrize("stored_before", [False, True])
def test_a_failing_migration_leaves_nothing_behind(
    database_url: str, tmp_path: Path, stored_before: bool
) -> None:
    scripts = tmp_path / "scripts"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text((schema.SCRIPTS / "env.py").read_text())
    for script in (schema.SCRIPTS / "versions").glob("[0-9]*.py"):
        (scripts / "versions" / script.name).write_text(script.read_text())
    (scripts / "versions" / "9999_broken.py").write_text(BROKEN.format(head=schema.HEAD))
    url = parse_url(database_url)
    if stored_before:
        schema.upgrade(url)
    with pytest.raises(StoreError, match="never_there"):
        schema.upgrade(url, scripts=scripts)
    engine = create_engine(url)
    names = inspect(engine).get_table_names()
    engine.dispose()
    assert set(names) == ({*tables.metadata.tables, "alembic_version"} if stored_before else set())


def stamp(url: str, revision: str) -> None:
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    engine.dispose()


def test_a_newer_schema_is_refused(database_url: str) -> None:
    Store.open(database_url).close()
    stamp(database_url, "9999")
    for read_only in (False, True):
        with pytest.raises(SchemaError, match="9999 is unknown"):
            Store.open(database_url, read_only=read_only)
    with pytest.raises(SchemaError, match="9999 is unknown"):
        schema.upgrade(parse_url(database_url))


def test_an_older_schema_names_the_upgrade(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(database_url).close()
    stamp(database_url, "0000")
    monkeypatch.setattr(schema, "REVISIONS", ("0000", *schema.REVISIONS))
    with pytest.raises(SchemaError, match=r"tracker --db .* db upgrade"):
        Store.open(database_url)


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(SchemaError, match="not a Pacekeeper store"):
        Store.open(f"sqlite:///{file}")
    with pytest.raises(SchemaError, match="not a Pacekeeper store"):
        schema.upgrade(parse_url(f"sqlite:///{file}"))
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    connection.close()


def test_processes_that_create_the_same_store_at_once_all_succeed(database_url: str) -> None:
    code = f"from tracker.store import Store; Store.open({database_url!r}).close()"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
