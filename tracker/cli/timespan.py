"""Times and time spans as options give them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time

from tracker.errors import UsageError

__all__ = ["end_of_day", "moment", "seconds"]

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


def moment(option: str, text: str) -> datetime:
    """Return an ISO time in UTC; without a zone it is one of UTC.

    Raises:
        UsageError: It is none.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r}: not a time such as 2026-01-31T12:00Z") from None
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def end_of_day(option: str, text: str) -> datetime:
    """Return the last second of an ISO day of UTC.

    Raises:
        UsageError: It is no day.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no date; write 2026-03-31") from None
    return datetime.combine(day, time.max, UTC).replace(microsecond=0)
