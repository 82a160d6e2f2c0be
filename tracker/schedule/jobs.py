"""The service's jobs: importable functions with plain arguments, as the job store keeps them.

Each opens what it needs and closes it, checks between commits whether the process was asked to
end, and raises what went wrong; the service reports it and goes on.
"""

from __future__ import annotations

import logging
from pathlib import Path

from tracker.alerts import notify
from tracker.changepoints import analyze
from tracker.errors import MeasurementError
from tracker.gate.policy import load_policy
from tracker.measure.asv import AsvRunner
from tracker.measure.git import Repository
from tracker.measure.project import AsvProject, load_project
from tracker.measure.recorder import Recorder
from tracker.measure.runner import measure_range
from tracker.measure.worktree import Worktrees, state_dir
from tracker.schedule.attempts import MAX_ATTEMPTS, Attempts
from tracker.schedule.branch import fetch_head, new_of, recent_commits
from tracker.schedule.stopping import STOP
from tracker.store import Store
from tracker.store.queries.measured import measured_commits

__all__ = ["new_commits", "nightly", "prune"]

LOOK_BACK = 1000  # commits of the branch among which the last measured one is looked for

_log = logging.getLogger("pacekeeper.schedule")


def new_commits(*, db: str, root: str, project: str, machine: str, branch: str) -> None:
    """Measure what came to the branch since the last look, then find shifts and alert.

    A commit that could not be measured is tried at three looks in all, also once later
    ones were measured.

    Raises:
        MeasurementError: A commit could not be measured; the others were.
        UsageError: There is no such branch, or the checkout is no asv project.
        StoreError: The store failed.
    """
    if STOP.is_set():
        return
    tree = _load(root)
    attempts = Attempts(state_dir(tree.repository.root) / "schedule-attempts.json")
    head = fetch_head(tree.repository, branch)
    with Store.open(db) as store:
        # Recording the project makes it known, so that the first question is not about nothing.
        store.record_project(project)
        commits = new_of(
            recent_commits(tree.repository, head, limit=LOOK_BACK),
            measured_commits(store, project, machine),
            attempts.unfinished(),
        )
        commits = [commit for commit in commits if not attempts.exhausted(commit)]
        if not commits:
            _log.info("%s has no new commit", branch)
            return
        failed: list[str] = []
        for number, commit in enumerate(commits, start=1):
            if STOP.is_set():
                break
            _log.info("measuring %s, %d of %d new on %s", commit[:12], number, len(commits), branch)
            error = _measure(store, tree, project, machine, commit, launches=1)
            if error is None:
                attempts.succeeded(commit)
            else:
                count = attempts.failed(commit)
                failed.append(f"{error} (attempt {count} of {MAX_ATTEMPTS})")
        _look(store, root, project, machine)
    if failed:
        raise MeasurementError("; ".join(failed))


def nightly(*, db: str, root: str, project: str, machine: str, branch: str, launches: int) -> None:
    """Launch the head of the branch again, so that its values rest on several launches.

    Raises:
        MeasurementError: It could not be measured.
        UsageError: There is no such branch, or the checkout is no asv project.
        StoreError: The store failed.
    """
    if STOP.is_set():
        return
    tree = _load(root)
    head = fetch_head(tree.repository, branch)
    _log.info("measuring %s, the head of %s, %d times", head[:12], branch, launches)
    with Store.open(db) as store:
        error = _measure(store, tree, project, machine, head, launches=launches)
        _look(store, root, project, machine)
    if error is not None:
        raise MeasurementError(error)


def prune(*, root: str) -> None:
    """Remove the worktrees that were not used for longest."""
    removed = Worktrees(Repository.find(Path(root))).prune()
    _log.info("removed %d old worktrees", len(removed))


def _load(root: str) -> AsvProject:
    policy = load_policy(start=Path(root))
    return load_project(start=Path(root), source=policy.source)


def _measure(
    store: Store, tree: AsvProject, project: str, machine: str, commit: str, *, launches: int
) -> str | None:
    """Measure one commit; the reason where nothing was measured."""
    policy = load_policy(start=tree.config_path.parent)
    runner = AsvRunner(tree, machine=machine, timeout=policy.timeout)
    recorder = Recorder(
        store, project, tree.repository, python=runner.python, commit_url=policy.commit_url
    )
    report = measure_range(
        recorder,
        runner,
        tree.repository.describe([commit]),
        repeat=launches,
        source="schedule",
    )
    if report.interrupted:
        raise KeyboardInterrupt
    return next((done.error for done in report.done if done.error is not None), None)


def _look(store: Store, root: str, project: str, machine: str) -> None:
    """Find shifts and alert; there may be nothing to look at when nothing could be measured."""
    try:
        findings = analyze(store, project=project, machine=machine).findings
    except MeasurementError:
        return
    result = notify(store, project, load_policy(start=Path(root)).alerts, findings=findings)
    for alert in result.opened:
        _log.warning("alert %d: %s", alert.id, alert.title)
    for failure in result.failures:
        _log.warning("%s", failure)
