"""The progress of a gate on the terminal: the pair, the intervals so far, the minutes left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from tracker.domain import Arm
from tracker.gate.complaint import Complaint
from tracker.gate.listener import Standing
from tracker.measure.launch import LaunchResult
from tracker.report.numbers import count_of, duration, interval, percent

__all__ = ["LiveProgress", "PlainProgress", "SilentProgress"]

_ROWS = 20


class SilentProgress:
    """Prints nothing."""

    def resumed(self, pairs: int) -> None: ...

    def launching(self, pair: int, arm: Arm, bench: Sequence[str]) -> None: ...

    def launched(self, result: LaunchResult, pair: int | None, arm: Arm) -> None: ...

    def pair_done(self, standing: Standing) -> None: ...

    def pair_dropped(self, complaints: Sequence[Complaint]) -> None: ...


class PlainProgress(SilentProgress):
    """A line a pair, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def resumed(self, pairs: int) -> None:
        self._print(f"resuming after {count_of(pairs, 'pair')} measured earlier")

    def pair_done(self, standing: Standing) -> None:
        self._print(f"{_where(standing)}: {_counts(standing)}{_ahead(standing)}")

    def pair_dropped(self, complaints: Sequence[Complaint]) -> None:
        for complaint in complaints:
            self._print(f"pair dropped: {complaint.text}")

    def _print(self, line: str) -> None:
        self._console.print(escape(line), highlight=False, soft_wrap=True)


class LiveProgress(PlainProgress):
    """A table of what is undecided, drawn anew after every launch, for terminals."""

    def __init__(self, console: Console, live: Live) -> None:
        super().__init__(console)
        self._live = live
        self._started = time.monotonic()
        self._table = Table(show_edge=False)

    def launching(self, pair: int, arm: Arm, bench: Sequence[str]) -> None:
        elapsed = duration(time.monotonic() - self._started)
        self._table.title = f"pair {pair}, measuring {arm}, {elapsed}"
        self._table.title_justify = "left"
        self._live.update(self._table)

    def pair_done(self, standing: Standing) -> None:
        table = Table("undecided", "change", "99% interval", "pairs", "to go", show_edge=False)
        for name in sorted(standing.left)[:_ROWS]:
            verdict, left = standing.verdicts[name], standing.left[name]
            table.add_row(
                escape(name),
                percent(verdict.effect),
                interval(verdict.low, verdict.high),
                str(verdict.pairs),
                "?" if left is None else f"about {left}",
            )
        if len(standing.left) > _ROWS:
            table.add_row(f"and {len(standing.left) - _ROWS} more", "", "", "", "")
        table.caption = f"{_where(standing)}: {_counts(standing)}{_ahead(standing)}"
        table.caption_justify = "left"
        self._table = table
        self._live.update(table)


def _where(standing: Standing) -> str:
    return f"pair {standing.pairs} after {duration(standing.seconds)}"


def _counts(standing: Standing) -> str:
    counts = Counter(
        "undecided" if name in standing.left else verdict.status
        for name, verdict in standing.verdicts.items()
    )
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))


def _ahead(standing: Standing) -> str:
    if not standing.left or standing.pairs_left is None or standing.seconds_left is None:
        return ""
    left = count_of(standing.pairs_left, "pair")
    return f"; about {left} to go, {duration(standing.seconds_left)}"
