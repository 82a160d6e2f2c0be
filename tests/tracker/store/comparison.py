"""What two stores are compared by: their rows as exported, and how many rows each table has."""

from __future__ import annotations

import io

from sqlalchemy import func, select

from tracker.cli.db import write_rows
from tracker.store import Store, queries, tables


def exported(store: Store) -> str:
    stream = io.StringIO()
    write_rows(queries.export_rows(store), stream)
    return stream.getvalue()


def table_counts(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables.metadata.sorted_tables
            if table is not tables.seen_file  # a cache: fresh files are not remembered
        }


def content(store: Store) -> tuple[str, dict[str, int]]:
    return exported(store), table_counts(store)
