"""The pictures of an HTML report, as inline SVG: effects with intervals, and the pairs behind them.

Colours come from classes of the page, so that one picture serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tracker.domain import Better
from tracker.report.escaping import html_text
from tracker.report.model import ReportRow
from tracker.report.numbers import percent, scale_for, scaled

__all__ = ["EffectScale", "effect_axis", "effect_plot", "pair_plot", "worsening"]

_WIDTH, _ROW, _AXIS = 300, 26, 34  # px of the effect column
_EDGE = 10  # px left free on either side, for arrows and labels
_PAIRS = (320, 132)  # px of a plot of pairs
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 10, 10, 22


def worsening(ratio: float, better: Better | None) -> float:
    """Return a change head/base - 1 so that positive is worse, whichever way is better."""
    if better != "higher":
        return ratio
    return 1 / (1 + ratio) - 1 if ratio > -1 else math.inf


class EffectScale:
    """One scale for all effects of a report: left is better, right is worse.

    Args:
        rows: What is to be shown. The largest effect that is judged fits, up to 100 %; what lies
            beyond ends in an arrow.
    """

    def __init__(self, rows: Sequence[ReportRow]) -> None:
        sizes = [0.02]
        for row in rows:
            if row.outcome == "not judged":
                continue
            sizes += [1.3 * abs(effect) for effect in _of(row, row.effect)]
            sizes += [2 * row.margin] if row.margin else []
        self.limit = min(max(sizes), 1.0)

    def x(self, ratio: float) -> float:
        """Return where a worsening lies, in px; beyond the limit, the edge."""
        clipped = max(-self.limit, min(self.limit, ratio))
        return _WIDTH / 2 + clipped / self.limit * (_WIDTH / 2 - _EDGE)

    def ticks(self) -> list[float]:
        """Return about five round worsenings, 0 among them."""
        rough = self.limit / 2
        power = 10 ** math.floor(math.log10(rough))
        step = max(s * power for s in (1, 2, 5) if s * power <= rough)
        count = int(self.limit / step)
        every = 1 if count < 3 else 2
        return [number * step for number in range(-count, count + 1) if number % every == 0]


def effect_axis(scale: EffectScale) -> str:
    """Return the axis above the column of effects."""
    marks = "".join(
        f'<text x="{scale.x(tick):.1f}" y="30" text-anchor="middle">{_short(tick)}</text>'
        for tick in scale.ticks()
    )
    words = (
        f'<text x="{_EDGE}" y="12">← better</text>'
        f'<text x="{_WIDTH - _EDGE}" y="12" text-anchor="end">worse →</text>'
    )
    return (
        f'<svg class="axis" viewBox="0 0 {_WIDTH} {_AXIS}" role="presentation">{words}{marks}</svg>'
    )


def effect_plot(row: ReportRow, scale: EffectScale) -> str:
    """Return one effect with its interval, and the margin within which a change does not matter."""
    middle = _ROW / 2
    parts = [
        f'<line class="grid" x1="{scale.x(t):.1f}" x2="{scale.x(t):.1f}" y1="0" y2="{_ROW}"/>'
        for t in scale.ticks()
    ]
    if row.margin:
        left, right = scale.x(-row.margin), scale.x(row.margin)
        parts.append(
            f'<rect class="band" x="{left:.1f}" width="{right - left:.1f}" y="0" height="{_ROW}"/>'
        )
    zero = scale.x(0)
    parts.append(f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{_ROW}"/>')
    ends = sorted([*_of(row, row.low), *_of(row, row.high)])
    if len(ends) == 2:
        low, high = (scale.x(end) for end in ends)
        parts.append(
            f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
        )
        parts += [_end(end, x, scale, middle) for end, x in zip(ends, (low, high), strict=True)]
    for effect in _of(row, row.effect):
        x = scale.x(effect)
        inside = f'<circle class="dot" cx="{x:.1f}" cy="{middle}" r="4.5"/>'
        parts.append(inside if abs(effect) <= scale.limit else _end(effect, x, scale, middle))
    label = f"{percent(row.effect)}" if row.effect is not None else "no effect is known"
    return (
        f'<svg class="effect" viewBox="0 0 {_WIDTH} {_ROW}" role="img">'
        f"<title>{html_text(f'{row.metric}: {label}')}</title>{''.join(parts)}</svg>"
    )


def pair_plot(row: ReportRow) -> str:
    """Return the values of both arms pair by pair, hollow for base and filled for head."""
    width, height = _PAIRS
    values = [v for pair in row.points for v in pair if v is not None and math.isfinite(v)]
    if not values:
        return ""
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * 0.12
    low, high = low - room, high + room
    divisor, unit = scale_for(row.unit, low, high)

    def x(number: int) -> float:
        return _LEFT + (number + 0.5) / len(row.points) * (width - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (height - _TOP - _BOTTOM)

    parts = []
    for mark in (low + room, high - room):
        at = y(mark)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{scaled(mark, divisor)}</text>'
        )
    for number, (base, head) in enumerate(row.points):
        known = [v for v in (base, head) if v is not None and math.isfinite(v)]
        if len(known) == 2:
            parts.append(
                f'<line class="link" x1="{x(number):.1f}" x2="{x(number):.1f}" '
                f'y1="{y(known[0]):.1f}" y2="{y(known[1]):.1f}"/>'
            )
        tip = (
            f"pair {number + 1}: {scaled(base, divisor)} → {scaled(head, divisor)} {unit}".rstrip()
        )
        for value, arm in ((base, "base"), (head, "head")):
            if value is not None and math.isfinite(value):
                parts.append(
                    f'<circle class="{arm}" cx="{x(number):.1f}" cy="{y(value):.1f}" r="3">'
                    f"<title>{html_text(tip)}</title></circle>"
                )
    last = len(row.points)
    parts.append(f'<text x="{x(0):.1f}" y="{height - 6}" text-anchor="middle">1</text>')
    if last > 1:
        parts.append(
            f'<text x="{x(last - 1):.1f}" y="{height - 6}" text-anchor="middle">{last}</text>'
        )
    if unit:
        parts.append(f'<text x="4" y="{height - 6}">{html_text(unit)}</text>')
    name = html_text(f"{row.metric}: base and head in {last} pairs")
    return (
        f'<svg class="pairs" viewBox="0 0 {width} {height}" role="img"><title>{name}</title>'
        f"{''.join(parts)}</svg>"
    )


def _end(ratio: float, x: float, scale: EffectScale, middle: float) -> str:
    """The end of an interval: a cap, or an arrow where it goes on beyond the scale."""
    if abs(ratio) <= scale.limit:
        return f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 4}" y2="{middle + 4}"/>'
    tip = x + math.copysign(7, ratio)
    return f'<path class="arrow" d="M{tip:.1f} {middle} L{x:.1f} {middle - 4} L{x:.1f} {middle + 4} Z"/>'


def _of(row: ReportRow, ratio: float | None) -> list[float]:
    """The worsening of a ratio as a list of one; empty where it is not known or not finite."""
    if ratio is None or not math.isfinite(ratio):
        return []
    return [worsening(ratio, row.better)]


def _short(ratio: float) -> str:
    text = f"{100 * ratio:+.3g}".replace("-", "−")
    return "0" if ratio == 0 else f"{text} %"
