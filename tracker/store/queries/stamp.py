"""A cheap stamp that changes when the store does, for callers that cache answers."""

from __future__ import annotations

from sqlalchemy import func, select

from tracker.store import tables as t
from tracker.store.engine import parse_url, sqlite_file, translated
from tracker.store.store import Store


def version_stamp(store: Store) -> str:
    """Return a text that differs after a write; equal texts mean nothing worth showing changed.

    On SQLite it comes from the file and its write-ahead log, on PostgreSQL from the newest keys
    and times of what grows; neither reads more than a few rows, however much the store holds.

    Raises:
        StoreError: The database failed.
    """
    url = parse_url(store.engine_url)
    file = sqlite_file(url)
    if file is not None:
        marks = []
        for path in (file, file.with_name(file.name + "-wal")):
            try:
                status = path.stat()
            except FileNotFoundError:
                marks.append("none")
            else:
                marks.append(f"{status.st_mtime_ns}.{status.st_size}")
        return "/".join(marks)
    questions = (
        func.max(t.run.c.id),
        func.max(t.result.c.id),
        func.max(t.change_point.c.id),
        func.max(t.verdict.c.id),
        func.max(t.gate.c.started_at),
        func.max(t.gate.c.finished_at),
        func.max(t.alert.c.updated_at),
        func.max(t.alert_event.c.id),
        func.max(t.account.c.added_at),
        func.count(t.account.c.id),
        func.max(t.job.c.id),
        func.max(t.job.c.started_at),
        func.max(t.job.c.finished_at),
        func.sum(t.calibration.c.gates),
        func.max(t.ingest_problem.c.id),
        func.max(t.explanation.c.id),
        func.max(t.project.c.metric_rules),
    )
    with translated(url), store.reading() as conn:
        return "/".join(str(conn.execute(select(question)).scalar()) for question in questions)
