"""One writing transaction, and the ids it looks up or makes on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

from tracker.store.base import chunks

Key = tuple[Any, ...]  # the natural key of a row, in the order of `columns`
Cache = dict[str, dict[Key, int]]  # table -> natural key -> id


@dataclass
class Transaction:
    """A connection inside a writing transaction.

    Attributes:
        conn: The connection; the caller began it and will end it.
        known: Ids that earlier, committed transactions found. Read only here.
        fresh: Ids this one found: they may be kept only when it has committed.
        job_key: Idempotency key of the job that the writing process works on.
    """

    conn: Connection
    known: Cache
    job_key: str | None = None
    fresh: Cache = field(default_factory=dict)

    @property
    def is_postgresql(self) -> bool:
        return self.conn.dialect.name == "postgresql"

    def ensure(
        self, table: Table, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
    ) -> dict[Key, int]:
        """Return the ids of `rows` by natural key, inserting those that are not there.

        Rows that exist stay as they are.
        """
        known = self.known.get(table.name, {})
        fresh = self.fresh.setdefault(table.name, {})
        ids: dict[Key, int] = {}
        wanted: dict[Key, Mapping[str, Any]] = {}
        for row in rows:
            key = tuple(map(row.__getitem__, columns))
            row_id = known.get(key) or fresh.get(key)
            if row_id is not None:
                ids[key] = row_id
            else:
                wanted.setdefault(key, row)
        if wanted:
            found_ids = self._find(table, columns, list(wanted))
            absent = [key for key in wanted if key not in found_ids]
            if absent:
                self.conn.execute(insert(table), [wanted[key] for key in absent])
                found_ids |= self._find(table, columns, absent)
            fresh.update(found_ids)
            ids.update(found_ids)
        return ids

    def insert_missing(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert `rows`; one that collides with a unique key that stands already is left out."""
        if not rows:
            return
        dialect_insert = postgresql_insert if self.is_postgresql else sqlite_insert
        self.conn.execute(dialect_insert(table).on_conflict_do_nothing(), list(rows))

    def insert(self, table: Table, row: Mapping[str, Any]) -> int:
        """Insert one row and return its id."""
        result = self.conn.execute(insert(table), dict(row))
        assert result.inserted_primary_key is not None
        return int(result.inserted_primary_key[0])

    def reserve(self, table: Table, count: int) -> range:
        """Return `count` ids for new rows of `table`, one after the other.

        No other writer can take them: writing transactions take turns (`tracker.store.engine`).
        """
        if not self.is_postgresql:
            last = self.conn.execute(select(func.max(table.c.id))).scalar() or 0
            return range(last + 1, last + 1 + count)
        if count == 0:
            return range(0)
        last = self.conn.execute(
            text(
                "SELECT setval(name, nextval(name) + :count - 1)"
                " FROM CAST(pg_get_serial_sequence(:table, 'id') AS regclass) AS name"
            ),
            {"table": table.name, "count": count},
        ).scalar_one()
        return range(last + 1 - count, last + 1)

    def insert_tuples(
        self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert many rows past SQLAlchemy, whose work for each row is more than the database's.

        Args:
            table: Where they go.
            columns: What the tuples hold, in this order.
            rows: Of values as the driver takes them (`tracker.store.base.stored_moment`).
        """
        if not rows:
            return
        names = ", ".join(f'"{column}"' for column in columns)
        if not self.is_postgresql:
            marks = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"
            self.conn.exec_driver_sql(statement, list(rows))
            return
        import psycopg

        statement = f"COPY {table.name} ({names}) FROM STDIN"
        cursor = self.conn.connection.cursor()
        try:
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            raise DBAPIError(statement, None, error) from error
        finally:
            cursor.close()

    def _find(self, table: Table, columns: Sequence[str], keys: Sequence[Key]) -> dict[Key, int]:
        key_columns = [table.c[column] for column in columns]
        ids: dict[Key, int] = {}
        for chunk in chunks(keys, variables=len(columns)):
            if len(key_columns) == 1:
                condition = key_columns[0].in_([key[0] for key in chunk])
            else:
                condition = tuple_(*key_columns).in_(chunk)
            for row in self.conn.execute(select(table.c.id, *key_columns).where(condition)):
                ids[tuple(row[1:])] = row[0]
        return ids
