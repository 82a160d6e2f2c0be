"""Server-sent events: the bytes of a streamed reply to its events, each with the time it was whole.

The parts of the WHATWG format that completion servers use: ``data`` fields, comments (keep-alive),
lines that end in LF, CRLF or CR. Bytes are joined before they are decoded, so a character may be
split anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ServerEvent", "read_events"]

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event.

    Attributes:
        at: When its last byte was read, s.
        data: Its ``data`` lines, joined by newlines.
        whole: False for what the stream's end cut off before the blank line.
    """

    at: float
    data: bytes
    whole: bool = True


def read_events(reads: Iterable[tuple[float, bytes]]) -> list[ServerEvent]:
    """Return the events of a stream, in order; comments and events without data are left out.

    Args:
        reads: What each read returned and when, in order.
    """
    events: list[ServerEvent] = []
    lines: list[bytes] = []  # of the event that is not whole yet
    rest = b""
    after_cr = False
    last = 0.0
    for last, received in reads:
        if after_cr and received.startswith(b"\n"):  # the second half of a CRLF
            received = received[1:]
        after_cr = received.endswith(b"\r") if received else after_cr
        *whole, rest = _LINE_END.split(rest + received)
        for line in whole:
            if line:
                lines.append(line)
            elif (data := _data_of(lines)) is not None:
                events.append(ServerEvent(last, data))
            if not line:
                lines = []
    if rest:
        lines.append(rest)
    if (data := _data_of(lines)) is not None:
        events.append(ServerEvent(last, data, whole=False))
    return events


def _data_of(lines: list[bytes]) -> bytes | None:
    """Return an event's data; None where no line holds any."""
    found = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(found) if found else None
