"""Time spans as options give them."""

from __future__ import annotations

import re

from tracker.errors import UsageError

__all__ = ["seconds"]

_UNITS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def seconds(option: str, text: str | None) -> float | None:
    """Return the seconds of `90`, `90s`, `5m` or `2h`; None for None.

    Raises:
        UsageError: It is none of these, or zero.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?", text.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"{option} {text!r} is no time; write 90, 90s, 5m or 2h")
    return float(match[1]) * _UNITS[match[2]]
