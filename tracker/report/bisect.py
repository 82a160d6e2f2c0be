"""A bisection as text and JSON. Pure."""

from __future__ import annotations

import json
import math

from tracker.bisect import Bisected, CommitSeen
from tracker.measure.git import Commit
from tracker.report.numbers import count_of, percent

__all__ = ["bisect_json", "bisect_text", "headline"]

_HEADER = ("commit", "probability", "pairs", "change", "subject")


def bisect_text(found: Bisected) -> str:
    """Return the bisection as plain text, ending in a newline: a row a commit, then the answer."""
    lines = [
        f"project: {found.project}",
        f"machine: {found.machine}",
        f"good: {_commit(found.good)}",
        f"bad: {_commit(found.bad)}",
    ]
    if found.metric:
        lines.append(f"metric: {found.metric}")
    if found.seen:
        body = [_cells(one) for one in found.seen]
        widths = [max(len(line[i]) for line in (_HEADER, *body)) for i in range(len(_HEADER))]
        lines.append("")
        for cells in (_HEADER, *body):
            padded = [
                cell.rjust(width) if 1 <= i <= 3 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            lines.append("  ".join(padded).rstrip())
        lines.append("")
    lines += [
        f"skipped: {one.commit.short}: {one.skipped}"
        for one in found.seen
        if one.skipped is not None
    ]
    if found.seen:
        lines.append(f"{count_of(found.pairs, 'pair')}; {found.stopped}")
    lines.append(f"{headline(found)} (exit {found.exit_code})")
    return "\n".join(lines) + "\n"


def headline(found: Bisected) -> str:
    """Return the answer in one sentence."""
    good, bad = found.good.short, found.bad.short
    sure = f"{found.probability:.1%}"
    if found.outcome == "named":
        merge = "; it is a merge" if len(found.culprits[0].parents) > 1 else ""
        return f"CULPRIT: {_commit(found.culprits[0])}, with probability {sure}{merge}"
    if found.outcome == "group":
        listed = ", ".join(one.short for one in found.culprits)
        return (
            f"CANNOT TELL: one of these {len(found.culprits)}, with probability {sure}, since those "
            f"between cannot be measured: {listed}"
        )
    if found.outcome == "several":
        return f"CANNOT TELL: more than one change between {good} and {bad}: {_misfit(found)}"
    if found.outcome == "no regression":
        return f"NOTHING TO FIND: {bad} is not shown to be worse than {good}: {found.note}"
    if found.outcome == "invalid":
        return f"INVALID: {good} and {bad} cannot be compared: {found.note}"
    left = ", ".join(f"{one.commit.short} ({one.probability:.0%})" for one in found.candidates[:5])
    more = len(found.candidates) - 5
    also = f" and {more} more" if more > 0 else ""
    return f"CANNOT TELL: {len(found.candidates)} candidates left: {left}{also}"


def bisect_json(found: Bisected) -> str:
    """Return the bisection as one JSON document, ending in a newline."""
    document = {
        "format": 1,
        "project": found.project,
        "machine": found.machine,
        "good": found.good.hash,
        "bad": found.bad.hash,
        "metric": found.metric or None,
        "outcome": found.outcome,
        "culprits": [one.hash for one in found.culprits],
        "probability": found.probability,
        "confidence": found.confidence,
        "headline": headline(found),
        "pairs": found.pairs,
        "stopped": found.stopped,
        "exit_code": found.exit_code,
        "commits": [
            {
                "commit": one.commit.hash,
                "subject": one.commit.subject,
                "probability": None if math.isnan(one.probability) else one.probability,
                "pairs": one.pairs,
                "effect": one.effect,
                "skipped": one.skipped,
            }
            for one in found.seen
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _misfit(found: Bisected) -> str:
    if found.misfit is None:
        return found.note
    commit = found.commits[found.misfit.number - 1]
    return (
        f"{commit.short} stands between the two levels, at {percent(math.expm1(found.misfit.level))} "
        f"(one step: p = {found.misfit.p:.1g}); bisect {found.good.short}..{commit.short} and "
        f"{commit.short}..{found.bad.short} by themselves"
    )


def _commit(commit: Commit) -> str:
    return f"{commit.short} {commit.subject}"


def _cells(one: CommitSeen) -> tuple[str, ...]:
    return (
        one.commit.short,
        "-" if math.isnan(one.probability) else f"{one.probability:.1%}",
        "skipped" if one.skipped is not None else str(one.pairs),
        percent(one.effect) if one.effect is not None else "-",
        one.commit.subject,
    )
