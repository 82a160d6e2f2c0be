"""Two commits side by side, each change held against the noise that the store knows.

The noise of a metric is what launches of one commit differ by. A change is beyond noise where noise
alone would exceed it with a chance of 1 % over *all* metrics of the comparison; a metric that was
hardly ever measured twice at one commit has unknown noise, and its change says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tracker.domain import ComparisonRow, SeriesFilter
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
    wanted: SeriesFilter | None = None,
    *,
    rules: Sequence[MetricRule] = (),
) -> list[ComparisonRow]:
    """Return the rows of `queries.compare`, with what their noise says of each change.

    `rules` of the checkout at hand go before those that the store keeps.
    """
    rows = queries.compare(store, project, base, head, wanted)
    return with_noise(
        [replace(row, series=described(row.series.metric, row.series, rules)) for row in rows]
    )


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
