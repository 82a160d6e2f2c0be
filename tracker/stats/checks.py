"""What a gate is given, checked: its arguments and each pair."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from tracker.stats.contrasts import Arms
from tracker.stats.exact import ExactMetric
from tracker.stats.verdict import Better

__all__ = ["check_directions", "check_pair", "exact_metrics", "thresholds"]


def check_directions(metrics: Mapping[str, Better]) -> None:
    """Raise ValueError where there is no metric, or one without a direction."""
    if not metrics:
        raise ValueError("a gate needs at least one metric")
    for name, better in metrics.items():
        if better not in ("lower", "higher"):
            raise ValueError(f"metric {name!r}: better must be 'lower' or 'higher', not {better!r}")


def exact_metrics(
    metrics: Mapping[str, Better], steps: Mapping[str, float]
) -> dict[str, ExactMetric]:
    """Return the exact metrics by name.

    Raises:
        ValueError: A name that is not in `metrics`, or a step that makes no sense.
    """
    if unknown := sorted(set(steps) - set(metrics)):
        raise ValueError(f"exact names metrics the gate does not have: {unknown}")
    made = {}
    for name, step in steps.items():
        try:
            made[name] = ExactMetric(metrics[name], step)
        except ValueError as error:
            raise ValueError(f"metric {name!r}: {error}") from None
    return made


def thresholds(
    margin: float | Mapping[str, float], detect: float | Mapping[str, float], names: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return margin and detect by metric, as logarithms of ratios.

    Raises:
        ValueError: A metric is missing, or 0 <= margin < detect does not hold.
    """
    margins = _log_slowdowns("margin", margin, names)
    detects = _log_slowdowns("detect", detect, names)
    for name in names:
        if not 0 <= margins[name] < detects[name]:
            raise ValueError(
                f"metric {name!r}: need 0 <= margin < detect, not margin "
                f"{math.expm1(margins[name]):g} and detect {math.expm1(detects[name]):g}"
            )
    return margins, detects


def _log_slowdowns(
    what: str, value: float | Mapping[str, float], names: Sequence[str]
) -> dict[str, float]:
    """Return by name the logarithm of the ratio that `value` allows."""
    if not isinstance(value, Mapping):
        ratios = dict.fromkeys(names, float(value))
    elif missing := sorted(set(names) - set(value)):
        raise ValueError(f"{what} lacks the metrics {missing}")
    else:
        ratios = {name: float(value[name]) for name in names}
    for name, ratio in ratios.items():
        if not (math.isfinite(ratio) and ratio > -1):
            raise ValueError(f"metric {name!r}: {what} must be finite and above -1, not {ratio}")
    return {name: math.log1p(ratio) for name, ratio in ratios.items()}


def check_pair(
    pair: Mapping[str, Arms | None],
    controls: Mapping[str, Mapping[str, Arms]],
    metrics: Collection[str],
    pending: Collection[str],
) -> None:
    """Raise ValueError where a name is unknown or missing, or a value cannot be used."""
    if unknown := sorted(set(pair) - set(metrics)):
        raise ValueError(f"unknown metrics {unknown}; the gate has {sorted(metrics)}")
    if unknown := sorted(set(controls) - set(metrics)):
        raise ValueError(f"controls of unknown metrics {unknown}; the gate has {sorted(metrics)}")
    if missing := sorted(set(pending) - set(pair)):
        raise ValueError(f"the pair lacks the pending metrics {missing}")
    for name, values in pair.items():
        for arm, value in zip(("base", "head"), values or (), strict=False):
            if not math.isfinite(value):
                raise ValueError(f"metric {name!r}: {arm} value {value} is not finite")
    for name, by_control in controls.items():
        for control, times in by_control.items():
            for arm, value in zip(("base", "head"), times, strict=True):
                if not 0 < value < math.inf:
                    raise ValueError(
                        f"metric {name!r}: {arm} value {value} of its control {control!r} is not "
                        "a positive number"
                    )
