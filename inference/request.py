"""A request: its tokens, its state, and the timestamps every latency metric is made of.

The life of a request::

    submit ─► waiting ─► running ─► finished ("stop" | "length" | "abort" | "error")
                 ▲          │
                 └──────────┘  preempted: blocks given back, KV recomputed later, tokens kept

One clock, ``time.perf_counter_ns``: nanoseconds inside, seconds in what the caller sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from inference.blocks import BlockTable
from inference.config import SamplingParams
from inference.drafts import PromptLookup

__all__ = [
    "FinishReason",
    "Request",
    "RequestOutput",
    "RequestState",
    "Timing",
    "TokenEvent",
    "TokenLogprobs",
]

FinishReason = Literal["stop", "length", "abort", "error"]
# Strings, not an Enum: every decoding row is asked several times a step, and a member takes longer
# to look up than the rest of the question.
RequestState = Literal["waiting", "running", "finished"]


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Log probabilities of one place of an output, natural, before penalties and filters.

    Attributes:
        logprob: Of the token chosen.
        top: The likeliest tokens, likeliest first: (token id, log probability).
    """

    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(slots=True, eq=False)
class Request:
    """The engine's mutable record of one request.

    Attributes:
        tokens: Prompt and output so far.
        num_prompt: How many of ``tokens`` are the prompt.
        max_total: ``tokens`` never grows beyond this (prompt + max_tokens, or the context).
        num_computed: Leading tokens whose KV is in the cache.
        num_cached: Prompt tokens found in the prefix cache on first admission.
        num_pending: Tokens being sampled by steps not yet read; they follow ``tokens``.
    """

    request_id: int
    tokens: list[int]
    num_prompt: int
    max_total: int
    params: SamplingParams
    seed: int
    submitted_ns: int
    table: BlockTable = field(default_factory=BlockTable)
    state: RequestState = "waiting"
    num_computed: int = 0
    num_cached: int = 0
    num_pending: int = 0
    num_preemptions: int = 0
    scheduled_ns: int | None = None
    token_times_ns: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    error: str | None = None
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    lookup: PromptLookup | None = None
    drafts: list[int] = field(default_factory=list)  # guesses that the step under way verifies

    @property
    def num_tokens(self) -> int:
        """Prompt and output, tokens not yet read included."""
        return len(self.tokens) + self.num_pending

    @property
    def num_uncomputed(self) -> int:
        """Tokens whose KV is still to be computed; 1 while decoding."""
        return self.num_tokens - self.num_computed

    @property
    def output_tokens(self) -> list[int]:
        """A new list of the tokens generated so far."""
        return self.tokens[self.num_prompt :]

    @property
    def finished(self) -> bool:
        """Whether the request has ended, for whatever reason."""
        return self.state == "finished"


@dataclass(frozen=True, slots=True)
class Timing:
    """When things happened to a request; seconds on ``time.perf_counter``'s clock.

    Attributes:
        submitted: The request was handed in (before tokenization and queueing).
        scheduled: Its first chunk was put in a step, or None.
        token_times: When each output token was available to the caller.
    """

    submitted: float
    scheduled: float | None
    token_times: tuple[float, ...]

    @property
    def ttft(self) -> float | None:
        """Time to first token: first token available − submitted; None without a token."""
        return self.token_times[0] - self.submitted if self.token_times else None

    @property
    def tpot(self) -> float | None:
        """Time per output token: (last − first token) / (n − 1); None with fewer than two."""
        n = len(self.token_times)
        return (self.token_times[-1] - self.token_times[0]) / (n - 1) if n >= 2 else None

    @property
    def e2e(self) -> float | None:
        """Last token available − submitted; None without a token."""
        return self.token_times[-1] - self.submitted if self.token_times else None

    @property
    def queue(self) -> float | None:
        """First scheduled − submitted; None if it never ran."""
        return None if self.scheduled is None else self.scheduled - self.submitted

    @property
    def itl(self) -> tuple[float, ...]:
        """Inter-token latencies: every gap between consecutive tokens."""
        return tuple(b - a for a, b in zip(self.token_times, self.token_times[1:], strict=False))


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """The output of a request, complete or so far (``finish_reason`` is then None).

    Attributes:
        text: Decoded output, trimmed before a stop string; None without a tokenizer.
        num_prompt_tokens: Length of the prompt in tokens.
        num_cached_tokens: How many of those came from the prefix cache.
        error: What went wrong, where ``finish_reason`` is ``"error"``.
        logprobs: One a token, where ``SamplingParams.logprobs`` asks for them.
    """

    request_id: int
    token_ids: list[int]
    text: str | None
    finish_reason: FinishReason | None
    timing: Timing
    num_prompt_tokens: int
    num_cached_tokens: int
    error: str | None = None
    logprobs: list[TokenLogprobs] | None = None


class TokenEvent(tuple[int, int, float]):
    """One token made available: unpacks as ``(request, token_id, time)``.

    Attributes:
        request: Position of the request in ``stream``'s prompts; from ``step``, its request id.
        token_id: The token.
        time: Seconds on ``time.perf_counter``'s clock.
        finish_reason: Set on the last token of a request, else None.
        text: What the output's text grew by: "" while a character or a possible stop string is
            not complete. None where no text was asked for, or there is no tokenizer.
    """

    finish_reason: FinishReason | None = None
    text: str | None = None

    def __new__(
        cls,
        request: int,
        token_id: int,
        time: float,
        finish_reason: FinishReason | None = None,
        text: str | None = None,
    ) -> TokenEvent:
        event = tuple.__new__(cls, (request, token_id, time))
        if finish_reason is not None:  # most events need no dictionary
            event.finish_reason = finish_reason
        if text is not None:
            event.text = text
        return event

    def __getnewargs__(self) -> tuple[int, int, float, FinishReason | None, str | None]:
        # What copy and pickle make the event anew from.
        return (*self, self.finish_reason, self.text)

    @property
    def request(self) -> int:
        """Which request; see the class."""
        return self[0]

    @property
    def token_id(self) -> int:
        """The token."""
        return self[1]

    @property
    def time(self) -> float:
        """When it was available, seconds."""
        return self[2]

    def __repr__(self) -> str:
        return (
            f"TokenEvent(request={self.request}, token_id={self.token_id}, time={self.time!r}, "
            f"finish_reason={self.finish_reason!r}, text={self.text!r})"
        )
