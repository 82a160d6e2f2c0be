"""A history small enough for a message: as a line of text, and as a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["history_svg", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _EDGE = 480, 120, 8  # px


def sparkline(values: Sequence[float]) -> str:
    """Return one block a value, the lowest for the least; nothing for none."""
    if not values:
        return ""
    low, high = min(values), max(values)
    if high == low:
        return _BLOCKS[3] * len(values)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - low) / (high - low) * top)] for value in values)


def history_svg(values: Sequence[float], mark: int | None = None) -> str | None:
    """Return the values as a picture with a line at place `mark`; None for fewer than two."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def x(place: float) -> float:
        return _EDGE + place / (len(values) - 1) * (_WIDTH - 2 * _EDGE)

    def y(value: float) -> float:
        return _HEIGHT - _EDGE - (value - low) / span * (_HEIGHT - 2 * _EDGE)

    points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(values))
    line = ""
    if mark is not None:
        at = x(mark - 0.5)
        line = (
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_HEIGHT}" stroke="#c62828" '
            'stroke-dasharray="4 3"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}"><rect width="100%" height="100%" fill="white"/>{line}'
        f'<polyline points="{points}" fill="none" stroke="#1565c0" stroke-width="2"/></svg>'
    )
