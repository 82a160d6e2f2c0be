"""Text of strangers inside HTML and SVG."""

from __future__ import annotations

import html
import unicodedata

__all__ = ["html_text"]


def html_text(text: str) -> str:
    """Return `text` as HTML shows it letter by letter: no markup, nothing invisible.

    Control, format and surrogate characters become U+FFFD, so that no name turns the direction of
    what follows it; line breaks stay.
    """
    return html.escape(
        "".join(
            "\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n" else c
            for c in text
        )
    )
