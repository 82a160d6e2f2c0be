"""Numbers as people read them: scaled units, signed percentages, intervals.

The store and every computation keep base units; scaling happens here, when shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = [
    "count_of",
    "drift_text",
    "duration",
    "finite",
    "interval",
    "percent",
    "scale_for",
    "scaled",
    "some_of",
    "value_with_unit",
]

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_PLAIN = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def scale_for(unit: str, *values: float | None) -> tuple[float, str]:
    """Return the divisor and the name of the unit that `values` are shown in.

    Values of one row share a scale, chosen by the largest of them.
    """
    known = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    size = max(known, default=1.0)
    if unit in ("s", "seconds"):
        return _pick(_SECONDS, size)
    if unit in ("byte", "bytes", "B"):
        return _pick(_BYTES, size)
    if unit.startswith(("byte/", "bytes/", "B/")):
        divisor, name = _pick(_BYTES, size)
        return divisor, f"{name}/{unit.split('/', 1)[1]}"
    if unit in ("1", "", "unit"):
        return 1.0, ""
    if size >= 1e5:
        divisor, prefix = _pick(_PLAIN, size)
        return divisor, f"{prefix}{unit}" if not prefix else f"{prefix} {unit}"
    return 1.0, unit


def scaled(value: float | None, divisor: float) -> str:
    """Return `value / divisor` with four significant digits; "-" for None."""
    if value is None:
        return "-"
    shown = value / divisor
    if shown == 0 or not math.isfinite(shown):
        return f"{shown:g}"
    if float(shown).is_integer() and abs(shown) < 1e6:
        return f"{shown:.0f}"
    digits = max(0, 3 - math.floor(math.log10(abs(shown))))
    return f"{shown:.{min(digits, 9)}f}"


def value_with_unit(value: float | None, unit: str) -> str:
    """Return one value, scaled, with its unit."""
    divisor, name = scale_for(unit, value)
    return f"{scaled(value, divisor)} {name}".rstrip()


def percent(ratio: float | None, *, signed: bool = True) -> str:
    """Return a ratio as a percentage with two decimals; "?" for None."""
    if ratio is None:
        return "?"
    return f"{100 * ratio:+.2f}%" if signed else f"{100 * ratio:.2f}%"


def interval(low: float | None, high: float | None) -> str:
    """Return `[low, high]` as percentages, empty where there is none."""
    if low is None or high is None or low == high:
        return ""
    return f"[{percent(low)}, {percent(high)}]"


def duration(seconds: float) -> str:
    """Return a time span: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _pick(steps: tuple[tuple[float, str], ...], size: float) -> tuple[float, str]:
    return next(((d, name) for d, name in steps if size >= d), steps[-1])


def count_of(number: int, noun: str) -> str:
    """Return "1 pair", "2 pairs", "2 series"."""
    return f"{number} {noun}" if number == 1 or noun == "series" else f"{number} {noun}s"


def some_of(items: Sequence[str], most: int = 3, *, separator: str = ", ") -> str:
    """Return the first `most` of some texts as one, with the number of the others."""
    shown = separator.join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def finite(value: float | None) -> float | None:
    """Return a value as JSON can hold it: None where it is infinite or NaN."""
    return value if value is not None and math.isfinite(value) else None


def drift_text(commits: int | None, per_100_commits: float | None) -> str:
    """Return the words that follow the change of a drift; empty for a level shift."""
    if commits is None:
        return ""
    rate = "" if per_100_commits is None else f", {percent(per_100_commits)} per 100 commits"
    return f" (drift over {commits} commits{rate})"
