"""The colours of the charts, one set for each background."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DARK", "LIGHT", "Palette", "palette_for"]


@dataclass(frozen=True, slots=True)
class Palette:
    """Roles, not hues: a chart asks for `worse`, never for red.

    `lines` tell several lines of one chart apart, for the colour-blind as well, and are no state.
    """

    value: str
    interval: str
    level: str
    worse: str
    better: str
    neutral: str
    failed: str
    rule: str
    text: str
    muted: str
    grid: str
    background: str
    lines: tuple[str, ...]


LIGHT = Palette(
    value="#2f5fd0",
    interval="#8fabea",
    level="#1b2330",
    worse="#c4303d",
    better="#1a7f4b",
    neutral="#657084",
    failed="#b25a00",
    rule="#8a6bc9",
    text="#1b2330",
    muted="#586376",
    grid="#e6eaf1",
    background="#ffffff",
    lines=("#2f5fd0", "#b25a00", "#00786b", "#a03a86", "#5c6370", "#7a5c00", "#14213d", "#8a2b2b"),
)

DARK = Palette(
    value="#7aa5ff",
    interval="#41639f",
    level="#e5e9f0",
    worse="#ff7a7a",
    better="#4fc78c",
    neutral="#9aa6b8",
    failed="#ffab5e",
    rule="#b79bf0",
    text="#e5e9f0",
    muted="#a9b4c4",
    grid="#252e3b",
    background="#10151d",
    lines=("#7aa5ff", "#ffab5e", "#45c9b4", "#e08fcb", "#a9b4c4", "#d9c05a", "#e5e9f0", "#ff9a9a"),
)


def palette_for(theme: str | None) -> Palette:
    """The palette of Streamlit's theme type, "light" or "dark"; light where it is not known."""
    return DARK if theme == "dark" else LIGHT
