"""The little HTML that Streamlit has no element for: number tiles, sparklines, the page's style.

Colours come from the reader's theme through `currentColor`, or from the palette; every text is
escaped here.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from dashboard.palette import Palette
from dashboard.tables import history_frame, level_frame
from dashboard.units import format_effect, scale_for
from tracker.domain import LevelShift, SeriesHistory

__all__ = [
    "BADGES",
    "STYLE",
    "Tile",
    "badge_of",
    "code",
    "lines_html",
    "plain",
    "shift_html",
    "shortened",
    "sparkline_html",
    "sparkline_svg",
    "tiles_html",
]

# Colour and icon of a gate's outcome and of an alert's state; what is not named is grey.
BADGES = {
    "pass": ("green", ":material/check_circle:"),
    "improvement": ("green", ":material/check_circle:"),
    "regression": ("red", ":material/error:"),
    "broken": ("red", ":material/error:"),
    "inconclusive": ("orange", ":material/help:"),
    "running": ("blue", ":material/hourglass_top:"),
    "open": ("red", ":material/campaign:"),
    "acked": ("orange", ":material/visibility:"),
    "expected": ("gray", ":material/event_available:"),
    "resolved": ("gray", ":material/task_alt:"),
    "fixed": ("green", ":material/task_alt:"),
    "queued": ("gray", ":material/schedule:"),
    "done": ("gray", ":material/done:"),
    "failed": ("red", ":material/error:"),
    "confirmed": ("red", ":material/verified:"),
    "refuted": ("green", ":material/cancel:"),
}


def badge_of(state: str) -> tuple[str, str]:
    """Colour and icon of a state."""
    return BADGES.get(state, ("gray", ":material/block:"))


_SHOWN = 300  # characters of a name or a subject


# Controls of the writing direction would reorder what stands around the text that holds them.
_DIRECTION_CONTROLS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def shortened(text: str, most: int = _SHOWN) -> str:
    """A text on one line, cut where it is longer than anybody reads."""
    line = " ".join(text.translate(_DIRECTION_CONTROLS).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def plain(text: str) -> str:
    """A text as Markdown that shows it as it is: names hold underscores, stars and brackets."""
    text = shortened(text)
    for mark in "\\`*_[]$<>~:#&|":
        text = text.replace(mark, "\\" + mark)
    return text


def code(text: str) -> str:
    """A name as Markdown in which nothing is markup, and no address becomes a link."""
    return f"`{shortened(text, 80).replace('`', 'ʼ').strip() or '–'}`"


def lines_html(lines: Iterable[tuple[str, str, str]]) -> str:
    """Lines of a log: when, what, who; whole, as text in which no address becomes a link."""
    items = "".join(
        "<li>"
        f'<span style="opacity:0.75">{escape(when)}</span> '
        f"{escape(what.translate(_DIRECTION_CONTROLS))}"
        + (f' <b style="font-weight:600">{escape(shortened(who, 80))}</b>' if who else "")
        + "</li>"
        for when, what, who in lines
    )
    return (
        '<ul style="font-size:0.875rem;line-height:1.6;margin:0;padding-left:1.2rem;'
        f'overflow-wrap:anywhere">{items}</ul>'
    )


_HAIRLINE = "color-mix(in srgb, currentColor 18%, transparent)"

# Streamlit's top padding leaves a third of a phone empty; a link must look like one.
STYLE = """
<style>
[data-testid="stMainBlockContainer"] { padding-top: 4.25rem; padding-bottom: 3rem; }
[data-testid="stPageLink-NavLink"] {
  padding-left: 0; padding-right: 0; background: transparent !important;
}
[data-testid="stPageLink-NavLink"] p {
  text-decoration: underline; text-underline-offset: 0.22em; white-space: normal;
  overflow-wrap: anywhere;
  text-decoration-color: color-mix(in srgb, currentColor 40%, transparent);
}
[data-testid="stPageLink-NavLink"] span { white-space: normal; }
/* Streamlit's faded captions miss WCAG's contrast of 4.5, */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] * {
  color: inherit !important;
}
[data-testid="stCaptionContainer"] { opacity: 0.85; }
/* and so do the colours of its highlighted code. */
[data-testid="stCode"] .token { color: inherit !important; }
/* The files of a chart need no line of their own height; they lie on the lower edge of the chart. */
[class*="st-key-files-"] { margin-top: -0.75rem; position: relative; z-index: 1; }
[class*="st-key-files-"] button { min-height: 1.5rem; padding-top: 0; padding-bottom: 0; }
</style>
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of a page's first line; `note` stands under it in small print.

    `colour` says what the number means; "" is the colour of text.
    """

    label: str
    value: str
    note: str = ""
    colour: str = ""


def tiles_html(tiles: list[Tile]) -> str:
    """The tiles in as many columns as the width allows, two on a phone."""
    cells = "".join(
        f'<div style="border:1px solid {_HAIRLINE};border-radius:0.5rem;padding:0.6rem 0.8rem;'
        'overflow-wrap:anywhere">'
        f'<div style="font-size:0.85rem;opacity:0.75">{escape(tile.label)}</div>'
        f'<div style="font-size:1.35rem;font-weight:650;line-height:1.3;'
        f'color:{tile.colour or "inherit"}">{escape(shortened(tile.value, 60))}</div>'
        f'<div style="font-size:0.8rem;opacity:0.75;line-height:1.3">{escape(tile.note)}</div>'
        "</div>"
        for tile in tiles
    )
    return (
        '<div style="display:grid;gap:0.6rem;'
        f'grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr))">{cells}</div>'
    )


def shift_html(history: SeriesHistory, shift: LevelShift, palette: Palette) -> str:
    """How far a series moved, from what to what, beside its sparkline."""
    scale = scale_for(history.series.unit, [shift.before, shift.after])
    colour = {True: palette.worse, False: palette.better, None: palette.neutral}[shift.worse]
    return (
        '<div style="display:flex;gap:1rem;align-items:center">'
        '<div style="flex:0 0 9.5rem">'
        f'<div style="font-size:1.3rem;font-weight:700;color:{colour}">'
        f"{escape(format_effect(shift.effect))}"
        f"{' drift' if shift.drift_commits is not None else ''}</div>"
        '<div style="font-size:0.85rem;opacity:0.8">'
        f"{escape(scale.change(shift.before, shift.after))}</div></div>"
        f'<div style="flex:1 1 6rem;min-width:0">{sparkline_html(history, palette)}</div></div>'
    )


_WIDTH, _HEIGHT = 300, 56


def sparkline_html(history: SeriesHistory, palette: Palette) -> str:
    """The sparkline of a series as an image; the full chart is one click away."""
    values = sum(point.value is not None for point in history.points)
    if not values:
        return '<div style="opacity:0.7">nothing measured</div>'
    # As an image: Streamlit takes inline SVG out of the HTML it is given.
    data = b64encode(sparkline_svg(history, palette).encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="history of {values} values" '
        'style="width:100%;height:3.4rem;display:block">'
    )


def sparkline_svg(history: SeriesHistory, palette: Palette) -> str:
    """A line without axes: the values, broken where nothing was measured, and the last shift.

    Intervals are left out. An SVG of its own that stretches to the width it is given.
    """
    scale = scale_for(history.series.unit, [p.value for p in history.points])
    frame = history_frame(history, scale)
    values = [v for v in frame["value"] if not math.isnan(v)]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    span = high - low

    def x(place: float) -> float:
        return 3 + (_WIDTH - 6) * (place + 0.5) / len(frame)

    def y(value: float) -> float:
        # A flat series is a line through the middle, not along the floor.
        share = (value - low) / span if span else 0.5
        return _HEIGHT - 5 - (_HEIGHT - 10) * share

    runs: list[list[str]] = []
    before: tuple[int, int] | None = None
    for index, value, segment in zip(frame["index"], frame["value"], frame["segment"], strict=True):
        if math.isnan(value):
            before = None
            continue
        if before != (index - 1, segment):
            runs.append([])
        runs[-1].append(f"{x(index):.1f},{y(value):.1f}")
        before = (index, segment)
    lines = "".join(
        f'<polyline points="{" ".join(run)}" fill="none" stroke="{palette.value}" '
        'stroke-width="1.6" stroke-linejoin="round" vector-effect="non-scaling-stroke"/>'
        if len(run) > 1
        else f'<circle cx="{run[0].partition(",")[0]}" cy="{run[0].partition(",")[2]}" r="1.4" '
        f'fill="{palette.value}"/>'
        for run in runs
    )
    _, marks = level_frame(history, scale)
    mark = ""
    if not marks.empty:
        last = marks.iloc[-1]
        colour = {"worse": palette.worse, "better": palette.better}.get(
            last["verdict"], palette.neutral
        )
        place = x(last["edge"])
        mark = (
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="{_HEIGHT}" stroke="{colour}" '
            'stroke-width="2" stroke-dasharray="3 3" vector-effect="non-scaling-stroke"/>'
        )
    title = f"history of {len(values)} values"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{title}" preserveAspectRatio="none">{mark}{lines}</svg>'
    )
