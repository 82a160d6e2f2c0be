"""The whole store as lines of JSON, and back into any backend.

::

    {"record": "pacekeeper-dump", "format": 1, "schema": "0001"}
    {"table": "project", "columns": ["id", "name", "commit_url"]}
    [1, "django", null]
    ...
    {"record": "end", "rows": 42}

Ids are those of the store that wrote it. An empty store keeps them, so that it exports the same
bytes; into any other a dump merges, with ids mapped by the natural keys, and a second time adds
nothing. What a search for level shifts went by is left out: the next search looks at every series.
Left out are also jobs, the services' tasks, quarantined nodes, accounts and tokens: the work and rights
of one installation.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

from sqlalchemy import Table, UniqueConstraint, func, insert, select, text

from tracker.errors import StoreError, UsageError
from tracker.store import tables as t
from tracker.store.base import Doubles, UtcDateTime
from tracker.store.derived import rebuild
from tracker.store.schema import HEAD, REVISIONS
from tracker.store.store import Store
from tracker.store.transaction import Transaction

FORMAT = 1
BATCH = 500

_Ids = dict[str, dict[int, int]]  # table -> id in the dump -> id in this store


# What belongs to one installation.
_LEFT_OUT = {t.detection, t.job, t.account, t.seen_file, t.api_token, t.api_push}


class _Kind:
    """How rows of a table are recognised, and which columns point where.

    Attributes:
        key: Columns that are unique together; () where the id itself is the same everywhere.
        links: Column to the table whose rows it points at, where ids differ between stores.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.key = _natural_key(table)
        self.links = {
            link.parent.name: link.column.table.name
            for link in table.foreign_keys
            if _natural_key(link.column.table)
        }


def _natural_key(table: Table) -> tuple[str, ...]:
    unique = (c for c in table.constraints if isinstance(c, UniqueConstraint))
    return next((tuple(column.name for column in c.columns) for c in unique), ())


# In the order of dependence: a row's links stand before it.
_KINDS = [_Kind(table) for table in t.metadata.sorted_tables if table not in _LEFT_OUT]
_BY_NAME = {kind.table.name: kind for kind in _KINDS}
# Columns of earlier schemas, whose values older dumps hold.
_DROPPED = {"change_point": frozenset({"worse"})}


