"""Two revisions of a project side by side, metric by metric."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tracker.domain.history import SeriesInfo
from tracker.domain.measurement import ResultStatus

Noise = Literal["beyond", "within", "unknown"]


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which series of a comparison are wanted; None and () leave nothing out.

    Attributes:
        machine: Its name.
        environment: Its name.
        search: Words that must all be in the metric's name.
        bench: Regular expressions, of which one must be found in the metric's name.
    """

    machine: str | None = None
    environment: str | None = None
    search: str | None = None
    bench: tuple[str, ...] = ()

    def fits(self, metric: str) -> bool:
        """Whether a metric's name has what is searched for."""
        words = (self.search or "").lower().split()
        return all(word in metric.lower() for word in words) and (
            not self.bench or any(re.search(pattern, metric) for pattern in self.bench)
        )


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Two revisions of one series side by side; values are medians over attempts.

    Attributes:
        launches: Values of launches of one commit in one environment, wherever in the history
            there are at least two.
        noise: Whether the change is beyond what such launches differ by.
        visible: The least relative change that would be; None: not known, or not relative.
    """

    series: SeriesInfo
    base: float | None
    head: float | None
    base_status: ResultStatus | None  # None: not measured there
    head_status: ResultStatus | None
    base_values: tuple[float, ...]
    head_values: tuple[float, ...]
    launches: tuple[tuple[float, ...], ...] = ()
    noise: Noise = "unknown"
    visible: float | None = None

    @property
    def effect(self) -> float | None:
        """head/base - 1, or None where either is missing or the base is not positive."""
        if self.base is None or self.head is None or self.base <= 0:
            return None
        return self.head / self.base - 1


@dataclass(frozen=True, slots=True)
class ExplanationInfo:
    """A stored explanation: `document` is what `tracker explain --format json` prints."""

    base: str
    head: str
    machine: str
    created_at: datetime
    document: Mapping[str, Any]
