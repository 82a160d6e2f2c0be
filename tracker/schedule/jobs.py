"""The service's jobs: importable functions with plain arguments, as the job store keeps them.

Each opens what it needs and closes it, checks between commits whether the process was asked to
end, and raises what went wrong; the service reports it and goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from tracker.alerts import notify
from tracker.calibrate import calibrate as run_gates
from tracker.changepoints import analyze
from tracker.errors import MeasurementError
from tracker.gate.alpha_check import alpha_warning
from tracker.gate.policy_file import load_policy
from tracker.gate.progress import SilentProgress
from tracker.measure.commit_range import measure_range
from tracker.measure.git import Repository
from tracker.measure.launch import Runner
from tracker.measure.project import MeasuredProject, load_project
from tracker.measure.recorder import Recorder
from tracker.measure.runners import make_runner
from tracker.measure.worktree import Worktrees, state_dir
from tracker.schedule.attempts import MAX_ATTEMPTS, Attempts
from tracker.schedule.branch import backfill_of, fetch_head, new_of, recent_commits
from tracker.schedule.stopping import STOP
from tracker.store import Store
from tracker.store.queries import calibration_blocks
from tracker.store.queries.measured import measured_commits

__all__ = [
    "backfill",
    "calibrate",
    "find_and_alert",
    "load_tree",
    "make_recorder",
    "new_commits",
    "nightly",
    "prune",
]

LOOK_BACK = 1000  # commits of the branch among which the last measured one is looked for

# From the branch's commits, newest first, those that have values, and the failed attempts to the
# commits to measure, oldest first.
Choice = Callable[[Sequence[str], Collection[str], Attempts], list[str]]

_log = logging.getLogger("pacekeeper.schedule")


def new_commits(*, db: str, root: str, project: str, machine: str, branch: str) -> None:
    """Measure the commits that are new on the branch, then find shifts and alert.

    A commit that could not be measured is tried in three runs of this job, even after later
    commits were measured.

    Raises:
        MeasurementError: A commit could not be measured; the others were.
        UsageError: There is no such branch, or the checkout is no asv project.
        StoreError: The store failed.
    """

    def choose(recent: Sequence[str], measured: Collection[str], attempts: Attempts) -> list[str]:
        new = new_of(recent, measured, attempts.unfinished())
        return [commit for commit in new if not attempts.exhausted(commit)]

    _measure_chosen(db, root, project, machine, branch, "new", choose)


def backfill(*, db: str, root: str, project: str, machine: str, branch: str, commits: int) -> None:
    """Measure older commits of the branch that have no value yet, at most so many at a time.

    Raises:
        MeasurementError: A commit could not be measured; the others were.
        UsageError: There is no such branch, or the checkout is no asv project.
        StoreError: The store failed.
    """

    def choose(recent: Sequence[str], measured: Collection[str], attempts: Attempts) -> list[str]:
        tried = [commit for commit in recent if not attempts.exhausted(commit)]
        return backfill_of(tried, measured, commits)

    _measure_chosen(db, root, project, machine, branch, "missing", choose)


def calibrate(*, db: str, root: str, project: str, machine: str, branch: str, gates: int) -> None:
    """Run A/A gates of the head of the branch; they are pooled with those of other nights.

    Raises:
        MeasurementError: The gates refute the policy's alpha, a benchmark failed in one arm only,
            or none was valid.
        UsageError: There is no such branch, or the checkout is no asv project.
        StoreError: The store failed.
    """
    if STOP.is_set():
        return
    tree = load_tree(root)
    policy = load_policy(start=tree.config_path.parent)
    (head,) = tree.repository.describe([fetch_head(tree.repository, branch)])
    _log.info("A/A gates of %s, the head of %s", head.short, branch)
    with Store.open(db) as store:
        runner = make_runner(tree, policy, machine=machine)
        calibration = run_gates(
            make_recorder(store, tree, project, runner),
            runner,
            head,
            policy,
            gates=gates,
            listener=SilentProgress(),
        )
        blocks = calibration_blocks(store, project, machine=machine)
    if calibration.interrupted:
        raise KeyboardInterrupt
    if calibration.broken or not calibration.gates:
        raise MeasurementError("; ".join(headline for _, headline in calibration.uncounted))
    _log.info(
        "%d of %d A/A gates called a regression", calibration.false_blocks, len(calibration.gates)
    )
    if warning := alpha_warning(blocks, policy.alpha):
        raise MeasurementError(warning)


def nightly(*, db: str, root: str, project: str, machine: str, branch: str, launches: int) -> None:
    """Launch the head of the branch again, so that its values rest on several launches.

    Raises:
        MeasurementError: It could not be measured.
        UsageError: There is no such branch, or the checkout is no asv project.
        StoreError: The store failed.
    """
    if STOP.is_set():
        return
    tree = load_tree(root)
    head = fetch_head(tree.repository, branch)
    _log.info("measuring %s, the head of %s, %d times", head[:12], branch, launches)
    with Store.open(db) as store:
        error = _measure(store, tree, project, machine, head, launches=launches)
        find_and_alert(store, root, project, machine)
    if error is not None:
        raise MeasurementError(error)


def prune(*, root: str) -> None:
    """Remove the least recently used worktrees."""
    removed = Worktrees(Repository.find(Path(root))).prune()
    _log.info("removed %d old worktrees", len(removed))


def load_tree(root: str) -> MeasuredProject:
    """The project of a checkout, with its policy's settings of what is measured."""
    policy = load_policy(start=Path(root))
    return load_project(start=Path(root), source=policy.source)


