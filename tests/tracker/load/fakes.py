"""An engine and a GPU that keep their own time, for tests that must not depend on a real one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        # At least to the next number: a real clock goes on, however short the sleep.
        least = math.nextafter(self.now, math.inf) if seconds > 0 else -math.inf
        self.now = max(self.now + seconds, least)


class Event(tuple):
    """(request id, token id, time) with a finish reason, as the engine's events are."""

    def __new__(cls, request, token, time, finish_reason=None):
        event = super().__new__(cls, (request, token, time))
        event.finish_reason = finish_reason
        return event


@dataclass
class _Running:
    prompt: Any
    max_tokens: int
    tokens: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    error: str | None = None
    scheduled: float | None = None


class FakeEngine:
    """One token a step for each of the first ``seats`` requests; a step takes ``step_time``."""

    def __init__(self, clock: FakeClock, step_time: float = 0.01, seats: int | None = None) -> None:
        self.seats = seats
        self.clock = clock
        self.step_time = step_time
        self.requests: dict[int, _Running] = {}
        self.most_at_once = 0
        self.aborted: list[int] = []
        self.order: list[Any] = []
        self.stuck = False

    def submit(self, prompt, params):
        if params.max_tokens > 1000:
            raise ValueError("too long")
        request_id = 1000 + len(self.requests)
        self.requests[request_id] = _Running(prompt, params.max_tokens)
        self.order.append(prompt)
        self.most_at_once = max(self.most_at_once, len(self._running()))
        return request_id

    def step(self):
        began = self.clock.now
        self.clock.now += self.step_time
        events = []
        if self.stuck:
            return events
        for request_id, item in list(self._running().items())[: self.seats]:
            if item.scheduled is None:
                item.scheduled = began
            if item.max_tokens == 13:  # the unlucky one ends without a token
                item.finish_reason, item.error = "error", "logits were not finite"
                continue
            item.tokens.append(len(item.tokens) + 1)
            if len(item.tokens) == item.max_tokens:
                item.finish_reason = "length"
            events.append(Event(request_id, item.tokens[-1], self.clock.now, item.finish_reason))
        return events

    def output(self, request_id):
        item = self.requests[request_id]
        return SimpleNamespace(
            finish_reason=item.finish_reason,
            error=item.error,
            num_prompt_tokens=len(item.prompt),
            num_cached_tokens=0,
            timing=SimpleNamespace(scheduled=item.scheduled),
        )

    def abort(self, request_id):
        self.aborted.append(request_id)
        self.requests[request_id].finish_reason = "abort"

    def has_unfinished(self):
        return bool(self._running())

    def _running(self):
        return {i: r for i, r in self.requests.items() if r.finish_reason is None}
