"""Explains a gate's regression: pairs of traces of the suites that regressed, after the verdict."""

from __future__ import annotations

import re
from dataclasses import replace

from tracker.errors import PacekeeperError
from tracker.explain.differences import LEAST_PAIRS
from tracker.explain.explanation import Explanation, from_document
from tracker.explain.run import explain_commits, keep
from tracker.measure.git import Commit
from tracker.measure.launch import Runner
from tracker.measure.recorder import Recorder
from tracker.report import Report
from tracker.store import Store, queries

__all__ = ["stored_explanation", "with_explanation"]


def with_explanation(
    report: Report, runner: Runner, recorder: Recorder, base: Commit, head: Commit, *, seed: int
) -> Report:
    """Return the report with what explains its regressions; without any, as it is.

    What fails here is a warning: the verdict stands.

    Args:
        report: Of a gate of the two commits.
        runner: Its launches are asked for traces, of the benchmarks that they are given.
        recorder: Of the project; the explanation is kept in its store.
        base: The gate's base.
        head: The gate's head.
        seed: Of the order of launches.
    """
    if not _patterns(report):
        return report
    try:
        explanation = explain_commits(
            runner, recorder.project, base, head,
            pairs=LEAST_PAIRS, seed=seed, bench=_patterns(report), check=recorder.checked,
        )  # fmt: skip
        keep(recorder.store, recorder.project, explanation)
    except PacekeeperError as error:
        warning = f"the regression could not be explained: {error}"
        return replace(report, warnings=(*report.warnings, warning))
    return replace(report, explanation=explanation)


def stored_explanation(
    store: Store, project: str, base: str, head: str, machine: str | None = None
) -> Explanation | None:
    """Return the newest explanation of two commits that the store holds; None without one.

    Args:
        store: Where to look.
        project: Its name.
        base: Full hash.
        head: Full hash.
        machine: Only of this machine.
    """
    kept = queries.list_explanations(store, project, head=head, base=base)
    return next(
        (from_document(one.document) for one in kept if machine in (None, one.machine)), None
    )


def _patterns(report: Report) -> tuple[str, ...]:
    """Return a pattern for the worst regressed benchmark of each suite: one launches its suite's load."""
    worst: dict[str, str] = {}
    for row in report.worst_first:
        if row.outcome == "regression":
            benchmark = row.metric.partition("(")[0]
            worst.setdefault(benchmark.rpartition(".")[0], benchmark)
    return tuple(rf"^{re.escape(benchmark)}($|\()" for benchmark in worst.values())
