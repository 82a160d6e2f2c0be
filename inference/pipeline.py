"""Enqueues steps on the device and reads their tokens.

With overlap, a step is enqueued before the tokens of the one before it are read, so that the
device never waits for the host::

    host     schedule 2 │ enqueue 2 │ read 1 │ schedule 3 │ enqueue 3 │ read 2 │
    device   ═══ 1 ════════════════│═══ 2 ══════════════════════════│═══ 3 ════

A decoding row of step 2 takes its token from where step 1 leaves it on the device. The host
learns one step late that a request ended by a stop: its row of the step already under way is
computed and discarded. Ends by length are known ahead and cost nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from inference.delivery import Delivery, Finish
from inference.drafts import accepted
from inference.host_tier import HostTier
from inference.request import Request
from inference.scheduler import Scheduler, Step
from inference.static_batches import StaticScheduler
from inference.work import WorkCounters

if TYPE_CHECKING:
    from inference.runner import Enqueued, ModelRunner

__all__ = ["Pipeline"]


class Pipeline:
    """Drives a runner with the steps of a scheduler.

    Args:
        scheduler: Chooses the steps; is informed of every step under way.
        delivery: Takes the tokens.
        work: Counts the steps.
        finish: Called with each request that fails.
        overlap: Launch a step before the one before it is read.
        host: Orders copies of blocks, which run before the step scheduled with them; None: nothing does.
        clock: Seconds.
    """

    def __init__(
        self,
        scheduler: Scheduler | StaticScheduler,
        delivery: Delivery,
        work: WorkCounters,
        finish: Finish,
        *,
        overlap: bool,
        host: HostTier | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._scheduler = scheduler
        self._delivery = delivery
        self._work = work
        self._finish = finish
        self._overlap = overlap
        self._host = host
        self._under_way: list[Enqueued] = []
        self._clock = clock
        self._seconds = [0.0, 0.0]  # of decode steps, of prefill steps
        self._is_prefill = False  # of the step under way
        self._ended = 0.0  # when the last advance was

    def step_seconds(self) -> dict[str, float]:
        """Return the seconds of prefill and of decode steps; see ``LLM.step_seconds``."""
        decode, prefill = self._seconds
        return {"prefill": prefill, "decode": decode}

    def reset_times(self) -> None:
        """Start ``step_seconds`` anew."""
        self._seconds = [0.0, 0.0]
        self._ended = self._clock()

    def advance(self, runner: ModelRunner) -> None:
        """Launch the next step, if there is one, and read the one that is due.

        Args:
            runner: Computes.

        Raises:
            Exception: What the model raised. The requests of that step end with an error.
        """
        # A step under way already runs on the device: it lasts from the end of the one before.
        under_way = bool(self._under_way)
        began = self._ended if under_way else self._clock()
        is_prefill = self._is_prefill
        try:
            self._advance(runner)
        finally:
            self._ended = self._clock()
            # The step that was waited for; the first of an overlap waits for none, and is its own.
            kind = is_prefill if under_way else self._is_prefill
            self._seconds[kind] += self._ended - began

    def _advance(self, runner: ModelRunner) -> None:
        if self._overlap and self._needs_its_tokens():
            self._read()
        step = self._scheduler.schedule(time.perf_counter_ns)
        if self._host is not None and (copies := self._host.take_copies()):
            runner.copy_blocks(copies)
        parts: list[Enqueued] = []
        too_large: dict[Request, str] = {}
        if step.requests:
            try:
                parts, too_large = _enqueue(runner, step)
            except Exception as error:
                try:
                    self._read()  # the step before is whole
                finally:
                    self._fail(step, error)
                raise
        # The step before ends here, so that every token of this one is known from now on.
        self._read()
        for request, error in too_large.items():
            if not request.finished:
                self._finish(request, "error", error)
        is_prefill = False
        for part in parts:
            self._scheduler.complete(part.step)
            is_prefill |= self._work.add(part)
        self._is_prefill = is_prefill
        self._under_way = parts
        if not self._overlap:
            self._read()

    def _read(self) -> None:
        """Wait for the steps under way and hand their tokens over."""
        parts, self._under_way = self._under_way, []
        failure: Exception | None = None
        for part in parts:  # each to its end: one that fails takes no other's requests along
            try:
                tokens = part.tokens()
            except Exception as error:
                self._fail(part.step, error)
                failure = failure or error
                continue
            for request, entry in part.logprobs:
                request.logprobs.append(entry)
            requests = part.sampled
            if any(part.step.drafts):
                requests, tokens = self._verify(part, tokens)
            finite = {r for r, token in zip(requests, tokens, strict=True) if token >= 0}
            self._scheduler.publish(part.step, finite)
            self._delivery.deliver(requests, tokens)
        if failure is not None:
            raise failure

    def _verify(self, part: Enqueued, tokens: list[int]) -> tuple[list[Request], list[int]]:
        """Return the tokens that count, each with its request; what was guessed wrongly is undone."""
        requests: list[Request] = []
        kept: list[int] = []
        drafts = {r: n for r, n in zip(part.step.requests, part.step.drafts, strict=True) if n}
        starts = dict(zip(part.step.requests, part.step.starts, strict=True))
        at = 0
        while at < len(tokens):
            request = part.sampled[at]
            num_drafts = drafts.get(request, 0)
            sampled = tokens[at : at + 1 + num_drafts]
            count = accepted(request.drafts[:num_drafts], sampled)
            requests += [request] * count
            kept += sampled[:count]
            request.num_pending -= len(sampled) - count
            if num_drafts:
                # The keys and values of a wrong guess are overwritten before they are read.
                request.num_computed = min(request.num_computed, starts[request] + count)
                self._work.draft_tokens_accepted += count - 1
            at += 1 + num_drafts
        return requests, kept

    def _needs_its_tokens(self) -> bool:
        """Whether the next step must know the tokens of those under way: a request looks at them."""
        return any(r.params.looks_at_logits for part in self._under_way for r in part.sampled)

    def _fail(self, step: Step, error: Exception) -> None:
        # The cache may be half-written: these requests end, the engine stays usable.
        for request in step.requests:
            if not request.finished:
                self._finish(request, "error", f"{type(error).__name__}: {error}")


def _enqueue(runner: ModelRunner, step: Step) -> tuple[list[Enqueued], dict[Request, str]]:
    # torch is imported with the first engine, not with this module.
    from inference.out_of_memory import enqueue_in_parts

    enqueued = enqueue_in_parts(runner.enqueue, step)
    return enqueued.parts, enqueued.too_large
