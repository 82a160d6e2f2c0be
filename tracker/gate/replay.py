"""A stored gate judged anew, by the judge that judged it live: nothing is measured."""

from __future__ import annotations

import re
from dataclasses import replace

from tracker.domain import GateInfo
from tracker.errors import UsageError
from tracker.gate.assembly import make_report
from tracker.gate.course import Course
from tracker.gate.creep import add_creep, budgets_of
from tracker.gate.drift import expected_of
from tracker.gate.judge import Judge, Pair
from tracker.gate.policy import Policy
from tracker.gate.resume import seed_of
from tracker.gate.stored import measured_before
from tracker.report import Report
from tracker.store import Store, queries

__all__ = ["gate_stored", "replay"]


def gate_stored(
    store: Store,
    project: str,
    base: str,
    head: str,
    policy: Policy,
    *,
    machine: str | None = None,
    gate_id: str | None = None,
) -> Report:
    """Judge two commits by the newest finished gate of them whose measurement was valid.

    Args:
        store: Read only.
        project: Its name.
        base: Full or abbreviated hash.
        head: Likewise.
        policy: How strictly, and by `bench` which metrics.
        machine: Needed where several machines measured both.
        gate_id: This gate, or the one whose id begins so, instead of the newest valid one.

    Raises:
        UsageError: A commit is not in the store, or several machines measured both and none is named.

    Pairs of two gates are never judged together: they measured other things at other times.
    """
    first = queries.resolve_revision(store, project, base)
    second = queries.resolve_revision(store, project, head)
    gates = queries.gates_between(store, project, first.commit, second.commit, machine=machine)
    names = sorted({gate.machine for gate in gates})
    if len(names) > 1:
        raise UsageError(f"measured on several machines: {', '.join(names)}; give --machine")
    gate = _chosen(gates, gate_id)
    if gate is not None:
        report = replay(store, gate, policy)
        others = ", ".join(f"{other.id} ({_end(other)})" for other in gates if other.id != gate.id)
        note = f"other gates of these commits are not judged here: {others}; `--gate ID` judges one"
        return replace(report, warnings=(note, *report.warnings)) if others else report
    text = (
        f"none of the {len(gates)} stored gates of these commits ended with a valid measurement; "
        "run `tracker gate`"
        if gates
        else "the store holds no interleaved pairs of these commits; run `tracker gate` "
        "(`tracker compare` shows what was measured apart)"
    )
    return make_report(
        Judge(policy),
        Course(invalid=[text], stopped="judged from the store"),
        project=project,
        machine=names[0] if names else machine or "-",
        base=first.commit,
        head=second.commit,
        base_subject=first.subject,
        head_subject=second.subject,
    )


def replay(store: Store, gate: GateInfo, policy: Policy) -> Report:
    """Return what the judge says of a stored gate under `policy`.

    What was judged against a release is judged by the budget of creep again. Under the policy that
    the gate was measured by, outcome and exit code are those of the time.
    """
    if gate.policy.get("least_margin"):
        policy = policy.for_creep()
    judge = Judge(policy, seed=seed_of(gate), expectations=expected_of(gate))
    course = Course.of(gate.course)
    course.stopped = "judged from the store"
    before = measured_before(store, gate)
    known = {
        name: info
        for name, info in before.benchmarks.items()
        if not policy.bench or any(re.search(pattern, name) for pattern in policy.bench)
    }
    for pair in before.pairs[: policy.max_pairs]:
        base, head = (
            {name: value for name, value in arm.items() if name in known}
            for arm in (pair.base, pair.head)
        )
        judge.add(Pair(base, head, pair.controls, pair.first), known)
    if before.benchmarks and not known:
        patterns = ", ".join(map(repr, policy.bench))
        course.invalid = [f"none of the {len(before.benchmarks)} stored metrics matches {patterns}"]
    if gate.exit_code is None or (not gate.course and not gate.is_valid):
        course.invalid = [f"gate {gate.id} has no valid measurement ({_end(gate)})"]
    report = make_report(
        judge,
        course,
        project=gate.project,
        machine=gate.machine,
        base=gate.base.commit,
        head=gate.head.commit,
        base_subject=gate.base.subject,
        head_subject=gate.head.subject,
        configuration=[
            ("replayed gate", f"{gate.id} of {gate.started_at:%Y-%m-%d %H:%M} UTC"),
        ],
        gate_id=gate.id,
    )
    if course.creep is None:
        return report
    release, gate_id = course.creep
    against = replay(store, queries.get_gate(store, gate_id), policy)
    return add_creep(report, release, against, budgets_of(report, policy))


def _chosen(gates: list[GateInfo], gate_id: str | None) -> GateInfo | None:
    if gate_id is None:
        return next((gate for gate in gates if gate.is_valid or gate.outcome == "broken"), None)
    for gate in gates:
        if gate.id.startswith(gate_id):
            return gate
    have = ", ".join(gate.id for gate in gates) or "none"
    raise UsageError(f"no gate {gate_id!r} of these commits in the store; it has: {have}")


def _end(gate: GateInfo) -> str:
    return "unfinished" if gate.exit_code is None else f"exit {gate.exit_code}"
