"""What a gate could not measure, in a report: equal reasons together, with the log's last lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracker.report.model import Missing
from tracker.report.numbers import some_of

__all__ = ["MissingGroup", "grouped", "missing_lines"]

_NAMES = 5


@dataclass(frozen=True, slots=True)
class MissingGroup:
    """Metrics that are missing in one place for one reason.

    Attributes:
        sentence: Which, where and why.
        log: The last lines that the launch wrote of the first of them.
    """

    sentence: str
    log: tuple[str, ...]


def grouped(missing: Sequence[Missing]) -> list[MissingGroup]:
    """Return them in order, what HEAD breaks first."""
    groups: dict[str, list[Missing]] = {}
    for item in sorted(missing, key=lambda item: (not item.breaks, not item.fails)):
        groups.setdefault(item.sentence, []).append(item)
    return [
        MissingGroup(
            f"{some_of([item.metric for item in items], _NAMES)} "
            f"{sentence if len(items) == 1 else sentence.replace('fails', 'fail', 1)}",
            items[0].log,
        )
        for sentence, items in groups.items()
    ]


def missing_lines(missing: Sequence[Missing]) -> list[str]:
    """Return them as lines for the terminal."""
    return [
        line
        for group in grouped(missing)
        for line in (group.sentence, *(f"  | {line}" for line in group.log))
    ]
