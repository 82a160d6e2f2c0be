"""Numbers as a reader wants them: scaled units, few digits, signed percentages, ages.

The store keeps base units; nothing here is written back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

__all__ = [
    "Scale",
    "ago",
    "counted",
    "direction",
    "format_date",
    "format_effect",
    "format_number",
    "format_value",
    "scale_for",
]

_SECONDS = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (3600.0, "h"))
_BIG = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"))
_SMALL = ((1e-9, "n"), (1e-6, "µ"), (1e-3, "m"))
# unit as a benchmark writes it -> (what is scaled, rest of the unit)
_SECOND_NAMES = {"s", "sec", "second", "seconds"}
_BYTE_NAMES = {"b", "byte", "bytes"}
_SI_BASES = {"B", "J", "FLOP", "W", "Hz"}
_RATIO_NAMES = {"1", "ratio", "fraction"}


@dataclass(frozen=True, slots=True)
class Scale:
    """How a series is shown: stored value / `divisor`, in `unit`."""

    divisor: float
    unit: str

    def __call__(self, value: float) -> float:
        return value / self.divisor

    def text(self, value: float | None) -> str:
        """The scaled number with its unit; an en dash where there is none."""
        if value is None or not math.isfinite(value):
            return "–"
        return f"{format_number(self(value))} {self.unit}".rstrip()

    def change(self, before: float, after: float) -> str:
        """Two numbers and their unit once: "12.30 → 16.10 ms"."""
        return f"{format_number(self(before))} → {self.text(after)}"


def scale_for(unit: str, values: Iterable[float | None]) -> Scale:
    """Choose one scale for all of `values`, so that a typical one has 1 to 3 digits in front.

    Args:
        unit: As the benchmark states it: "s", "bytes", "tokens/s", "1", "J/token", "" …
        values: Stored values of one chart or table row; missing ones are left out.

    Returns:
        A scale; divisor 1 with the unit unchanged where scaling would not help.
    """
    sizes = sorted(abs(v) for v in values if v is not None and math.isfinite(v) and v != 0)
    typical = sizes[len(sizes) // 2] if sizes else 0.0
    name, slash, rest = unit.partition("/")
    if unit.lower() in _SECOND_NAMES:
        return _pick(_SECONDS, typical, fallback=Scale(1.0, "s"))
    if name.lower() in _BYTE_NAMES:
        return _prefixed("B", _BIG, typical, slash + rest)
    if name in _SI_BASES:
        steps = _BIG if name == "FLOP" else _SMALL + _BIG
        return _prefixed(name, steps, typical, slash + rest)
    if unit.lower() in _RATIO_NAMES:
        # A share above 1 is a plain ratio (a speed-up, say); 250 % would mislead.
        share = bool(sizes) and sizes[-1] <= 1.0
        return Scale(0.01, "%") if share else Scale(1.0, "")
    return Scale(1.0, "" if unit == "unit" else unit)


def _pick(steps: tuple[tuple[float, str], ...], typical: float, *, fallback: Scale) -> Scale:
    if typical == 0:
        return fallback
    divisor, unit = steps[0]
    for step, name in steps:
        if typical >= step * 0.9995:
            divisor, unit = step, name
    return Scale(divisor, unit)


def _prefixed(
    base: str, steps: tuple[tuple[float, str], ...], typical: float, suffix: str
) -> Scale:
    picked = _pick(steps, typical, fallback=Scale(1.0, ""))
    return Scale(picked.divisor, f"{picked.unit}{base}{suffix}")


def format_number(value: float) -> str:
    """Four significant digits, thousands grouped, no exponent between 1e-4 and 1e15."""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e15 or size < 1e-4:
        return f"{value:.3g}".replace("-", "−", 1) if value < 0 else f"{value:.3g}"
    if value == int(value) or size >= 1e4:
        text = f"{value:,.0f}"
    else:
        # The digits in front are counted after rounding: 0.99997 is 1.000.
        rounded = float(f"{size:.4g}")
        text = f"{value:,.{max(0, 3 - math.floor(math.log10(rounded)))}f}"
    return text.replace("-", "−", 1)


def format_value(value: float | None, unit: str) -> str:
    """One value on its own scale, with its unit."""
    return scale_for(unit, [value]).text(value)


def format_effect(effect: float | None) -> str:
    """A relative change as a signed percentage ("+12.3 %"); ratios above ten as a factor."""
    if effect is None or not math.isfinite(effect):
        return "–"
    if effect >= 9:
        return f"×{format_number(effect + 1)}"
    percent = effect * 100
    digits = 0 if abs(percent) >= 99.95 else 1 if abs(percent) >= 0.95 else 2
    text = f"{percent:+.{digits}f}"
    if float(text) == 0:
        return "0 %" if effect == 0 else "±0.00 %"
    return text.replace("-", "−", 1) + " %"


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural unless it is one: "3 level shifts"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def direction(better: str | None) -> str:
    """How to read a series: "lower is better", "higher is better" or "no stated direction"."""
    return f"{better} is better" if better else "no stated direction"


def format_date(when: datetime | None) -> str:
    """A date in UTC, "2026-01-31", or an en dash."""
    return when.strftime("%Y-%m-%d") if when else "–"


def ago(then: datetime | None, now: datetime) -> str:
    """How long before `now`, in the largest unit that is at least one: "3 days ago"."""
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    if seconds < 90:
        return "just now"
    units = (
        (31_557_600, "year"),
        (2_629_800, "month"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    )
    size, name = next(unit for unit in units if seconds >= unit[0])
    return f"{counted(int(seconds // size), name)} ago"
