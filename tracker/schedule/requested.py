"""The work that people asked for: taken from the store's queue one by one, ended with a result."""

from __future__ import annotations

import logging
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tracker.bisect import bisect
from tracker.domain import JobInfo
from tracker.errors import MeasurementError, PacekeeperError, UsageError
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.policy_file import load_policy
from tracker.gate.progress import SilentProgress
from tracker.measure.git import Commit, Repository
from tracker.measure.launch import Runner
from tracker.measure.recorder import Recorder
from tracker.measure.runners import make_runner
from tracker.report import Report
from tracker.report.bisect import headline
from tracker.requests import fix_verdict
from tracker.schedule.jobs import find_and_alert, load_tree, make_recorder
from tracker.schedule.stopping import STOP
from tracker.store import Store, queries
from tracker.stored_findings import triaged_at

__all__ = ["requested", "service_name"]

_log = logging.getLogger("pacekeeper.schedule")


@dataclass(frozen=True, slots=True)
class _Bench:
    """What a job measures with."""

    store: Store
    repository: Repository
    runner: Runner
    recorder: Recorder
    policy: Policy

    def commit(self, ref: str) -> Commit:
        (commit,) = self.repository.describe([self.repository.resolve(ref)])
        return commit

    def pairs(self, base: Commit, head: Commit) -> Report:
        return gate_commits(
            self.recorder, self.runner, base, head, self.policy,
            listener=SilentProgress(), resume=True,
        )  # fmt: skip


def service_name(root: str, machine: str) -> str:
    """What a service is called in the jobs that it takes: the same after a restart."""
    return f"{platform.node()}:{root}:{machine}"


def requested(*, db: str, root: str, project: str, machine: str) -> None:
    """Run every queued job of this machine, oldest first, then find shifts and alert.

    Raises:
        MeasurementError: A job failed; the others were run.
        StoreError: The store failed.
    """
    service = service_name(root, machine)
    failed: list[str] = []
    num_done = 0
    with Store.open(db) as store:
        while not STOP.is_set():
            now = datetime.now(UTC)
            job_id = store.take_job(project, machine, service=service, now=now)
            if job_id is None:
                break
            job = queries.get_job(store, job_id)
            _log.info("%s of %s for %s", job.kind, job.revision.commit[:12], job.asked_by)
            if (error := _run(store, root, job)) is not None:
                failed.append(f"{job.kind} of {job.revision.commit[:12]}: {error}")
            num_done += 1
        if num_done and not STOP.is_set():
            find_and_alert(store, root, project, machine)
    if failed:
        raise MeasurementError("; ".join(failed))


def _run(store: Store, root: str, job: JobInfo) -> str | None:
    """Run a job and keep its end; return why it failed, or None.

    An interrupt leaves it running: the service queues it again when it starts, and its gate goes
    on with the pairs that it has.
    """
    try:
        result, gate_id = _KINDS[job.kind](_open(store, root, job), job)
    except Exception as error:
        known = isinstance(error, PacekeeperError)
        text = str(error) if known else f"a fault in Pacekeeper itself: {error!r}"
        store.finish_job(job.id, "failed", text, now=datetime.now(UTC))
        if not known:
            _log.exception("job %d failed", job.id)
        return text
    store.finish_job(job.id, "done", result, gate_id=gate_id, now=datetime.now(UTC))
    return None


def _open(store: Store, root: str, job: JobInfo) -> _Bench:
    tree = load_tree(root)
    policy = load_policy(start=tree.config_path.parent)
    names = _names(job.arguments)
    if job.kind != "bisect":
        policy = replace(policy, bench=tuple(rf"^{re.escape(name)}(\(|$)" for name in names))
    runner = make_runner(tree, policy, machine=job.machine)
    recorder = make_recorder(store, tree, job.project, runner)
    return _Bench(store, tree.repository, runner, recorder, policy)


def _confirm(bench: _Bench, job: JobInfo) -> tuple[str, str | None]:
    report = bench.pairs(_commit(bench, job, "base"), _commit(bench, job, "head"))
    _require_uninterrupted(report)
    return report.headline, report.gate_id


def _verify_fix(bench: _Bench, job: JobInfo) -> tuple[str, str | None]:
    base, culprit, fix = (_commit(bench, job, name) for name in ("base", "head", "fix"))
    if fix.hash == culprit.hash or not bench.repository.is_ancestor(culprit.hash, fix.hash):
        raise UsageError(
            f"{fix.short} does not come after {culprit.short}, so it cannot be its fix"
        )
    report = bench.pairs(base, fix)
    _require_uninterrupted(report)
    assert report.gate_id is not None
    gate = queries.get_gate(bench.store, report.gate_id)
    alert_id = job.arguments["alert"]
    items = triaged_at(bench.store, job.project, culprit.hash)
    item = next((i for i in items if i.alert is not None and i.alert.id == alert_id), None)
    if item is None:
        raise UsageError(
            f"alert {alert_id} covers no level shift at {culprit.short} any more; "
            "open its page and ask again"
        )
    is_fixed, text = fix_verdict(item.finding, gate)
    bench.store.note_alert(
        int(str(alert_id)),
        "fix" if is_fixed else "not fixed",
        text,
        now=datetime.now(UTC),
        move="fix" if is_fixed else None,
    )
    return ("fixed: " if is_fixed else "") + text, report.gate_id


def _bisect(bench: _Bench, job: JobInfo) -> tuple[str, str | None]:
    good, bad = _commit(bench, job, "base"), _commit(bench, job, "head")
    if good.hash == bad.hash or not bench.repository.is_ancestor(good.hash, bad.hash):
        raise UsageError(f"{good.short} is not an ancestor of {bad.short}")
    result = bisect(
        bench.recorder,
        bench.runner,
        good,
        bench.repository.commits(f"{good.hash}..{bad.hash}"),
        bench.policy,
        metric=str(job.arguments["metric"]),
        listener=SilentProgress(),
    )
    if result.interrupted:
        raise KeyboardInterrupt
    return headline(result), None


_KINDS: Mapping[str, Callable[[_Bench, JobInfo], tuple[str, str | None]]] = {
    "confirm": _confirm,
    "bisect": _bisect,
    "verify fix": _verify_fix,
}


def _commit(bench: _Bench, job: JobInfo, name: str) -> Commit:
    return bench.commit(str(job.arguments[name]))


def _names(arguments: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in arguments["benchmarks"]]


def _require_uninterrupted(report: Report) -> None:
    if report.stopped == "interrupted":
        raise KeyboardInterrupt
