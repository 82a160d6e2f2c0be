"""Intended changes: which metric one means, and how it is written in a commit message.

::

    Perf-expect: ttft_p50 +6% because prompts are checked before they are queued

The gate tests for the change instead of calling it a regression (`tracker.gate.expected`), and
alerts leave it out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches

from tracker.domain import Better, Expectation
from tracker.errors import UsageError

__all__ = [
    "applicable",
    "expectation_of",
    "is_excused",
    "nearest",
    "parse_change",
    "parse_message",
]

_TRAILER = re.compile(r"\s*perf-expect\s*:\s*(.*)", re.IGNORECASE)
_FORM = re.compile(
    r"(?P<metric>\S.*?)\s+(?P<change>[-+−]\S*)\s+because\s+(?P<because>\S.*)", re.DOTALL
)
_CHANGE = re.compile(r"(?P<sign>[-+−])(?P<number>\d+(?:\.\d+)?)\s*%")
_PREFIX = re.compile(r"^(track|time|timeraw|mem|peakmem)_")


def parse_change(text: str) -> float:
    """Read `+6%` or `-2.5%` as a ratio.

    Raises:
        UsageError: It is none, or no value of a metric could change so.
    """
    match = _CHANGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no change; write +6% or -2.5%")
    change = float(match["number"]) / 100 * (1 if match["sign"] == "+" else -1)
    if change <= -1:
        raise UsageError(f"{text!r}: no metric can lose all of its value")
    return change


def parse_message(commit: str, message: str) -> tuple[list[Expectation], list[str]]:
    """Return the expectations in a commit message, and a warning for each line that is none.

    Args:
        commit: Full hash.
        message: The whole message; a line that begins with a space continues the one before.
    """
    stated: list[Expectation] = []
    warnings: list[str] = []
    for line in re.sub(r"\n[ \t]+(?=\S)", " ", message).splitlines():
        trailer = _TRAILER.fullmatch(line)
        if trailer is None:
            continue
        form = _FORM.fullmatch(trailer[1].strip())
        try:
            if form is None:
                raise UsageError("write Perf-expect: METRIC +6% because REASON")
            change = parse_change(form["change"])
        except UsageError as error:
            warnings.append(f"commit {commit[:8]}: {line.strip()!r} is not understood: {error}")
            continue
        stated.append(Expectation(form["metric"], change, form["because"].strip(), commit))
    return stated, warnings


def applicable(
    expectations: Iterable[Expectation], commits: Sequence[str], now: datetime
) -> list[Expectation]:
    """Return those that hold for a gate over `commits`: not expired, and brought by one of them."""
    return [
        expectation
        for expectation in expectations
        if (expectation.until is None or now <= expectation.until)
        and (expectation.commit is None or expectation.commit in commits)
    ]


def expectation_of(metric: str, expectations: Iterable[Expectation]) -> Expectation | None:
    """Return what is expected of a metric; the changes of several expectations multiply."""
    ours = [expectation for expectation in expectations if expectation.metric in _names(metric)]
    if len(ours) < 2:
        return ours[0] if ours else None
    change = math.prod(1 + expectation.change for expectation in ours) - 1
    return replace(
        ours[-1],
        metric=metric,
        change=change,
        because="; ".join(expectation.because for expectation in ours),
    )


def nearest(wanted: str, metrics: Iterable[str]) -> str | None:
    """Return None where `wanted` names one of `metrics`, else a sentence with the nearest."""
    known = {name for metric in metrics for name in _names(metric)}
    if wanted in known:
        return None
    close = get_close_matches(wanted, sorted(known, key=lambda name: (len(name), name)), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"no metric {wanted!r}{hint}"


def is_excused(expected: Expectation | None, better: Better | None) -> bool:
    """Whether the expected change is for the worse, so that the gate must make room for it."""
    if expected is None or better is None:
        return False
    return expected.change > 0 if better == "lower" else expected.change < 0


def _names(metric: str) -> set[str]:
    """What a metric may be called: whole or its end, with `track_` and parameters or without."""
    head, paren, params = metric.partition("(")
    parts = head.split(".")
    last = {parts[-1], _PREFIX.sub("", parts[-1])}
    plain = {".".join((*parts[i:-1], name)) for i in range(len(parts)) for name in last}
    return plain | {f"{name}{paren}{params}" for name in plain}