def export_store(store: Store, file: Path) -> int:
    """Write the whole store to `file`, gzipped where its name ends in .gz; return the rows.

    The file appears when it is complete, and replaces one of that name.

    Raises:
        UsageError: The file cannot be written.
        StoreError: The database failed.
    """
    partial = file.with_name(file.name + ".part")
    try:
        with _opened(partial, "wt", gzipped=file.suffix == ".gz") as out:
            rows = _write(store, out)
        partial.replace(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _write(store: Store, out: IO[str]) -> int:
    def line(value: object) -> None:
        out.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")

    line({"record": "pacekeeper-dump", "format": FORMAT, "schema": HEAD})
    num_rows = 0
    with store.reading() as conn:
        for kind in _KINDS:
            columns = list(kind.table.c)
            line({"table": kind.table.name, "columns": [column.name for column in columns]})
            ordered = select(kind.table).order_by(columns[0])
            for row in conn.execute(ordered.execution_options(yield_per=1000)):
                line([_plain(cell) for cell in row])
                num_rows += 1
    line({"record": "end", "rows": num_rows})
    return num_rows


def _plain(cell: Any) -> Any:
    return cell.isoformat() if isinstance(cell, datetime) else cell


def import_store(
    store: Store, file: Path, *, progress: Callable[[int], None] | None = None
) -> tuple[int, int]:
    """Read a dump into the store in one transaction; return (rows read, rows added).

    Args:
        store: Empty or not; rows that stand already stay as they are.
        file: What `export_store` wrote.
        progress: Called now and then with the number of rows read.

    Raises:
        UsageError: The file is not there, no dump, or of a newer version.
        StoreError: The dump is incomplete or the database failed; nothing was written.
    """
    try:
        with _opened(file, "rt", gzipped=_is_gzipped(file)) as lines:
            return store.write(lambda tx: _read(tx, file, lines, progress))
    except FileNotFoundError:
        raise UsageError(f"{file}: no such file") from None
    except (EOFError, gzip.BadGzipFile) as error:
        raise StoreError(f"{file}: incomplete dump ({error}); nothing was imported") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: not a dump of a store") from None


def _read(
    tx: Transaction, file: Path, lines: IO[str], progress: Callable[[int], None] | None
) -> tuple[int, int]:
    schema = _require_header(file, next(iter(lines), ""))
    ids: _Ids = {kind.table.name: {} for kind in _KINDS}
    before = _count(tx)
    insert_batch = _merge if before else _keep
    num_rows = 0
    kind: _Kind | None = None
    columns: list[str] = []
    dropped: frozenset[str] = frozenset()
    batch: list[dict[str, Any]] = []
    complete = False
    for number, line in enumerate(lines, start=2):
        try:
            record = json.loads(line)
        except ValueError:
            break
        if isinstance(record, list):
            if kind is None or len(record) != len(columns):
                raise StoreError(f"{file}, line {number}: not a row of a dump")
            row = dict(zip(columns, record, strict=True))
            for name in dropped:
                row.pop(name, None)
            batch.append(row)
            num_rows += 1
            if len(batch) == BATCH:
                insert_batch(tx, kind, batch, ids)
                batch = []
                if progress is not None:
                    progress(num_rows)
            continue
        if kind is not None and batch:
            insert_batch(tx, kind, batch, ids)
            batch = []
        if record.get("record") == "end":
            complete = record.get("rows") == num_rows
            break
        name, columns = record.get("table", ""), record.get("columns", [])
        kind, dropped = _BY_NAME.get(name), _DROPPED.get(name, frozenset())
        if kind is None or not set(columns) - dropped <= set(kind.table.c.keys()):
            raise StoreError(f"{file}, line {number}: a table this version does not know")
    if not complete:
        raise StoreError(f"{file}: incomplete dump, {num_rows} rows; nothing was imported")
    if before == 0 and tx.is_postgresql:
        _advance_sequences(tx)
    if before or schema != HEAD:
        rebuild(tx)
    return num_rows, _count(tx) - before


def _require_header(file: Path, line: str) -> str:
    """Return the schema of the store that wrote the dump."""
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("record") != "pacekeeper-dump":
        raise UsageError(f"{file}: not a dump of a store (tracker db export --out FILE)")
    if header.get("format") != FORMAT or header.get("schema") not in REVISIONS:
        raise UsageError(
            f"{file}: a dump of format {header.get('format')}, schema {header.get('schema')}; "
            f"this version reads format {FORMAT} up to schema {HEAD}"
        )
    return str(header["schema"])


def _keep(tx: Transaction, kind: _Kind, rows: list[dict[str, Any]], ids: _Ids) -> None:
    """Insert rows as they are."""
    _decode(kind, rows, ids)
    tx.conn.execute(insert(kind.table), rows)
    if kind.key:
        ids[kind.table.name] |= {row["id"]: row["id"] for row in rows}


def _merge(tx: Transaction, kind: _Kind, rows: list[dict[str, Any]], ids: _Ids) -> None:
    """Insert the rows whose natural keys are new, under ids of this store."""
    _decode(kind, rows, ids)
    if not kind.key:
        tx.insert_missing(kind.table, rows)
        return
    old_ids = [row.pop("id") for row in rows]
    new_ids = tx.ensure(kind.table, kind.key, rows)
    for old, row in zip(old_ids, rows, strict=True):
        ids[kind.table.name][old] = new_ids[tuple(row[name] for name in kind.key)]


def _decode(kind: _Kind, rows: Iterable[dict[str, Any]], ids: _Ids) -> None:
    """Turn the cells into values of their columns, with links to rows of this store."""
    read = {column.name: column.type for column in kind.table.c}
    for row in rows:
        for name, value in row.items():
            if value is None:
                continue
            if name in kind.links:
                row[name] = _linked(ids, kind, name, value)
            elif isinstance(read[name], UtcDateTime):
                row[name] = datetime.fromisoformat(value)
            elif isinstance(read[name], Doubles):
                row[name] = tuple(value)


def _advance_sequences(tx: Transaction) -> None:
    """Let PostgreSQL number new rows after those that came with their ids."""
    for kind in _KINDS:
        if kind.key:
            name = kind.table.name
            sequence = f"pg_get_serial_sequence('{name}', 'id')"
            tx.conn.execute(text(f"SELECT setval({sequence}, max(id)) FROM {name}"))


def _linked(ids: Mapping[str, Mapping[int, int]], kind: _Kind, column: str, value: int) -> int:
    try:
        return ids[kind.links[column]][value]
    except KeyError:
        raise StoreError(
            f"incomplete dump: a row of {kind.table.name} points at row {value} of "
            f"{kind.links[column]}, which is missing; nothing was imported"
        ) from None


def _count(tx: Transaction) -> int:
    return sum(_counts(tx, (kind.table for kind in _KINDS)))


def _counts(tx: Transaction, tables: Iterable[Table]) -> Iterator[int]:
    for table in tables:
        yield int(tx.conn.execute(select(func.count()).select_from(table)).scalar_one())


def _is_gzipped(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _opened(file: Path, mode: Literal["rt", "wt"], *, gzipped: bool) -> IO[str]:
    if gzipped:
        return gzip.open(file, mode, encoding="utf-8")
    return file.open(mode, encoding="utf-8")
