"""From sampled tokens to events: appended to their request, tested for an end, stamped, posted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.counters import Counter
from inference.request import FinishReason, Request, TokenEvent
from inference.text import REPLACEMENT, TextStream

if TYPE_CHECKING:
    from inference.tokenizer import Tokenizer

__all__ = ["Delivery"]

Finish = Callable[[Request, FinishReason, str | None], None]


@dataclass(slots=True, eq=False)
class _Outlet:
    """The inbox of one request's tokens, and its end conditions."""

    inbox: deque[TokenEvent]
    stop_tokens: frozenset[int]
    text: TextStream | None  # where there are stop strings to look for, or text to post
    posts_text: bool


class Delivery:
    """Hands tokens to their requests and posts them.

    Args:
        eos_token_ids: What ends a request that does not ignore it.
        tokenizer: Of stop strings and texts; None has neither.
        finish: Called with each request that ends, why, and what failed.

    Attributes:
        tokens_generated: Tokens delivered since the last reset.
    """

    COUNTERS = (Counter("tokens_generated", "tokens handed to callers"),)

    def __init__(
        self, *, eos_token_ids: Sequence[int], tokenizer: Tokenizer | None, finish: Finish
    ) -> None:
        self.tokens_generated = 0
        self._eos = frozenset(eos_token_ids)
        self._tokenizer = tokenizer
        self._finish = finish
        self._outlets: dict[Request, _Outlet] = {}
        self._texts: dict[Request, TextStream] = {}  # of requests that have ended

    def open(self, request: Request, inbox: deque[TokenEvent], *, text: bool = False) -> None:
        """Post the request's tokens to ``inbox`` from now on, with their text if asked for."""
        params = request.params
        stop_tokens = frozenset(params.stop_token_ids)
        stream = None
        if self._tokenizer is not None and (text or params.stop):
            stream = TextStream(self._tokenizer, params.stop)
        self._outlets[request] = _Outlet(
            inbox,
            stop_tokens if params.ignore_eos else stop_tokens | self._eos,
            stream,
            text and stream is not None,
        )

    def close(self, request: Request) -> None:
        """Post nothing more for the request; its text is kept."""
        outlet = self._outlets.pop(request, None)
        if outlet is not None and outlet.text is not None:
            self._texts[request] = outlet.text

    def forget(self, request: Request) -> None:
        """Drop the request's text."""
        self._texts.pop(request, None)

    def deliver(self, requests: Sequence[Request], tokens: Sequence[int]) -> None:
        """Append each request's token, end what is to end, stamp and post the events.

        A request that ended while its token was computed gets none. A token below 0 stands for
        logits that were not finite.
        """
        outlets = self._outlets
        posts: list[tuple[Request, int, _Outlet]] = []
        ended: dict[Request, tuple[FinishReason, str | None]] = {}
        for request, token in zip(requests, tokens, strict=True):
            request.num_pending -= 1
            outlet = outlets.get(request)
            if outlet is None or request in ended:  # several tokens of one step, and one ended it
                continue
            if token < 0:
                ended[request] = "error", "the model's logits were not finite"
                continue
            request.tokens.append(token)
            posts.append((request, token, outlet))
            end: tuple[FinishReason, str | None] | None = None
            if token in outlet.stop_tokens:
                end = "stop", None
            elif len(request.tokens) >= request.max_total:
                end = "length", None
            if outlet.text is not None:
                end = _read(outlet.text, token, end)
            if end is not None:
                ended[request] = end
        # Stamped once all are ready to hand over: detokenization counts against the engine.
        now = time.perf_counter_ns()
        seconds = now / 1e9
        for request, token, outlet in posts:
            request.token_times_ns.append(now)
            if request in ended or outlet.posts_text:
                reason = ended[request][0] if request in ended else None
                text = outlet.text.take() if outlet.posts_text and outlet.text else None
                event = TokenEvent(request.request_id, token, seconds, reason, text)
            else:  # as the constructor makes it, in a quarter of its time
                event = tuple.__new__(TokenEvent, (request.request_id, token, seconds))
            outlet.inbox.append(event)
        self.tokens_generated += len(posts)
        for request, (reason, error) in ended.items():
            self._finish(request, reason, error)

    def text(self, request: Request) -> str | None:
        """Return the output's text so far, trimmed before a stop string; None without tokenizer.

        While a request runs, each later text begins with every earlier one.
        """
        if self._tokenizer is None:
            return None
        outlet = self._outlets.get(request)
        stream = outlet.text if outlet is not None else self._texts.get(request)
        if stream is not None:
            return stream.text
        tokens = request.output_tokens
        if request.finish_reason == "stop" and tokens:
            # Ended by a token: that token is no part of the text.
            tokens = tokens[:-1]
        text = self._tokenizer.decode(tokens)
        # A character whose bytes are not all there yet.
        return text if request.finished else text.rstrip(REPLACEMENT)


def _read(
    text: TextStream, token: int, end: tuple[FinishReason, str | None] | None
) -> tuple[FinishReason, str | None] | None:
    """Add the newest token to the request's text; return why the request ends, or None."""
    try:
        # A token that ends the output is no part of the text.
        if (end is None or end[0] == "length") and text.add(token):
            return "stop", None
        if end is not None:
            text.finish()
    except Exception as error:
        # The step's other tokens are computed and must reach their requests.
        return "error", f"{type(error).__name__}: {error}"
    return end
