"""What the service does by itself: fixed tasks, each short; measuring is left to jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tracker.alerts import notify
from tracker.changepoints import analyze
from tracker.domain import (
    PRIORITY_BACKFILL,
    PRIORITY_CALIBRATE,
    PRIORITY_CONFIRM,
    PRIORITY_NEW,
    PRIORITY_NIGHTLY,
    JobKind,
    QuarantinedNode,
)
from tracker.errors import MeasurementError, PacekeeperError, UsageError
from tracker.execute.work import load_tree
from tracker.findings import Finding, worth_confirming
from tracker.gate.policy_file import load_policy
from tracker.measure.git import Repository
from tracker.measure.project import MeasuredProject
from tracker.measure.recorder import Recorder
from tracker.measure.worktree import Worktrees, state_dir
from tracker.members import sick_members
from tracker.requests import request
from tracker.schedule.backfill import backfill_of
from tracker.schedule.branch import fetch_head, new_of, recent_commits
from tracker.schedule.plan import Daily, Every, Options
from tracker.store import Store, queries
from tracker.store.queries.measured import measured_commits
from tracker.stored_findings import stored_findings, triaged_at

__all__ = ["BY", "MAX_FAILURES", "Task", "find_and_alert", "tasks_of"]

BY = "tracker schedule"  # who asks for the jobs that the service queues by itself
LOOK_BACK = 1000  # commits of a branch among which the last measured one is looked for
MAX_FAILURES = 3  # jobs of one commit; then it is left alone
RETRY_AFTER = timedelta(minutes=10)  # after the first failure of a commit; twice after the second
REFRESH_SECONDS = 300  # between two searches where no job has ended
CONFIRMATIONS = 3  # findings that one search queues at most
KEEP_BACKUPS = 7
KEEP_LOG_DAYS = 30

_log = logging.getLogger("pacekeeper.schedule")


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the service: `act` gets the store, the time that the run is for, and the present."""

    name: str
    when: Every | Daily
    act: Callable[[Store, datetime, datetime], None]


