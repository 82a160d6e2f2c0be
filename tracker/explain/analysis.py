"""From pairs of traces to what differs, the largest first. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np

from tracker.explain.blame import WORK, Charge, Effect, charges, heaviest_line, without_shapes
from tracker.explain.changed import ChangedCode, is_changed
from tracker.explain.differences import Difference, judged_differences
from tracker.explain.explanation import Explained, Frame, Row, StepChange
from tracker.explain.match import Match, matched
from tracker.explain.speed import without_common_speed
from tracker.explain.trace import BETWEEN, Trace
from tracker.explain.tree import combine

__all__ = ["explain"]

_SHOWN = 12
_GUESSES = 3
_CAUSES = 4  # changed functions that are named beside other work
_LEAST_FRAME = 0.002  # of a step: smaller boxes cannot be seen


def explain(
    base: Sequence[Trace], head: Sequence[Trace], *, changed: Sequence[ChangedCode] = ()
) -> Explained:
    """Return what tells the head's traces of one suite from the base's.

    Args:
        base: By pair, at least one.
        head: By pair, as many.
        changed: What the head's code changes; empty where that is unknown.
    """
    matches = matched(
        combine([trace.roots for trace in base]), combine([trace.roots for trace in head])
    )
    speeds = without_common_speed(matches)
    steps = max(
        1, sum(m.base.calls for m in matches if m.base is not None and m.node.name != BETWEEN)
    )
    step_times = [_untraced(trace) / steps for trace in base]
    step = median(step_times)
    charged = [charge for charge in charges(matches, changed) if charge.effects]
    totals = [_untraced(h) / steps - t for h, t in zip(head, step_times, strict=True)]
    alike = [math.expm1(speed) * step for speed in speeds]
    # Judged apart: what all places have in common is noisier than any of them.
    (total,), (everywhere,) = (judged_differences([row], step) for row in (totals, alike))
    places = judged_differences([[s / steps for s in c.seconds] for c in charged], step, totals)
    rows = [
        _row(charge, difference, total, steps, changed)
        for charge, difference in zip(charged, places, strict=True)
    ]
    noise = [row for row in rows if not (row.is_certain or row.is_exact)]
    rows.append(_row_of_all(everywhere, total, step))
    rows.sort(key=lambda row: _rank(row, slower=total.seconds >= 0))
    shown = [row for row in rows if row.is_certain or row.is_exact]
    if total.is_certain and not any(row.is_certain for row in rows):
        shown = rows[:_GUESSES]  # something is slower, and no single place is surely so
    return Explained(
        benchmark=head[0].benchmark,
        pairs=len(base),
        steps=steps,
        total=_change("step", step_times, [_untraced(trace) / steps for trace in head], total),
        kinds=_kinds(base, head),
        phases=_phases(matches, steps, step),
        rows=tuple(shown[:_SHOWN]),
        within_noise=len(noise),
        hidden=max((row.high for row in noise if row.high is not None), default=None),
        counters={
            name: (base[0].counters.get(name, 0), head[0].counters.get(name, 0))
            for name in sorted(base[0].counters.keys() | head[0].counters.keys())
            if base[0].counters.get(name, 0) != head[0].counters.get(name, 0)
        },
        ops=_ops(base, head, steps, step, totals),
        ops_note=head[0].ops_problem or base[0].ops_problem,
        frames=tuple(_frames(matches, steps, step)),
        traces=(base[-1].path, head[-1].path),
        trace_pairs=tuple((b.path, h.path) for b, h in zip(base, head, strict=True)),
    )


def _ops(
    base: Sequence[Trace], head: Sequence[Trace], steps: int, step: float, whole: Sequence[float]
) -> tuple[Row, ...]:
    """Return the ops and kernels that differ beyond the noise, or in number; the largest first."""
    if not all(trace.ops for trace in (*base, *head)):
        return ()
    matches = matched(combine([t.ops for t in base]), combine([t.ops for t in head]))
    without_common_speed(matches)
    charged = [charge for charge in charges(matches) if charge.effects]
    judged = judged_differences([[s / steps for s in c.seconds] for c in charged], step, whole)
    nothing = Difference(np.zeros(len(base)), is_certain=False)
    rows = [
        _row(charge, difference, nothing, steps, ())
        for charge, difference in zip(charged, judged, strict=True)
        if charge.owner != WORK
    ]
    rows.sort(key=lambda row: _rank(row, slower=True))
    return tuple(
        row
        for row in rows
        if row.is_certain
        or (row.is_exact and row.calls is not None and row.calls[0] != row.calls[1])
    )[:_SHOWN]


def _untraced(trace: Trace) -> float:
    return sum(facts.seconds for facts in trace.steps.values())


def _change(
    name: str, base: Sequence[float], head: Sequence[float], difference: Difference
) -> StepChange:
    return StepChange(
        name=name,
        base=median(base),
        head=median(head),
        seconds=difference.seconds,
        low=difference.low,
        high=difference.high,
        is_certain=difference.is_certain,
    )


def _kinds(base: Sequence[Trace], head: Sequence[Trace]) -> tuple[StepChange, ...]:
    """Every kind of step by itself: seconds of one such step."""
    found: list[StepChange] = []
    for kind in dict.fromkeys(k for trace in (*base, *head) for k in trace.steps):
        arms = [
            [
                facts.seconds / facts.count
                for t in arm
                if (facts := t.steps.get(kind)) and facts.count
            ]
            for arm in (base, head)
        ]
        if not all(len(arm) == len(base) for arm in arms):
            continue  # one commit has no such step
        differences = [h - b for b, h in zip(*arms, strict=True)]
        (judged,) = judged_differences([differences], median(arms[0]))
        found.append(_change(kind, arms[0], arms[1], judged))
    return tuple(found)


def _phases(matches: Iterable[Match], steps: int, step: float) -> tuple[StepChange, ...]:
    sums: dict[str, tuple[list[float], list[float]]] = {}
    for root in matches:
        for match in root.walk():
            for side, node in enumerate((match.base, match.head)):
                if node is None:
                    continue
                # A function that moved to another phase is compared in the head's.
                of = sums.setdefault(
                    match.node.phase, ([0.0] * len(node.seconds), [0.0] * len(node.seconds))
                )
                for i, seconds in enumerate(node.seconds):
                    of[side][i] += seconds / steps
    judged = judged_differences(
        [[h - b for b, h in zip(base, head, strict=True)] for base, head in sums.values()], step
    )
    changes = [
        _change(name, base, head, difference)
        for (name, (base, head)), difference in zip(sums.items(), judged, strict=True)
        if any(base) or any(head)
    ]
    return tuple(sorted(changes, key=lambda change: -change.base))


def _rank(row: Row, *, slower: bool) -> tuple[int, float]:
    """What explains the difference first: what is certain, then what is only counted."""
    return (0 if row.is_certain else 1), -row.seconds if slower else row.seconds


def _row(
    charge: Charge, difference: Difference, total: Difference, steps: int,
    changed: Sequence[ChangedCode],
) -> Row:  # fmt: skip
    effect, _ = charge.main_effect()
    share = None
    if total.is_certain and total.seconds:
        share = difference.seconds / total.seconds
    is_exact = effect.kind != "slower" and any(e.kind != "slower" for e, _ in charge.effects)
    phase = max(charge.phases, key=lambda name: abs(charge.phases[name]))
    where, code = _place(charge, effect, changed)
    function = charge.owner.partition(": ")[2]
    return Row(
        where=where,
        function=function,
        op=_op(effect) if effect.kind != "slower" else "",
        phase=phase,
        what=_what(charge, effect),
        code=code,
        calls=_calls(charge, effect, steps),
        seconds=difference.seconds,
        low=difference.low,
        high=difference.high,
        share=share,
        is_certain=difference.is_certain,
        is_exact=is_exact,
        is_changed=is_changed(charge.owner, changed) if changed else None,
    )


def _row_of_all(difference: Difference, total: Difference, step: float) -> Row:
    """Return the row of what all places have in common."""
    slower = difference.seconds >= 0
    return Row(
        where="everywhere alike",
        function="",
        op="",
        phase="all",
        what=f"{abs(difference.seconds) / step:.1%} {'slower' if slower else 'faster'}",
        code="",
        calls=None,
        seconds=difference.seconds,
        low=difference.low,
        high=difference.high,
        share=difference.seconds / total.seconds if total.is_certain and total.seconds else None,
        is_certain=difference.is_certain,
        is_exact=False,
        is_changed=None,
    )


def _place(charge: Charge, effect: Effect, changed: Sequence[ChangedCode]) -> tuple[str, str]:
    """Return "file:line" in the head, and the line's text."""
    node = effect.at.node
    if charge.owner == WORK:
        return WORK, ", ".join(code.text for code in changed[:_CAUSES])
    file, _, function = charge.owner.partition(": ")
    if not function:  # an op: what was compiled stands in the place of a line
        before = effect.at.base.site[1] if effect.at.base is not None else node.site[1]
        return charge.owner, _changed_facts(before, node.site[1])
    if effect.kind == "slower":
        line = heaviest_line(effect)
        return (f"{file}:{line.number}", line.text) if line else (f"{file}:{node.line}", "")
    line_number, text = node.site
    return f"{file}:{line_number or node.line}", text


