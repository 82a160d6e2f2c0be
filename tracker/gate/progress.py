"""What somebody waiting for a gate sees: the pair, the intervals so far, the minutes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from tracker.domain import Arm
from tracker.gate.validity import Complaint
from tracker.measure.asv import LaunchResult
from tracker.report.numbers import duration, interval, percent
from tracker.stats import Verdict

__all__ = ["LiveProgress", "PlainProgress", "SilentProgress"]

_ROWS = 20


class SilentProgress:
    """Says nothing."""

    def launching(self, pair: int, arm: Arm, bench: Sequence[str]) -> None: ...

    def launched(self, result: LaunchResult, pair: int | None, arm: Arm) -> None: ...

    def pair_done(
        self, pairs: int, verdicts: Mapping[str, Verdict], pending: frozenset[str], seconds: float
    ) -> None: ...

    def pair_dropped(self, complaints: Sequence[Complaint]) -> None: ...


class PlainProgress(SilentProgress):
    """A line a pair, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def pair_done(
        self, pairs: int, verdicts: Mapping[str, Verdict], pending: frozenset[str], seconds: float
    ) -> None:
        counts: dict[str, int] = {}
        for name, verdict in verdicts.items():
            key = "pending" if name in pending else verdict.status
            counts[key] = counts.get(key, 0) + 1
        said = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        elapsed = duration(time.monotonic() - self._started)
        self._print(f"pair {pairs} after {elapsed}: {said}")

    def pair_dropped(self, complaints: Sequence[Complaint]) -> None:
        for complaint in complaints:
            self._print(f"pair dropped: {complaint.text}")

    def _print(self, line: str) -> None:
        self._console.print(escape(line), highlight=False, soft_wrap=True)


class LiveProgress(PlainProgress):
    """A table that is drawn anew after every launch, for terminals."""

    def __init__(self, console: Console, live: Live) -> None:
        super().__init__(console)
        self._live = live
        self._table: Table | None = None

    def launching(self, pair: int, arm: Arm, bench: Sequence[str]) -> None:
        elapsed = duration(time.monotonic() - self._started)
        title = f"pair {pair}, measuring {arm}, {elapsed}"
        table = self._table if self._table is not None else Table(show_edge=False)
        table.title = title
        table.title_justify = "left"
        self._live.update(table)

    def pair_done(
        self, pairs: int, verdicts: Mapping[str, Verdict], pending: frozenset[str], seconds: float
    ) -> None:
        table = Table("metric", "change", "99% interval", "verdict", show_edge=False)
        shown = sorted(verdicts.items(), key=lambda item: (item[0] not in pending, item[0]))
        for name, verdict in shown[:_ROWS]:
            status = "…" if name in pending else verdict.status
            table.add_row(
                escape(name), percent(verdict.effect), interval(verdict.low, verdict.high), status
            )
        if len(shown) > _ROWS:
            table.add_row(f"and {len(shown) - _ROWS} more", "", "", "")
        self._table = table
        self._live.update(table)