def tasks_of(options: Options, machines: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks that `options` ask for, for the machine classes that have an executor."""
    acts = _Acts(options, machines)
    tasks = [
        Task("new commits", Every(options.interval), acts.new_commits),
        Task("search", Every(REFRESH_SECONDS), acts.search),
    ]
    daily = {
        "nightly": (options.nightly, acts.nightly),
        "calibrate": (options.calibrate, acts.calibrate),
        "backfill": (options.backfill, acts.backfill),
        "prune": (options.prune, acts.prune),
        "backup": (options.backup, acts.backup),
    }
    for name, (time, act) in daily.items():
        if time is not None:
            tasks.append(Task(name, Daily(*time), act))
    return tuple(tasks)


@dataclass(frozen=True, slots=True)
class _Acts:
    """The acts of the tasks. Each may run twice for one time, and queues its work once."""

    options: Options
    machines: Sequence[str]

    def new_commits(self, store: Store, _at: datetime, now: datetime) -> None:
        """Queue the commits that are new on each branch, and those whose measurement failed before.

        Raises:
            UsageError: A branch cannot be fetched; the others were looked at.
        """
        tree, problems = self._tree(), []
        for branch in self.options.branches:
            try:
                recent = _recent(tree, branch)
            except UsageError as error:
                problems.append(str(error))
                continue
            for machine in self.machines:
                measured = measured_commits(store, self.options.project, machine)
                failures = queries.failed_runs(store, self.options.project, machine)
                again = {c for c, (count, _) in failures.items() if count < MAX_FAILURES}
                new = [c for c in new_of(recent, measured, again) if _may_run(failures.get(c), now)]
                for commit in new:
                    self._queue(store, tree, "run", machine, commit, {"launches": 1}, now,
                                priority=PRIORITY_NEW)  # fmt: skip
        if problems:
            raise UsageError("; ".join(problems))

    def nightly(self, store: Store, at: datetime, now: datetime) -> None:
        """Queue repeat launches of each branch's head, so that its values rest on several."""
        tree = self._tree()
        for branch in self.options.branches:
            head = fetch_head(tree.repository, branch)
            for machine in self.machines:
                arguments = {"launches": self.options.launches, "night": f"{at:%Y-%m-%d %H:%M}"}
                self._queue(store, tree, "run", machine, head, arguments, now,
                            priority=PRIORITY_NIGHTLY, once=True)  # fmt: skip

    def calibrate(self, store: Store, at: datetime, now: datetime) -> None:
        """Queue A/A gates of the first branch's head; they are pooled with those of other nights."""
        tree = self._tree()
        head = fetch_head(tree.repository, self.options.branches[0])
        for machine in self.machines:
            arguments = {"gates": self.options.gates, "night": f"{at:%Y-%m-%d %H:%M}"}
            self._queue(store, tree, "calibrate", machine, head, arguments, now,
                        priority=PRIORITY_CALIBRATE, once=True)  # fmt: skip

    def backfill(self, store: Store, _at: datetime, now: datetime) -> None:
        """Queue the most informative older commits of each branch that have no value."""
        tree, project = self._tree(), self.options.project
        findings = stored_findings(store, project)
        for branch in self.options.branches:
            recent = _recent(tree, branch)
            for machine in self.machines:
                failures = queries.failed_runs(store, project, machine)
                chosen = backfill_of(
                    recent,
                    measured_commits(store, project, machine),
                    self.options.commits,
                    shifts=_open_shifts(findings, machine),
                    unusable=[c for c, (count, _) in failures.items() if count >= MAX_FAILURES],
                )
                for commit in chosen:
                    self._queue(store, tree, "run", machine, commit, {"launches": 1}, now,
                                priority=PRIORITY_BACKFILL)  # fmt: skip

    def search(self, store: Store, _at: datetime, now: datetime) -> None:
        """Find level shifts, send alerts, queue what confirms and explains them, look for sick nodes."""
        tree = self._tree()
        for machine in self.machines:
            findings = find_and_alert(
                store, self.options.root, self.options.project, machine, now=now
            )
            if self.options.confirm:
                _queue_confirmations(store, tree, self.options.project, machine, findings, now)
            _quarantine_sick(store, self.options.project, machine, now)

    def prune(self, store: Store, _at: datetime, now: datetime) -> None:
        """Remove old worktrees and job logs; thin out old samples and artifacts."""
        from tracker.store.prune import thin

        tree = self._tree()
        removed = Worktrees(tree.repository).prune()
        logs = state_dir(tree.repository.root) / "jobs"
        oldest = (now - timedelta(days=KEEP_LOG_DAYS)).timestamp()
        for file in logs.glob("*.log"):
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
        _log.info("removed %d old worktrees", len(removed))
        if self.options.keep_days is not None:
            gone = thin(store, now, keep_days=self.options.keep_days)
            _log.info("thinned out %d samples and %d artifacts", gone.samples, gone.artifacts)

    def backup(self, store: Store, _at: datetime, now: datetime) -> None:
        """Export the whole store, and remove all but the newest exports."""
        from tracker.store.dump import export_store

        given = self.options.backup_dir
        folder = Path(given) if given else state_dir(Path(self.options.root)) / "backups"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--backup-dir {folder}: {error.strerror}") from None
        file = folder / f"pacekeeper-{now:%Y%m%dT%H%M%SZ}.jsonl.gz"
        rows = export_store(store, file)
        for old in sorted(folder.glob("pacekeeper-*.jsonl.gz"))[:-KEEP_BACKUPS]:
            old.unlink(missing_ok=True)
        _log.info("backup of %d rows: %s", rows, file)

    def _tree(self) -> MeasuredProject:
        return load_tree(self.options.root)

    def _queue(
        self,
        store: Store,
        tree: MeasuredProject,
        kind: JobKind,
        machine: str,
        commit: str,
        arguments: Mapping[str, object],
        now: datetime,
        *,
        priority: int,
        once: bool = False,
    ) -> None:
        project = self.options.project
        url = load_policy(start=tree.config_path.parent).commit_url
        recorder = Recorder(store, project, tree.repository, python="", commit_url=url)
        recorder.commits(tree.repository.describe([commit]))
        job_id, is_new = store.request_job(
            project, kind, machine=machine, commit=commit, arguments=arguments, by=BY, now=now,
            priority=priority, add_machine=True, once=once,
        )  # fmt: skip
        if is_new:
            _log.info("job %d: %s of %s on %s", job_id, kind, commit[:12], machine)


def _recent(tree: MeasuredProject, branch: str) -> list[str]:
    return recent_commits(tree.repository, fetch_head(tree.repository, branch), limit=LOOK_BACK)


def _may_run(failure: tuple[int, datetime | None] | None, now: datetime) -> bool:
    if failure is None:
        return True
    count, last = failure
    return count < MAX_FAILURES and (last is None or now >= last + count * RETRY_AFTER)


def _open_shifts(findings: Sequence[Finding], machine: str) -> list[tuple[str, str]]:
    """Return the commits before and after each level shift that has not recovered, worst first."""
    return [
        (finding.before.commit, finding.revision.commit)
        for finding in findings
        if finding.machine == machine
        and finding.before is not None
        and any(
            not change.shift.recovered and change.shift.drift_commits is None
            for change in finding.changes
        )
    ]


def find_and_alert(
    store: Store, root: str, project: str, machine: str, *, now: datetime
) -> tuple[Finding, ...]:
    """Find shifts on a machine and alert; return them. Nothing where no series exists yet."""
    policy = load_policy(start=Path(root))
    store.record_metric_rules(project, policy.metrics)
    try:
        findings = analyze(store, project=project, machine=machine).findings
    except MeasurementError:
        return ()
    except UsageError:  # the machine has measured nothing so far
        return ()
    result = notify(store, project, policy.alerts, findings=findings, now=now)
    for alert in result.opened:
        _log.warning("alert %d: %s", alert.id, alert.title)
    for alert in result.closed:
        _log.info("alert %d is %s", alert.id, alert.history[-1].text)
    for failure in result.failures:
        _log.warning("%s", failure)
    return findings


def _queue_confirmations(
    store: Store,
    tree: MeasuredProject,
    project: str,
    machine: str,
    findings: Sequence[Finding],
    now: datetime,
) -> None:
    """Queue a paired run of each new regression, and a bisection of what that confirmed.

    Only for regressions that have an open alert: old ones, small ones and those that somebody has
    dealt with cost no device time. Each is asked for once.
    """
    unconfirmed = worth_confirming(findings)
    confirmed = [finding for finding in findings if finding.confirmation == "confirmed"]
    queued = 0
    for finding in (*unconfirmed, *confirmed):
        if queued == CONFIRMATIONS:
            break
        kind: JobKind = "bisect" if finding.confirmation == "confirmed" else "confirm"
        commit = finding.revision.commit
        asked = queries.list_jobs(store, project, commit=commit, machine=machine, limit=None)
        if any(job.kind == kind for job in asked):
            continue
        items = triaged_at(store, project, commit)
        item = next((i for i in items if i.finding.machine == machine), None)
        if item is None or item.alert is None or item.alert.state != "open":
            continue
        if kind == "bisect" and not _has_unknown_between(tree.repository, finding):
            continue
        try:
            job_id, is_new = request(store, item, kind, by=BY, now=now, priority=PRIORITY_CONFIRM)
        except PacekeeperError as error:
            _log.warning("no %s of %s: %s", kind, commit[:12], error)
            continue
        if is_new:
            queued += 1
            _log.info("job %d: %s of %s on %s", job_id, kind, commit[:12], machine)


def _has_unknown_between(repository: Repository, finding: Finding) -> bool:
    """Whether commits lie between the two that a paired run measured: one of them may be the cause."""
    if finding.before is None:
        return False
    try:
        between = repository.commits(f"{finding.before.commit}..{finding.revision.commit}")
    except UsageError:
        return False
    return len(between) > 1


def _quarantine_sick(store: Store, project: str, machine: str, now: datetime) -> None:
    """Quarantine members of a machine class whose control workload differs from the others'."""
    known = {
        item.node: item
        for item in queries.quarantined_nodes(store, project)
        if item.machine == machine
    }
    since = {node: item.released_at for node, item in known.items() if item.released_at is not None}
    launches = queries.member_launches(store, project, machine, since=since)
    values = queries.member_values(store, project, machine, since=since)
    for member in sick_members(launches, values):
        entry = known.get(member.node)
        if entry is not None and entry.released_at is None:
            continue
        reason = member.text
        store.quarantine_node(project, QuarantinedNode(machine, member.node, reason, BY, now))
        _log.error("node %s of %s is quarantined: %s", member.node, machine, reason)
