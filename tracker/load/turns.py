"""What a chat costs as it grows: time to first token of its first turn and of its last."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.load.metrics import Values, quantile
from tracker.load.records import RequestRecord
from tracker.load.scenario import Conversations

__all__ = ["turn_metrics", "turn_name", "turn_ttfts"]


def turn_ttfts(records: Sequence[RequestRecord], chats: Conversations) -> list[float | None]:
    """Return the median TTFT over all chats of each turn, s; None for a turn without a token.

    Args:
        records: In order of index: all first turns, then all second turns, and so on.
        chats: Whose they are.
    """
    waits: list[list[float]] = [[] for _ in range(chats.turns)]
    for record in records:
        if record.ttft is not None:
            waits[record.index // chats.chats].append(record.ttft)
    return [quantile(turn, 0.5) for turn in waits]


def turn_name(turn: int) -> str:
    """Return the name of a turn's TTFT among a launch's metrics; the first is turn 1."""
    return f"ttft_turn_{turn}"


def turn_metrics(records: Sequence[RequestRecord], chats: Conversations) -> Values:
    """Return TTFT of every turn, and how many times that of the first the last is.

    The growth says what history costs only where every turn adds as many tokens as the first.
    """
    ttfts = turn_ttfts(records, chats)
    first, last = ttfts[0], ttfts[-1]
    return {
        **{turn_name(turn): ttft for turn, ttft in enumerate(ttfts, start=1)},
        "ttft_first_turn": first,
        "ttft_last_turn": last,
        "ttft_growth": last / first if first and last is not None else None,
    }