def _changed_facts(before: str, after: str) -> str:
    """Return what a compiler made of a kernel; of two versions only what differs."""
    if before == after:
        return after
    sides = [text.split(", ") for text in (before, after)]
    only = [", ".join(f for f in own if f not in other) for own, other in (sides, sides[::-1])]
    return " → ".join(text or "the rest" for text in only)


def _op(effect: Effect) -> str:
    """Return the name of what is called at a place: what a wrapper wraps, not the wrapper.

    A wrapper is what this function calls several times, for different things.
    """
    match = effect.at
    while match.parent is not None and len(match.children) == 1:
        others = [m for m in match.parent.children if m.node.name == match.node.name]
        below = {frozenset(c.node.name for c in m.children) for m in others}
        if len(below) < 2:
            break
        match = match.children[0]
    return without_shapes(match.node.function)


def _calls(charge: Charge, effect: Effect, steps: int) -> tuple[float, float] | None:
    """Calls a step of what is called otherwise, at all places of it in this function."""
    if charge.owner == WORK:
        base, head = effect.at.base, effect.at.head
        return (base.calls if base else 0, head.calls if head else 0)
    if effect.kind == "slower":
        places = [e.at for e, _ in charge.effects if e.kind == "slower"]
    else:
        parent = effect.at.parent
        name = _op(effect)
        own = parent.children if parent is not None else [effect.at]
        places = [m for c in own for m in c.walk() if without_shapes(m.node.function) == name]
    counts = [
        sum(node.calls for match in places if (node := getattr(match, side)) is not None)
        for side in ("base", "head")
    ]
    return counts[0] / steps, counts[1] / steps


