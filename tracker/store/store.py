"""The store: opened once, written through its methods, read through `tracker.store.queries`.

Each writing method is a function of `tracker.store.writes`, run in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Concatenate, Literal, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Engine

from tracker.domain import (
    Arm,
    BenchmarkInfo,
    Fingerprint,
    JobClaim,
    JobInfo,
    Launch,
    NewRun,
    Recorded,
    ResultFile,
    RunSource,
)
from tracker.errors import StoreError
from tracker.store.engine import (
    BEGIN,
    make_engine,
    parse_url,
    require_place,
    shown,
    translated,
)
from tracker.store.schema import create_schema, read_schema, require_current
from tracker.store.transaction import Cache, Transaction
from tracker.store.writes import (
    accounts,
    alerts,
    deliveries,
    expectations,
    explanations,
    jobs,
    judgements,
    problems,
    pushes,
    quarantines,
    reference,
    results,
    services,
    tokens,
)

P = ParamSpec("P")
T = TypeVar("T")


def _writing(
    act: Callable[Concatenate[Transaction, P], T],
) -> Callable[Concatenate[Store, P], T]:
    """Return `act` as a method of the store that runs it in a writing transaction."""

    @wraps(act)
    def method(self: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.write(lambda tx: act(tx, *args, **kwargs))

    return method


class Store:
    """A SQLite file or PostgreSQL database of measurements.

    Every writing method is one transaction and idempotent unless it says otherwise; it raises
    `StoreError`, and writes nothing, where the database fails or the store was opened read-only.
    Several processes may write at once. Connections are pooled, so one store serves several threads
    that read; the writing methods are for one thread at a time.
    """

    def __init__(self, engine: Engine, *, read_only: bool = False) -> None:
        self._engine = engine
        self._read_only = read_only
        self._known: Cache = {}
        self._job: JobInfo | None = None

    @classmethod
    def open(cls, url: str, *, read_only: bool = False, create: bool = True) -> Self:
        """Open the store at `url`, creating and migrating it if the database is empty.

        Args:
            url: `sqlite:///FILE`, `sqlite://` (in memory, gone when closed) or
                `postgresql://USER@HOST/NAME`.
            read_only: Never create, migrate or write.
            create: Whether an empty or missing database becomes a store; never with `read_only`.

        Raises:
            UsageError: `url` is not the URL of a supported database.
            SchemaError: The schema is older (`tracker db upgrade` mends that), newer, or that
                of something else.
            StoreError: The directory is missing, the file is read-only, locked or no database,
                the server cannot be reached, or its driver is not installed; without
                `create`, also if there is no store.
        """
        create = create and not read_only
        parsed = parse_url(url)
        require_place(parsed, must_exist=not create)
        engine = make_engine(parsed, read_only=read_only)
        try:
            with translated(parsed), engine.connect() as connection:
                schema = read_schema(connection)
            if schema.state == "empty":
                if not create:
                    raise StoreError(
                        f"{shown(parsed)}: there is no store; ingest something first (tracker ingest)"
                    )
                with translated(parsed):
                    schema = create_schema(engine)
            require_current(schema, parsed)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, read_only=read_only)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back every connection. A closed store may be closed again."""
        self._engine.dispose()

    @property
    def url(self) -> str:
        """The store's URL without its password."""
        return shown(self._engine.url)

    @property
    def engine_url(self) -> str:
        """The store's URL as SQLAlchemy takes it, password included: not for printing."""
        return self._engine.url.render_as_string(hide_password=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection inside a read transaction: one state of the store throughout.

        Raises:
            StoreError: The database failed.
        """
        with translated(self._engine.url), self._engine.connect() as connection:
            if self._engine.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def write(self, act: Callable[[Transaction], T]) -> T:
        """Run `act` in a writing transaction, alone among all writers; return what it returns.

        Raises:
            JobLostError: The store works for a job (`work_for`) that is no longer this process's.
            StoreError: The store was opened read-only, or the database failed.
        """
        if self._read_only:
            raise StoreError(f"{self.url}: opened read-only")
        with (
            translated(self._engine.url),
            self._engine.connect().execution_options(**{BEGIN: "IMMEDIATE"}) as connection,
        ):
            job = self._job
            transaction = Transaction(connection, self._known, None if job is None else job.key)
            with connection.begin():
                if job is not None:
                    jobs.require_claim(transaction, job.claim)
                answer = act(transaction)
        # Only ids of a transaction that was kept may be remembered.
        for table, ids in transaction.fresh.items():
            self._known.setdefault(table, {}).update(ids)
        return answer

    record_project = _writing(reference.record_project)
    record_metric_rules = _writing(reference.record_metric_rules)
    record_machine = _writing(reference.record_machine)
    record_benchmarks = _writing(reference.record_benchmarks)
    record_revisions = _writing(reference.record_revisions)

    record_runs = _writing(results.record_runs)
    record_seen = _writing(results.record_seen)
    record_problems = _writing(problems.record_problems)
    forget_problems = _writing(problems.forget_problems)
    answer_push = _writing(pushes.answer_push)

    def record_file(
        self,
        project: str,
        file: ResultFile,
        *,
        benchmarks: Mapping[str, BenchmarkInfo],
        source: RunSource = "ingest",
        fingerprint: Fingerprint | None = None,
        launches: Sequence[Launch] = (),
        gate_id: str | None = None,
        pair: int | None = None,
        arm: Arm | None = None,
        node: str | None = None,
    ) -> Recorded:
        """Write one result file as `record_runs` does; the arguments are those of `NewRun`."""
        run = NewRun(
            file, benchmarks, source, fingerprint, tuple(launches), gate_id, pair, arm, node
        )
        (recorded,) = self.record_runs(project, [run])
        return recorded

    record_searches = _writing(judgements.record_searches)
    begin_gate = _writing(judgements.begin_gate)
    finish_gate = _writing(judgements.finish_gate)
    record_calibration = _writing(judgements.record_calibration)
    record_expectation = _writing(expectations.record_expectation)
    record_explanation = _writing(explanations.record_explanation)
    record_quarantine = _writing(quarantines.record_quarantine)
    release_gpu = _writing(quarantines.release_gpu)

    open_alert = _writing(alerts.open_alert)
    triage = _writing(alerts.triage)
    note_alert = _writing(alerts.note_alert)
    say_fixed_by = _writing(alerts.say_fixed_by)
    expire_alert = _writing(alerts.expire_alert)
    plan_deliveries = _writing(deliveries.plan_deliveries)
    claim_delivery = _writing(deliveries.claim_delivery)
    finish_delivery = _writing(deliveries.finish_delivery)
    fail_delivery = _writing(deliveries.fail_delivery)

    request_job = _writing(jobs.request_job)
    take_job = _writing(jobs.take_job)
    cancel_job = _writing(jobs.cancel_job)
    end_cancelled = _writing(jobs.end_cancelled)
    requeue_job = _writing(jobs.requeue_job)
    put_back_job = _writing(jobs.put_back_job)
    note_job = _writing(jobs.note_job)
    record_task = _writing(services.record_task)
    quarantine_node = _writing(services.quarantine_node)
    release_node = _writing(services.release_node)

    def work_for(self, job: JobInfo, *, node: str, now: datetime) -> None:
        """Begin an attempt of a job. From now on each write first checks that it is still this one's.

        Raises:
            JobLostError: Another process has begun it, or it was handed out again or cancelled.
        """
        self.write(lambda tx: jobs.begin_job(tx, job.claim, node, now))
        self._job = job

    def finish_job(
        self,
        claim: JobClaim,
        state: Literal["done", "failed"],
        result: str,
        *,
        gate_id: str | None = None,
        now: datetime,
    ) -> None:
        """Keep the end of a running attempt.

        Raises:
            JobLostError: It is not the attempt that runs.
        """
        self.write(lambda tx: jobs.finish_job(tx, claim, state, result, gate_id, now))
        self._job = None

    record_token = _writing(tokens.record_token)
    revoke_token = _writing(tokens.revoke_token)
    add_account = _writing(accounts.add_account)
    remove_account = _writing(accounts.remove_account)
