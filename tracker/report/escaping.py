"""Text of strangers inside HTML, SVG and Markdown."""

from __future__ import annotations

import html
import unicodedata

__all__ = ["html_text", "markdown_text"]


def html_text(text: str) -> str:
    """Return `text` as HTML shows it letter by letter: no markup, nothing invisible.

    Control, format and surrogate characters become U+FFFD, so that no name turns the direction of
    what follows it; line breaks stay.
    """
    return html.escape(_visible(text))


def markdown_text(text: str) -> str:
    """Return `text` as GitHub's Markdown shows it letter by letter, on one line."""
    escaped = _visible(text).replace("&", "&amp;").replace("<", "&lt;")
    for mark in "*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped.replace("\n", " ")


def _visible(text: str) -> str:
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n" else c for c in text
    )
