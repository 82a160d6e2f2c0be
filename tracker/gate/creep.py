"""The creep budget: ten commits that each cost 0.8 % together cost 8 %.

Without measuring, the sum over the stored gates since the release is known. It is too low rather
than too high (`tracker.gate.drift`), so it never blocks: where it has spent half of a budget, or
where `--creep` is given, the head is measured against the release, with the budget as the margin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tracker.domain import GateInfo, Outcome
from tracker.gate.drift import chain, summed
from tracker.gate.outcome import worst
from tracker.gate.policy import Policy
from tracker.measure.git import Commit
from tracker.measure.launch import Runner
from tracker.measure.recorder import Recorder
from tracker.report import Report, ReportRow
from tracker.report.creep import Creep, Drift
from tracker.report.numbers import count_of
from tracker.store import Store, queries

__all__ = ["add_creep", "budgets_of", "with_creep"]

_MEASURED_FROM = 0.5  # share of a budget from which on the drift is measured
_GATES = 2000  # looked at, newest first


def with_creep(
    report: Report,
    recorder: Recorder,
    runner: Runner,
    base: Commit,
    head: Commit,
    policy: Policy,
    *,
    measure: Callable[[Commit, Policy], Report],
    force: bool = False,
) -> Report:
    """Return the report of a gate with what is known of the drift since the last release.

    Args:
        report: Of `head` against `base`, as it stands in the store.
        recorder: Of the project in the store.
        runner: Measures one commit.
        base: Its newest ancestor tag that matches the policy is the release.
        head: The commit whose drift is judged.
        policy: With its creep budget.
        measure: Measures a gate of `head` against a commit under a policy; see `gate_commits`.
        force: Measure against the release whatever the stored gates say.

    The outcome becomes a regression where the head measures worse than the release by more than the budget.
    Nothing is looked at for an A/A gate, an invalid one, one that blocks anyway or was
    interrupted, without a tag, or where the base is the release.
    """
    blocks_anyway = report.exit_code not in (0, 3) or report.interrupted
    if base.hash == head.hash or blocks_anyway:
        return report
    release = runner.project.repository.last_tag(base.hash, policy.creep_against)
    if release is None:
        return report
    tag, commit = release
    if commit.hash == base.hash:
        return report
    budget = budgets_of(report, policy)
    known = _known(recorder, runner, tag, commit, head, budget)
    if not force and all(drift.spent < _MEASURED_FROM for drift in known.drifts):
        return replace(report, creep=known)
    report = add_creep(report, tag, measure(commit, policy.for_creep()), budget)
    _keep(recorder.store, report)
    return report


def budgets_of(report: Report, policy: Policy) -> dict[str, float]:
    """Return the slowdown since the release that each voting metric is allowed."""
    return {
        row.metric: max(policy.creep_budget, row.margin or 0) for row in report.rows if row.votes
    }


def add_creep(report: Report, tag: str, measured: Report, budget: Mapping[str, float]) -> Report:
    """Return the report of a gate with what a gate against the release says.

    Args:
        report: Of the commit against the one before.
        tag: The release.
        measured: The report of the gate against it.
        budget: See `budgets_of`.
    """
    creep = _measured(tag, measured, budget)
    outcomes: list[Outcome] = [report.outcome, "regression"] if creep.over else [report.outcome]
    return replace(report, creep=creep, outcome=worst(outcomes))


def _keep(store: Store, report: Report) -> None:
    """Write into the store what the gate against the release made of the commit's own."""
    creep = report.creep
    if report.gate_id is None or creep is None or creep.gate_id is None:
        return
    gate = queries.get_gate(store, report.gate_id)
    store.finish_gate(
        gate.id, report.exit_code, gate.verdicts, gate.pairs,
        outcome=report.outcome, course={**gate.course, "creep": (creep.release, creep.gate_id)},
    )  # fmt: skip


def _known(
    recorder: Recorder,
    runner: Runner,
    tag: str,
    release: Commit,
    head: Commit,
    budget: dict[str, float],
) -> Creep:
    """What the stored gates of this machine say."""
    gates: list[GateInfo] = [
        gate
        for gate in queries.list_gates(recorder.store, recorder.project, limit=_GATES)
        if gate.is_valid and gate.machine == runner.machine
    ]
    commits = {gate.base.commit for gate in gates} | {gate.head.commit for gate in gates}
    trees = runner.project.repository.trees([*commits, release.hash, head.hash])
    leading = chain(gates, trees, release.hash, head.hash)
    if leading is None:
        note = "not known, because no chain of stored gates leads to it; --creep measures it"
        return Creep(tag, "unknown", note=note)
    note = f"summed over {len(leading)} stored gates"
    return Creep(tag, "summed", tuple(summed(leading, budget)), note)


def _measured(tag: str, report: Report, budget: Mapping[str, float]) -> Creep:
    if not report.is_valid:
        note = f"could not be measured: {report.headline}"
        return Creep(tag, "unknown", note=note, gate_id=report.gate_id)
    drifts = tuple(
        _drift(row, budget[row.metric])
        for row in report.rows
        if row.metric in budget and row.effect is not None
    )
    note = f"measured in {count_of(report.pairs, 'pair')}"
    return Creep(tag, "measured", drifts, note, report.gate_id)


def _drift(row: ReportRow, budget: float) -> Drift:
    intended = 1.0
    if row.expected is not None and (row.expected > 0) is (row.better == "lower"):
        intended += row.expected

    def net(effect: float) -> float:
        return (1 + effect) / intended - 1

    return Drift(
        metric=row.metric,
        better=row.better,
        effect=net(row.effect or 0.0),
        low=None if row.low is None else net(row.low),
        high=None if row.high is None else net(row.high),
        budget=budget,
        over=row.outcome == "regression",
    )
