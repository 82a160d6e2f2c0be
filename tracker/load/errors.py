"""What can go wrong in a load, beside what ``tracker.errors`` has. Exit codes as there.

::

    UsageError                  2
    ├── ScenarioError           2  a scenario, metric or option that is unknown or impossible
    └── TraceError              2  the trace file is missing or cannot be read
    MeasurementError            4  nothing was measured, or what was measured is not valid
    └── UnavailableError        4  the machine lacks what the scenario needs; asv: "skipped"
"""

from __future__ import annotations

from tracker.errors import MeasurementError, UsageError

__all__ = ["ScenarioError", "TraceError", "UnavailableError"]


class ScenarioError(UsageError, ValueError):
    """A scenario, metric or option is unknown, or its values cannot be."""


class TraceError(UsageError):
    """A trace file is missing, empty, or not in a format known here."""


class UnavailableError(MeasurementError):
    """The machine lacks the model or the device: skipped, which is neither pass nor fail."""