def _what(charge: Charge, effect: Effect) -> str:
    node = effect.at.node
    if effect.kind == "slower":
        return "slower" if sum(charge.seconds) >= 0 else "faster"
    if effect.kind == "work":
        base, head = effect.at.base, effect.at.head
        if base is None or head is None:
            return f"{node.name}: {'only in HEAD' if base is None else 'no more'}"
        parts = []
        if base.calls != head.calls:
            parts.append(f"{base.calls} → {head.calls} steps")
        tokens = [round(node.size * node.calls) for node in (base, head)]
        if tokens[0] != tokens[1]:
            parts.append(f"{tokens[0]} → {tokens[1]} tokens")
        return f"{node.name}: {', '.join(parts)}"
    op = _op(effect)
    if op == charge.owner:  # an op of the step itself
        calls = _calls(charge, effect, 1)
        return "" if calls is None else f"{calls[0]:.0f} → {calls[1]:.0f} calls"
    if effect.kind == "size":
        base_size = effect.at.base.size if effect.at.base else 0.0
        return f"{op}: {base_size:.0f} → {node.size:.0f} elements a call"
    replaced = _replaced(charge)
    if replaced:
        return replaced
    if effect.at.base is None:
        return f"calls {op} here, new"
    if effect.at.head is None:
        return f"calls {op} no more here"
    return f"calls {op} {effect.at.base.calls} → {effect.at.head.calls} times"


def _replaced(charge: Charge) -> str:
    """Return what the function calls in place of what; empty where it does not do both."""
    effects = [effect for effect, _ in charge.effects if effect.kind == "calls"]
    new = dict.fromkeys(_op(e) for e in effects if e.at.base is None)
    gone = dict.fromkeys(_op(e) for e in effects if e.at.head is None)
    if not new or not gone or new == gone:
        return ""
    return f"calls {', '.join(new)} in place of {', '.join(gone)}"


def _frames(matches: Iterable[Match], steps: int, step: float) -> Iterable[Frame]:
    start = 0.0
    for root in matches:
        if root.head is None:
            continue
        yield from _boxes(root, (), start, steps, _LEAST_FRAME * step)
        start += median(root.head.totals()) / steps


def _boxes(
    match: Match, above: tuple[str, ...], start: float, steps: int, least: float
) -> Iterable[Frame]:
    head = match.head
    if head is None:
        return
    seconds = median(head.totals()) / steps
    if seconds < least:
        return
    before = median(match.base.totals()) / steps if match.base is not None else 0.0
    path = (*above, head.function)
    yield Frame(path, start, seconds, seconds - before)
    for child in match.children:
        if child.head is not None:
            yield from _boxes(child, path, start, steps, least)
            start += median(child.head.totals()) / steps