def _measure_chosen(
    db: str, root: str, project: str, machine: str, branch: str, what: str, choose: Choice
) -> None:
    """Measure the commits of the branch that are chosen, then find shifts and alert."""
    if STOP.is_set():
        return
    tree = load_tree(root)
    attempts = Attempts(state_dir(tree.repository.root) / "schedule-attempts.json")
    recent = recent_commits(tree.repository, fetch_head(tree.repository, branch), limit=LOOK_BACK)
    with Store.open(db) as store:
        # The project must exist before its measured commits are read.
        store.record_project(project)
        commits = choose(recent, measured_commits(store, project, machine), attempts)
        if not commits:
            _log.info("%s has no %s commit", branch, what)
        failed = _measure_each(
            store, tree, project, machine, commits, attempts, f"{what} on {branch}"
        )
        # Also where nothing was measured: deliveries are repeated, and what stays open escalates.
        find_and_alert(store, root, project, machine)
    if failed:
        raise MeasurementError("; ".join(failed))


def _measure_each(
    store: Store,
    tree: MeasuredProject,
    project: str,
    machine: str,
    commits: Sequence[str],
    attempts: Attempts,
    what: str,
) -> list[str]:
    """Measure commits until all are done or the service stops; return the errors."""
    failed: list[str] = []
    for number, commit in enumerate(commits, start=1):
        if STOP.is_set():
            break
        _log.info("measuring %s, %d of %d %s", commit[:12], number, len(commits), what)
        error = _measure(store, tree, project, machine, commit, launches=1)
        if error is None:
            attempts.succeeded(commit)
        else:
            count = attempts.failed(commit)
            failed.append(f"{error} (attempt {count} of {MAX_ATTEMPTS})")
    return failed


def make_recorder(store: Store, tree: MeasuredProject, project: str, runner: Runner) -> Recorder:
    """What keeps launches of a project, with the link to its commits."""
    url = load_policy(start=tree.config_path.parent).commit_url
    return Recorder(store, project, tree.repository, python=runner.python, commit_url=url)


def _measure(
    store: Store, tree: MeasuredProject, project: str, machine: str, commit: str, *, launches: int
) -> str | None:
    """Measure one commit; return the reason if nothing was measured, else None."""
    policy = load_policy(start=tree.config_path.parent)
    runner = make_runner(tree, replace(policy, bench=()), machine=machine)
    report = measure_range(
        make_recorder(store, tree, project, runner),
        runner,
        tree.repository.describe([commit]),
        repeat=launches,
        source="schedule",
    )
    if report.interrupted:
        raise KeyboardInterrupt
    return next((done.error for done in report.done if done.error is not None), None)


def find_and_alert(store: Store, root: str, project: str, machine: str) -> None:
    """Find shifts and alert; does nothing where no series exists yet."""
    policy = load_policy(start=Path(root))
    store.record_metric_rules(project, policy.metrics)
    try:
        findings = analyze(store, project=project, machine=machine).findings
    except MeasurementError:
        return
    result = notify(store, project, policy.alerts, findings=findings)
    for alert in result.opened:
        _log.warning("alert %d: %s", alert.id, alert.title)
    for alert in result.closed:
        _log.info("alert %d is %s", alert.id, alert.history[-1].text)
    for failure in result.failures:
        _log.warning("%s", failure)
