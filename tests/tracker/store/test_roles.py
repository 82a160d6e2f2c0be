"""The read-only role that docs/schema.md grants: it sees every page's rows and changes none."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.tracker.postgres import Cluster
from tests.tracker.store.test_db_cli import answers, fill
from tracker.errors import StoreError
from tracker.store import Store, queries
from tracker.store.engine import parse_url
from tracker.store.schema import REVISIONS, upgrade

PAGE = Path(__file__).parents[3] / "docs" / "schema.md"


@pytest.mark.postgres
def test_the_documented_reader_reads_and_writes_nothing(
    postgres_cluster: Cluster, postgres_url: str
) -> None:
    (grants,) = re.findall(r"```sql\n(CREATE ROLE pacekeeper_reader.*?)```", PAGE.read_text(), re.S)
    upgrade(parse_url(postgres_url), target=REVISIONS[-2])
    with psycopg.connect(postgres_url) as owner:
        owner.execute(grants)
    try:
        upgrade(parse_url(postgres_url))  # tables that come later are readable, too
        with Store.open(postgres_url) as store:
            fill(store)
            expected = answers(store)
        reader = postgres_url.replace("tester@", "pacekeeper_reader@")
        with Store.open(reader, read_only=True) as store:
            assert answers(store) == expected
            assert queries.version_stamp(store)
        with (
            Store.open(reader) as store,
            pytest.raises(StoreError, match="role of the URL may not"),
        ):
            store.record_project("other")
        with psycopg.connect(reader) as connection:
            for statement in ("DELETE FROM result", "CREATE TABLE mine (id int)", "DROP TABLE run"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
                connection.rollback()
    finally:
        with psycopg.connect(postgres_url) as owner:
            owner.execute("DROP OWNED BY pacekeeper_reader")
            owner.execute("DROP ROLE pacekeeper_reader")
