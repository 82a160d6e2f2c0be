"""What the process of a job does, on whatever node: begin the attempt, measure, keep the end.

The store checks with every write that the attempt is still this process's. A node that was given
up and comes back, or a second process of one attempt, measures for nothing and writes nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tracker.bisect import bisect
from tracker.calibrate import calibrate
from tracker.domain import JobClaim, JobInfo
from tracker.errors import JobLostError, MeasurementError, PacekeeperError, UsageError
from tracker.gate.alpha_check import alpha_warning
from tracker.gate.measured import gate_commits
from tracker.gate.policy import Policy
from tracker.gate.policy_file import load_policy
from tracker.gate.progress import SilentProgress
from tracker.measure.commit_range import measure_range
from tracker.measure.git import Commit, Repository
from tracker.measure.launch import Runner
from tracker.measure.machine import node_name
from tracker.measure.project import MeasuredProject, load_project
from tracker.measure.recorder import Recorder
from tracker.measure.runners import make_runner
from tracker.report import Report
from tracker.report.bisect import headline
from tracker.requests import fix_verdict
from tracker.store import Store, queries
from tracker.stored_findings import triaged_at

__all__ = ["load_tree", "work_on"]

_log = logging.getLogger("pacekeeper.job")


@dataclass(frozen=True, slots=True)
class _Bench:
    """What a job measures with."""

    store: Store
    repository: Repository
    runner: Runner
    recorder: Recorder
    policy: Policy

    def commit(self, ref: str) -> Commit:
        """Return a commit, fetched where this clone lacks it.

        Raises:
            UsageError: No remote has it.
        """
        try:
            digest = self.repository.resolve(ref)
        except UsageError:
            if not self.repository.run("remote").split():
                raise
            self.repository.run("fetch", "--quiet", "--all")
            digest = self.repository.resolve(ref)
        (commit,) = self.repository.describe([digest])
        return commit

    def pairs(self, base: Commit, head: Commit) -> Report:
        report = gate_commits(
            self.recorder, self.runner, base, head, self.policy,
            listener=SilentProgress(), resume=True,
        )  # fmt: skip
        if report.stopped == "interrupted":
            raise KeyboardInterrupt
        return report


def load_tree(root: str) -> MeasuredProject:
    """The project of a checkout, with its policy's settings of what is measured."""
    policy = load_policy(start=Path(root))
    return load_project(start=Path(root), source=policy.source)


def work_on(db: str, root: str, claim: JobClaim) -> str | None:
    """Run one attempt of a job in a checkout and keep its end; return why it failed, or None.

    An interrupt leaves the attempt running in the store. The service queues the job again, and
    its next attempt counts what this one has stored.

    Raises:
        JobLostError: The attempt is not this process's to run, or no longer.
        StoreError: The store failed.
    """
    with Store.open(db, create=False) as store:
        job = queries.get_job(store, claim.job_id)
        if job.claim != claim:
            raise JobLostError(
                f"job {job.id} is in attempt {job.attempts}, not {claim.attempt}: it was handed out again"
            )
        store.work_for(job, node=node_name(), now=datetime.now(UTC))
        try:
            result, gate_id = _KINDS[job.kind](_open(store, root, job), job)
        except JobLostError:
            raise
        except Exception as error:
            known = isinstance(error, PacekeeperError)
            text = str(error) if known else f"a fault in Pacekeeper itself: {error!r}"
            store.finish_job(claim, "failed", text, now=datetime.now(UTC))
            if not known:
                _log.exception("job %d failed", job.id)
            return text
        store.finish_job(claim, "done", result, gate_id=gate_id, now=datetime.now(UTC))
    return None


def _open(store: Store, root: str, job: JobInfo) -> _Bench:
    tree = load_tree(root)
    policy = load_policy(start=tree.config_path.parent)
    if job.kind == "run":
        policy = replace(policy, bench=())
    elif job.kind in ("confirm", "verify fix"):
        names = [str(name) for name in _listed(job.arguments["benchmarks"])]
        policy = replace(policy, bench=tuple(rf"^{re.escape(name)}(\(|$)" for name in names))
    runner = make_runner(tree, policy, machine=job.machine)
    recorder = Recorder(
        store, job.project, tree.repository, python=runner.python, commit_url=policy.commit_url
    )
    return _Bench(store, tree.repository, runner, recorder, policy)


def _run(bench: _Bench, job: JobInfo) -> tuple[str, str | None]:
    """Launch a commit until the job has its launches, those of earlier attempts included."""
    wanted = int(str(job.arguments["launches"]))
    report = measure_range(
        bench.recorder,
        bench.runner,
        [bench.commit(job.revision.commit)],
        repeat=wanted,
        done_before={job.revision.commit: queries.job_launches(bench.store, job)},
        source="schedule",
    )
    if report.interrupted:
        raise KeyboardInterrupt
    (done,) = report.done
    if done.error is not None:
        raise MeasurementError(done.error)
    return f"launches stored: {wanted}", None


def _calibrate(bench: _Bench, job: JobInfo) -> tuple[str, str | None]:
    result = calibrate(
        bench.recorder,
        bench.runner,
        bench.commit(job.revision.commit),
        bench.policy,
        gates=int(str(job.arguments["gates"])),
        listener=SilentProgress(),
    )
    if result.interrupted:
        raise KeyboardInterrupt
    if result.broken or not result.gates:
        raise MeasurementError("; ".join(headline for _, headline in result.uncounted))
    blocks = queries.calibration_blocks(bench.store, job.project, machine=job.machine)
    if warning := alpha_warning(blocks, bench.policy.alpha):
        raise MeasurementError(warning)
    return f"{result.false_blocks} of {len(result.gates)} A/A gates called a regression", None


def _confirm(bench: _Bench, job: JobInfo) -> tuple[str, str | None]:
    report = bench.pairs(_commit(bench, job, "base"), _commit(bench, job, "head"))
    return report.headline, report.gate_id


def _verify_fix(bench: _Bench, job: JobInfo) -> tuple[str, str | None]:
    base, culprit, fix = (_commit(bench, job, name) for name in ("base", "head", "fix"))
    if fix.hash == culprit.hash or not bench.repository.is_ancestor(culprit.hash, fix.hash):
        raise UsageError(
            f"{fix.short} does not come after {culprit.short}, so it cannot be its fix"
        )
    report = bench.pairs(base, fix)
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
    "run": _run,
    "calibrate": _calibrate,
    "confirm": _confirm,
    "bisect": _bisect,
    "verify fix": _verify_fix,
}


def _commit(bench: _Bench, job: JobInfo, name: str) -> Commit:
    return bench.commit(str(job.arguments[name]))


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]
