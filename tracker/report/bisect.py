"""A bisection as text and JSON. Pure."""

from __future__ import annotations

import json
import math

from tracker.bisect import Bisected, CommitSeen
from tracker.measure.git import Commit
from tracker.report.columns import aligned
from tracker.report.numbers import count_of, percent, some_of

__all__ = ["bisect_json", "bisect_text", "headline"]

_HEADER = ("commit", "probability", "pairs", "change", "subject")


def bisect_text(result: Bisected) -> str:
    """Return the bisection as plain text, ending in a newline: a row a commit, then the answer."""
    lines = [
        f"project: {result.project}",
        f"machine: {result.machine}",
        f"good: {_commit(result.good)}",
        f"bad: {_commit(result.bad)}",
    ]
    if result.metric:
        lines.append(f"metric: {result.metric}")
    if result.seen:
        table = aligned([_HEADER, *(_cells(row) for row in result.seen)], right={1, 2, 3})
        lines += ["", *table, ""]
        lines += [
            f"skipped: {row.commit.short}: {row.skipped}"
            for row in result.seen
            if row.skipped is not None
        ]
        lines.append(f"{count_of(result.pairs, 'pair')}; {result.stopped}")
    lines.append(f"{headline(result)} (exit {result.exit_code})")
    return "\n".join(lines) + "\n"


def headline(result: Bisected) -> str:
    """Return the answer in one sentence."""
    good, bad = result.good.short, result.bad.short
    probability = f"{result.probability:.1%}"
    if result.outcome == "named":
        merge = "; it is a merge" if len(result.culprits[0].parents) > 1 else ""
        return f"CULPRIT: {_commit(result.culprits[0])}, with probability {probability}{merge}"
    if result.outcome == "group":
        listed = ", ".join(commit.short for commit in result.culprits)
        return (
            f"CANNOT TELL: one of these {len(result.culprits)}, with probability {probability}, "
            f"since those between cannot be measured: {listed}"
        )
    if result.outcome == "several":
        return f"CANNOT TELL: more than one change between {good} and {bad}: {_misfit(result)}"
    if result.outcome == "no regression":
        return f"NOTHING TO FIND: {bad} is not shown to be worse than {good}: {result.note}"
    if result.outcome == "invalid":
        return f"INVALID: {good} and {bad} cannot be compared: {result.note}"
    left = [f"{row.commit.short} ({row.probability:.0%})" for row in result.candidates]
    return f"CANNOT TELL: {len(left)} candidates left: {some_of(left, 5)}"


def bisect_json(result: Bisected) -> str:
    """Return the bisection as one JSON document, ending in a newline."""
    document = {
        "format": 1,
        "project": result.project,
        "machine": result.machine,
        "good": result.good.hash,
        "bad": result.bad.hash,
        "metric": result.metric or None,
        "outcome": result.outcome,
        "culprits": [commit.hash for commit in result.culprits],
        "probability": result.probability,
        "confidence": result.confidence,
        "headline": headline(result),
        "pairs": result.pairs,
        "stopped": result.stopped,
        "exit_code": result.exit_code,
        "commits": [
            {
                "commit": row.commit.hash,
                "subject": row.commit.subject,
                "probability": None if math.isnan(row.probability) else row.probability,
                "pairs": row.pairs,
                "effect": row.effect,
                "skipped": row.skipped,
            }
            for row in result.seen
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _misfit(result: Bisected) -> str:
    if result.misfit is None:
        return result.note
    commit = result.commits[result.misfit.number - 1]
    return (
        f"{commit.short} stands between the two levels, at {percent(math.expm1(result.misfit.level))} "
        f"(one step: p = {result.misfit.p:.1g}); bisect {result.good.short}..{commit.short} and "
        f"{commit.short}..{result.bad.short} by themselves"
    )


def _commit(commit: Commit) -> str:
    return f"{commit.short} {commit.subject}"


def _cells(row: CommitSeen) -> tuple[str, ...]:
    return (
        row.commit.short,
        "-" if math.isnan(row.probability) else f"{row.probability:.1%}",
        "skipped" if row.skipped is not None else str(row.pairs),
        percent(row.effect) if row.effect is not None else "-",
        row.commit.subject,
    )
