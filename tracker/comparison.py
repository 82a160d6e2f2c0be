"""Two commits side by side, each change held against the noise that the store knows.

The noise of a metric is what launches of one commit differ by. A change is beyond noise where noise
alone would exceed it with a chance of 1 % over *all* metrics of the comparison; a metric that was
hardly ever measured twice at one commit has unknown noise, and its change says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from tracker.domain import ComparisonRow
from tracker.metrics import MetricRule, described
from tracker.stats.launches import launch_noise, visible_change
from tracker.store import Store, queries

__all__ = ["ALPHA", "compare", "with_noise"]

ALPHA = 0.01  # chance that any metric of a comparison is falsely called beyond noise


def compare(
    store: Store,
    project: str,
    base: str,
    head: str,
    *,
    machine: str | None = None,
    environment: str | None = None,
    bench: Sequence[str] = (),
    search: str | None = None,
    rules: Sequence[MetricRule] = (),
) -> list[ComparisonRow]:
    """Return every series measured at either commit, with what its noise says of the change.

    Args:
        store: Where to look.
        project: Its name.
        base: Hash, or the beginning of one.
        head: Hash, or the beginning of one.
        machine: Only this machine.
        environment: Only this environment.
        bench: Regular expressions, of which one must be found in the metric's name.
        search: Words that must be in the metric's name.
        rules: Of the checkout at hand; they go before those that the store keeps.

    Raises:
        UsageError: A commit, the machine or the environment is not there.
    """
    rows = queries.compare(
        store, project, base, head, machine=machine, environment=environment, search=search
    )
    if bench:
        rows = [row for row in rows if any(re.search(p, row.series.metric) for p in bench)]
    rows = [replace(row, series=described(row.series.metric, row.series, rules)) for row in rows]
    return with_noise(rows)


def with_noise(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """Return the rows with `noise` and `visible`; pure."""
    noisy = [row for row in rows if _is_compared(row) and row.series.kind != "exact"]
    alpha = ALPHA / max(1, len(noisy))
    return [_with_noise(row, alpha) if _is_compared(row) else row for row in rows]


def _is_compared(row: ComparisonRow) -> bool:
    return row.base is not None and row.head is not None


def _with_noise(row: ComparisonRow, alpha: float) -> ComparisonRow:
    assert row.base is not None
    assert row.head is not None
    change = row.head - row.base
    if row.series.kind == "exact":
        return replace(row, noise="beyond" if abs(change) > row.series.step else "within")
    noise = launch_noise(row.launches)
    if noise is None or (noise.is_relative and min(row.base, row.head) <= 0):
        return row
    visible = visible_change(noise, len(row.base_values), len(row.head_values), alpha=alpha)
    if not noise.is_relative:
        return replace(row, noise="beyond" if abs(change) > visible else "within")
    is_beyond = abs(math.log(row.head / row.base)) > visible
    return replace(row, noise="beyond" if is_beyond else "within", visible=math.expm1(visible))
