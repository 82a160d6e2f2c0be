"""The store: opened once, written through its methods, read through `tracker.store.queries`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from sqlalchemy import Connection, Engine

from tracker.domain import (
    Arm,
    BenchmarkInfo,
    CalibrationBlock,
    Expectation,
    ExplanationInfo,
    Fingerprint,
    JobKind,
    Launch,
    LevelShift,
    MachineInfo,
    NewRun,
    Outcome,
    Problem,
    QuarantinedGpu,
    Recorded,
    ResultFile,
    RevisionRecord,
    Role,
    RunSource,
    Search,
    SeenFile,
    TokenInfo,
    VerdictInfo,
)
from tracker.errors import StoreError
from tracker.metrics import MetricRule
from tracker.push import Push
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
    tokens,
    triage,
)
from tracker.triage import Act, Move

T = TypeVar("T")


class Store:
    """A SQLite file or PostgreSQL database of measurements.

    Every writing method is one transaction and idempotent unless it says otherwise; several
    processes may write at once. Connections are pooled, so one store serves several threads
    that read; the writing methods are for one thread at a time.
    """

    def __init__(self, engine: Engine, *, read_only: bool = False) -> None:
        self._engine = engine
        self._read_only = read_only
        self._known: Cache = {}

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
            StoreError: The store was opened read-only, or the database failed.
        """
        if self._read_only:
            raise StoreError(f"{self.url}: opened read-only")
        with (
            translated(self._engine.url),
            self._engine.connect().execution_options(**{BEGIN: "IMMEDIATE"}) as connection,
        ):
            transaction = Transaction(connection, self._known)
            with connection.begin():
                answer = act(transaction)
        # Only ids of a transaction that was kept may be remembered.
        for table, ids in transaction.fresh.items():
            self._known.setdefault(table, {}).update(ids)
        return answer

    # --- what results refer to ---------------------------------------------------------------

    def record_project(self, name: str, *, commit_url: str | None = None) -> None:
        """Make sure the project exists; a `commit_url` (with `{commit}`) replaces the one before.

        Raises:
            StoreError: The database failed.
        """
        self.write(lambda tx: reference.record_project(tx, name, commit_url))

    def record_metric_rules(self, project: str, rules: Iterable[MetricRule]) -> None:
        """Keep what the project's pacekeeper.toml says of its metrics; replaces what stood.

        Series are read with these rules from then on, those measured before included.
        """
        listed = list(rules)
        self.write(lambda tx: reference.record_metric_rules(tx, project, listed))

    def record_machine(self, project: str, machine: MachineInfo) -> None:
        """Make sure the machine exists; fields that are known replace those stored."""
        self.write(lambda tx: reference.record_machine(tx, project, machine))

    def record_benchmarks(self, project: str, infos: Iterable[BenchmarkInfo]) -> None:
        """Insert benchmarks, or renew unit, direction and kind of the same name and version."""
        listed = list(infos)
        self.write(lambda tx: reference.record_benchmarks(tx, project, listed))

    def record_revisions(self, project: str, records: Iterable[RevisionRecord]) -> None:
        """Insert revisions, or fill in the parents, subject and branch of known ones."""
        listed = list(records)
        self.write(lambda tx: reference.record_revisions(tx, project, listed))

    # --- measurements ------------------------------------------------------------------------

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
    ) -> Recorded:
        """Write one result file in one transaction, with everything it refers to.

        A file whose bytes were recorded before adds nothing. Otherwise it becomes a run, and
        each of its measurements is added unless one with its series, revision and start time
        stands already.

        Args:
            project: Name; created if need be.
            file: What `tracker.asvfmt` read.
            benchmarks: By benchmark name; used where the benchmark's version is new.
            source: Who measured.
            fingerprint: Of the machine and software; None: not known.
            launches: Launch artifacts that belong to this file.
            gate_id: The gate this was measured for, with `pair` and `arm`.
            pair: Number of the gate's pair.
            arm: Side of the gate's pair.

        Raises:
            UsageError: The gate does not exist.
            StoreError: The database failed; nothing was written.
        """
        run = NewRun(file, benchmarks, source, fingerprint, tuple(launches), gate_id, pair, arm)
        (recorded,) = self.record_runs(project, [run])
        return recorded

    def record_runs(self, project: str, runs: Sequence[NewRun]) -> list[Recorded]:
        """Write several files, each as `record_file` does, all in one transaction.

        Raises:
            UsageError: A gate does not exist.
            StoreError: The database failed; none of them was written.
        """
        return self.write(lambda tx: results.record_runs(tx, project, runs))

    def record_seen(self, project: str, seen: Mapping[str, SeenFile]) -> None:
        """Remember files that were read whole, by the key of their path, in place of what stood."""
        listed = dict(seen)
        self.write(lambda tx: results.record_seen(tx, project, listed))

    def record_problems(self, project: str, found: Iterable[Problem]) -> None:
        """Keep problems; one that is kept already stays as it is."""
        listed = list(found)
        self.write(lambda tx: problems.record_problems(tx, project, listed))

    def forget_problems(
        self, project: str, places: Iterable[str], *, keep: Iterable[Problem] = ()
    ) -> None:
        """Delete the stored problems of files at or below `places`, but those in `keep`."""
        listed, kept = list(places), list(keep)
        self.write(lambda tx: problems.forget_problems(tx, project, listed, kept))

    def answer_push(
        self,
        project: str,
        push: Push,
        *,
        key: str,
        digest: str,
        answer: Callable[[list[Recorded]], str],
    ) -> str:
        """Write a push in one transaction and return its answer; a repeated key changes nothing.

        Args:
            project: Name; created if need be.
            push: What to write.
            key: Idempotency key; a second push with it gets the answer of the first.
            digest: Of the request that the key belongs to.
            answer: From what each file added to the text that is kept and returned.

        Raises:
            RepeatedKeyError: The key was used for another request.
            StoreError: The database failed; nothing was written.
        """

        def act(tx: Transaction) -> str:
            return pushes.answer_once(
                tx, project, key, digest, lambda: answer(pushes.record_push(tx, project, push))
            )

        return self.write(act)

    # --- tokens of the HTTP service ----------------------------------------------------------

    def record_token(self, token: TokenInfo, *, digest: str) -> None:
        """Keep a new token; `digest` is the SHA-256 of its secret, in hex."""
        self.write(lambda tx: tokens.record_token(tx, token, digest))

    def revoke_token(self, prefix: str, *, now: datetime) -> None:
        """Revoke a token for good; a second time changes nothing.

        Raises:
            UsageError: No such token.
            StoreError: The database failed.
        """
        self.write(lambda tx: tokens.revoke_token(tx, prefix, now))

    # --- conclusions -------------------------------------------------------------------------

    def record_searches(self, searches: Sequence[Search]) -> None:
        """Replace the stored level shifts of each series searched, and what they follow from."""
        self.write(lambda tx: judgements.record_searches(tx, searches))

    def replace_shifts(
        self, series_id: int, shifts: Iterable[LevelShift], *, algorithm: str
    ) -> None:
        """Replace the stored level shifts of one series; the next search is due at once."""
        self.record_searches([Search(series_id, list(shifts), algorithm)])

    def begin_gate(
        self, project: str, *, base: str, head: str, machine: str, policy: Mapping[str, Any]
    ) -> str:
        """Open a gate between two recorded revisions (full hashes) and return its id.

        Not idempotent: every call opens another gate.

        Raises:
            UsageError: A commit is not recorded; see `record_revisions`.
            StoreError: The database failed.
        """
        return self.write(
            lambda tx: judgements.begin_gate(tx, project, base, head, machine, policy)
        )

    def finish_gate(
        self,
        gate_id: str,
        exit_code: int,
        verdicts: Iterable[VerdictInfo],
        pairs: int,
        *,
        outcome: Outcome | None = None,
        course: Mapping[str, Any] | None = None,
    ) -> None:
        """Close a gate with its verdicts; a second call replaces the first.

        Args:
            gate_id: From `begin_gate`.
            exit_code: As the command line exits.
            verdicts: One a judged metric.
            pairs: Valid pairs.
            outcome: In one word; None derives it from the other columns when read.
            course: What the pairs do not tell, as JSON values.

        Raises:
            UsageError: No such gate.
            StoreError: The database failed.
        """
        listed = list(verdicts)
        self.write(
            lambda tx: judgements.finish_gate(
                tx, gate_id, exit_code, listed, pairs, outcome, course
            )
        )

    def record_calibration(self, project: str, block: CalibrationBlock) -> None:
        """Keep a block of A/A gates; a second call with its machine and start replaces the counts.

        Raises:
            StoreError: The database failed.
        """
        self.write(lambda tx: judgements.record_calibration(tx, project, block))

    def record_expectation(self, project: str, expectation: Expectation) -> None:
        """Keep an intended change; it replaces one of the same metric and commit.

        Raises:
            StoreError: The database failed.
        """
        self.write(lambda tx: expectations.record_expectation(tx, project, expectation))

    def record_explanation(self, project: str, explanation: ExplanationInfo) -> None:
        """Keep an explanation; it replaces the one of the same machine and commits.

        Raises:
            StoreError: The database failed.
        """
        self.write(lambda tx: explanations.record_explanation(tx, project, explanation))

    def record_quarantine(self, gpu: QuarantinedGpu) -> None:
        """Keep a GPU's launches from counting, in every project; one already kept stays as it is.

        Raises:
            StoreError: The database failed.
        """
        self.write(lambda tx: quarantines.record_quarantine(tx, gpu))

    def release_gpu(self, gpu: str, because: str) -> bool:
        """Let a GPU's launches count again; return whether it was in quarantine.

        Raises:
            StoreError: The database failed.
        """
        return self.write(lambda tx: quarantines.release_gpu(tx, gpu, because))

    def open_alert(
        self,
        project: str,
        *,
        key: str,
        title: str,
        detail: str,
        revision_commit: str | None = None,
        machine: str | None = None,
        num_series: int = 0,
        worst_effect: float | None = None,
    ) -> tuple[int, bool]:
        """Open an alert, unless one was ever opened under `key`; return (id, is new).

        Raises:
            UsageError: `revision_commit` is not recorded.
            StoreError: The database failed.
        """
        return self.write(
            lambda tx: judgements.open_alert(
                tx, project, key, title, detail, revision_commit, machine, num_series, worst_effect
            )
        )

    def triage(self, alert_ids: Sequence[int], act: Act, *, by: str, now: datetime) -> None:
        """Do one thing to each alert and keep who did it and when; all or none.

        Args:
            alert_ids: Which alerts.
            act: A value of `tracker.triage`.
            by: Who does it: a name or an e-mail address.
            now: When.

        Raises:
            UsageError: No such alert, or one that this cannot be done to.
            StoreError: The database failed.
        """
        self.write(lambda tx: triage.triage(tx, alert_ids, act, by, now))

    def note_alert(
        self, alert_id: int, action: str, text: str, *, now: datetime, move: Move | None = None
    ) -> None:
        """Add what the tracker itself has to say to an alert's history, with a move if any.

        Raises:
            UsageError: No such alert, or the move is impossible from its state.
            StoreError: The database failed.
        """
        self.write(lambda tx: triage.note(tx, alert_id, action, text, now, move))

    # --- deliveries of alerts ----------------------------------------------------------------

    def plan_deliveries(
        self,
        wanted: Iterable[tuple[int, str, str]],
        *,
        dropped: Iterable[int] = (),
        now: datetime,
    ) -> None:
        """Plan deliveries (alert, sink, stage) that are not there yet; give up `dropped` ones."""
        listed, given_up = list(wanted), list(dropped)

        def act(tx: Transaction) -> None:
            deliveries.plan(tx, listed, now)
            deliveries.drop(tx, given_up, now)

        self.write(act)

    def claim_delivery(self, delivery_id: int, *, now: datetime, lease: timedelta) -> bool:
        """Hold a delivery that is due for `lease`; return whether no other process holds it."""
        return self.write(lambda tx: deliveries.claim(tx, delivery_id, now, lease))

    def finish_delivery(self, delivery_id: int, *, reference: str | None, now: datetime) -> None:
        """Say that it arrived, on the alert as well."""
        self.write(lambda tx: deliveries.finish(tx, delivery_id, reference, now))

    def fail_delivery(
        self, delivery_id: int, error: str, *, next_at: datetime, now: datetime
    ) -> None:
        """Say why it did not arrive, on the alert as well; it is tried again from `next_at` on."""
        self.write(lambda tx: deliveries.fail(tx, delivery_id, error, next_at, now))

    def say_fixed_by(self, alert_id: int, commit: str, *, by: str, now: datetime) -> None:
        """Keep which commit is said to fix an alert, by its full hash; its state stays.

        Raises:
            UsageError: No such alert, or it is closed.
            StoreError: The database failed.
        """
        self.write(lambda tx: triage.say_fixed_by(tx, alert_id, commit, by, now))

    def expire_alert(self, alert_id: int, *, now: datetime) -> bool:
        """Reopen an alert whose acceptance has ended; return whether it had.

        Raises:
            UsageError: No such alert.
            StoreError: The database failed.
        """
        return self.write(lambda tx: triage.expire(tx, alert_id, now))

    # --- the service's queue -----------------------------------------------------------------

    def request_job(
        self,
        project: str,
        kind: JobKind,
        *,
        machine: str,
        commit: str,
        arguments: Mapping[str, Any],
        by: str,
        now: datetime,
    ) -> tuple[int, bool]:
        """Queue work for the service of a machine; return (id, is new).

        The same work, while it waits or runs, is not queued again.

        Raises:
            UsageError: No such machine or commit.
            StoreError: The database failed.
        """
        return self.write(
            lambda tx: jobs.request_job(tx, project, machine, commit, kind, arguments, by, now)
        )

    def take_job(self, project: str, machine: str, *, service: str, now: datetime) -> int | None:
        """Take the oldest queued job of a machine for a service; None where nothing waits.

        Raises:
            StoreError: The database failed.
        """
        return self.write(lambda tx: jobs.take_job(tx, project, machine, service, now))

    def finish_job(
        self,
        job_id: int,
        state: Literal["done", "failed"],
        result: str,
        *,
        gate_id: str | None = None,
        now: datetime,
    ) -> None:
        """Keep the end of a running job.

        Raises:
            StoreError: The database failed.
        """
        self.write(lambda tx: jobs.finish_job(tx, job_id, state, result, gate_id, now))

    def requeue_jobs(self, service: str, *, now: datetime) -> int:
        """Queue again the jobs that a service had taken when it was cut off; return how many.

        Raises:
            StoreError: The database failed.
        """
        return self.write(lambda tx: jobs.requeue_jobs(tx, service, now))

    # --- who may write from the dashboard ----------------------------------------------------

    def add_account(self, email: str, role: Role, *, by: str, now: datetime) -> None:
        """Give an e-mail address a role, in the place of the one it had.

        Raises:
            UsageError: It is no e-mail address.
            StoreError: The database failed.
        """
        self.write(lambda tx: accounts.add_account(tx, email, role, by, now))

    def remove_account(self, email: str) -> None:
        """Take an e-mail address its role.

        Raises:
            UsageError: It has none.
            StoreError: The database failed.
        """
        self.write(lambda tx: accounts.remove_account(tx, email))
