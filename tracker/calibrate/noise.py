"""The noise of each metric in A/A gates."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tracker.calibrate.result import Calibration, MetricNoise
from tracker.domain import PairedValues, VerdictInfo
from tracker.gate.stored import benchmark_of
from tracker.stats.calibration import noise_of
from tracker.store import Store, queries

__all__ = ["measure_noise"]


def measure_noise(store: Store, calibration: Calibration) -> None:
    """Fill in the noise of each metric, and the exact metrics that are not constant."""
    stored = _stored_values(store, calibration)
    verdicts: dict[str, list[VerdictInfo]] = {}
    for gate in calibration.gates:
        for verdict in gate.verdicts:
            verdicts.setdefault(verdict.metric, []).append(verdict)
    for metric, by_gate in stored.items():
        series = by_gate[0].series
        pairs = [pair for values in by_gate for pair in values.pairs]
        if series.kind == "exact":
            if len({value for pair in pairs for value in pair}) > 1:
                calibration.unsteady.append(metric)
        elif metric in verdicts:
            detect = calibration.policy.metric(metric, benchmark_of(series)).detect
            calibration.metrics.append(_noise_of_metric(metric, pairs, verdicts[metric], detect))
    calibration.metrics.sort(key=lambda metric: -(metric.noise.pair if metric.noise else 0.0))


def _noise_of_metric(
    metric: str,
    pairs: Sequence[tuple[float, float]],
    verdicts: Sequence[VerdictInfo],
    detect: float,
) -> MetricNoise:
    effects = [_detectable(verdict, detect) for verdict in verdicts]
    known = [effect for effect in effects if effect is not None]
    status = [verdict.status for verdict in verdicts]
    return MetricNoise(
        metric=metric,
        noise=noise_of(pairs),
        mde=median(known) if known else None,
        called=status.count("regression"),
        undecided=status.count("inconclusive"),
        gates=len(status),
    )


def _detectable(verdict: VerdictInfo, detect: float) -> float | None:
    """Return the minimum detectable effect; a pass with too few pairs for a call excludes `detect`."""
    return detect if verdict.mde is None and verdict.status == "pass" else verdict.mde


def _stored_values(store: Store, calibration: Calibration) -> dict[str, list[PairedValues]]:
    """Return what the gates measured of each metric, by gate."""
    by_metric: dict[str, list[PairedValues]] = {}
    commit = calibration.commit.hash
    for gate in calibration.gates:
        stored = queries.paired_values(
            store, calibration.project, commit, commit,
            gate_id=gate.id, machine=calibration.machine,
        )  # fmt: skip
        for metric, values in stored.items():
            if values.pairs:
                by_metric.setdefault(metric, []).append(values)
    return by_metric
