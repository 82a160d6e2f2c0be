"""What can go wrong in a launch, and the exit code of ``python -m benchmarks.harness`` for it.

::

    HarnessError                4  nothing was measured, or what was is not valid
    ├── ScenarioError           2  a scenario, metric or option not there, or impossible
    ├── TraceError              2  the trace file is missing or cannot be read
    ├── FetchError              4  the real weights could not be fetched or converted
    ├── SourceMismatchError     4  ``inference`` came from another tree than the one to measure
    └── UnavailableError        4  the machine lacks what the scenario needs; asv: "skipped"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "FetchError",
    "HarnessError",
    "ScenarioError",
    "SourceMismatchError",
    "TraceError",
    "UnavailableError",
]


class HarnessError(Exception):
    """Base of every error the harness raises on purpose."""

    exit_code = 4


class ScenarioError(HarnessError, ValueError):
    """A scenario, metric or option is unknown, or its values cannot be."""

    exit_code = 2


class TraceError(HarnessError):
    """A trace file is missing, empty, or not in a format known here."""

    exit_code = 2


class FetchError(HarnessError):
    """The real weights could not be fetched, found in their package, or converted."""


class SourceMismatchError(HarnessError):
    """``inference`` was not imported from the tree that is to be measured."""


class UnavailableError(HarnessError):
    """The machine lacks the model or the device: skipped, which is neither pass nor fail."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, or the sorted list where nothing is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
