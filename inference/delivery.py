"""From sampled tokens to events: appended to their request, tested for an end, stamped, posted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.request import FinishReason, Request, TokenEvent

if TYPE_CHECKING:
    from inference.tokenizer import StopChecker, Tokenizer

__all__ = ["Delivery"]

Finish = Callable[[Request, FinishReason, str | None], None]


@dataclass(slots=True, eq=False)
class _Outlet:
    """Where one request's tokens go, and what ends it."""

    inbox: deque[TokenEvent]
    stop_tokens: frozenset[int]
    checker: StopChecker | None


class Delivery:
    """Hands tokens to their requests and posts them.

    Args:
        eos_token_ids: What ends a request that does not ignore it.
        tokenizer: Of stop strings and texts; None has neither.
        finish: Called with each request that ends, why, and what failed.

    Attributes:
        tokens_generated: Tokens delivered since the last reset.
    """

    def __init__(
        self, *, eos_token_ids: Sequence[int], tokenizer: Tokenizer | None, finish: Finish
    ) -> None:
        self.tokens_generated = 0
        self._eos = frozenset(eos_token_ids)
        self._tokenizer = tokenizer
        self._finish = finish
        self._outlets: dict[Request, _Outlet] = {}
        self._texts: dict[Request, str] = {}

    def open(self, request: Request, inbox: deque[TokenEvent]) -> None:
        """Post the request's tokens to ``inbox`` from now on."""
        from inference.tokenizer import StopChecker

        params = request.params
        stop_tokens = frozenset(params.stop_token_ids)
        checker = None
        if params.stop and self._tokenizer is not None:
            checker = StopChecker(self._tokenizer, params.stop)
        self._outlets[request] = _Outlet(
            inbox, stop_tokens if params.ignore_eos else stop_tokens | self._eos, checker
        )

    def close(self, request: Request) -> None:
        """Post nothing more for the request; its text stays known."""
        self._outlets.pop(request, None)

    def forget(self, request: Request) -> None:
        """Let go of the request's text."""
        self._texts.pop(request, None)

    def deliver(self, requests: Sequence[Request], tokens: Sequence[int]) -> None:
        """Append each request's token, end what is to end, stamp and post the events.

        A request that ended while its token was computed gets none. A token below 0 stands for
        logits that were not finite.
        """
        outlets = self._outlets
        posts: list[tuple[Request, int, deque[TokenEvent]]] = []
        ended: dict[Request, tuple[FinishReason, str | None]] = {}
        for request, token in zip(requests, tokens, strict=True):
            request.num_pending -= 1
            outlet = outlets.get(request)
            if outlet is None:
                continue
            if token < 0:
                ended[request] = "error", "the model's logits were not finite"
                continue
            request.tokens.append(token)
            posts.append((request, token, outlet.inbox))
            if token in outlet.stop_tokens:
                ended[request] = "stop", None
            elif outlet.checker is not None and (end := self._check(request, outlet.checker)):
                ended[request] = end
            elif len(request.tokens) >= request.max_total:
                ended[request] = "length", None
        # Stamped once all are ready to hand over: detokenization counts against the engine.
        now = time.perf_counter_ns()
        seconds = now / 1e9
        for request, token, inbox in posts:
            request.token_times_ns.append(now)
            if request in ended:
                event = TokenEvent(request.request_id, token, seconds, ended[request][0])
            else:  # as the constructor makes it, in a quarter of its time
                event = tuple.__new__(TokenEvent, (request.request_id, token, seconds))
            inbox.append(event)
        self.tokens_generated += len(posts)
        for request, (reason, error) in ended.items():
            self._finish(request, reason, error)

    def text(self, request: Request) -> str | None:
        """Return the output's text so far, trimmed before a stop string; None without tokenizer."""
        if self._tokenizer is None:
            return None
        if request in self._texts:
            return self._texts[request]
        tokens = request.output_tokens
        if request.finish_reason == "stop" and tokens:
            # Ended by a token: that token is no part of the text.
            tokens = tokens[:-1]
        return self._tokenizer.decode(tokens)

    def _check(
        self, request: Request, checker: StopChecker
    ) -> tuple[FinishReason, str | None] | None:
        """Show the newest token to the stop strings; return why the request ends, if it does."""
        try:
            text = checker.add(request.tokens[-1])
        except Exception as error:
            # The step's other tokens are computed and must reach their requests. Decoding the rest
            # again would fail again.
            self._texts[request] = checker.text
            return "error", f"{type(error).__name__}: {error}"
        if text is None:
            return None
        self._texts[request] = text
        return "stop", None
