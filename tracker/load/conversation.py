"""Chats of several turns: every request's prompt begins with the turn before it."""

from __future__ import annotations

import random

from tracker.load.lengths import draw
from tracker.load.records import LoadRequest
from tracker.load.scenario import Conversations
from tracker.load.text import text_of

__all__ = ["conversation_requests"]


def conversation_requests(
    chats: Conversations, vocab_size: int, rng: random.Random
) -> list[LoadRequest]:
    """Return the requests, all first turns first, then all second turns, and so on.

    Args:
        chats: Their shape.
        vocab_size: Token ids are drawn below it.
        rng: Of lengths, and of tokens or words.
    """
    system = _prompt(chats, chats.system, vocab_size, rng)
    user = draw(chats.user, chats.requests, rng)
    output = draw(chats.output, chats.requests, rng)
    requests = []
    for index in range(chats.requests):
        first_turn = index < chats.chats
        own = _prompt(chats, user[index], vocab_size, rng)
        requests.append(
            LoadRequest(
                index=index,
                prompt=_joined(system, own) if first_turn else own,
                max_tokens=output[index],
                follows=None if first_turn else index - chats.chats,
            )
        )
    return requests


def _prompt(
    chats: Conversations, count: int, vocab_size: int, rng: random.Random
) -> tuple[int, ...] | str:
    if chats.text:
        return text_of(count, rng)
    return tuple(rng.randrange(vocab_size) for _ in range(count))


def _joined(system: tuple[int, ...] | str, own: tuple[int, ...] | str) -> tuple[int, ...] | str:
    if isinstance(system, str) or isinstance(own, str):
        return f"{system}\n{own}"
    return system + own
