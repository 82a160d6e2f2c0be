"""What happened to each request of a launch: the only input of the metrics."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

__all__ = ["LoadRequest", "RequestRecord"]


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A request to make.

    Attributes:
        index: Its place in the load, from 0; ``follows`` and the records refer to it.
        prompt: Token ids, or text where the model has a tokenizer. Of a request that follows
            another, only what the new turn adds.
        max_tokens: Output tokens asked for.
        due: Seconds after the load's start at which it arrives; None: when a slot is free.
        follows: Index of the turn before it, whose prompt and output its prompt begins with.
    """

    index: int
    prompt: tuple[int, ...] | str
    max_tokens: int
    due: float | None = None
    follows: int | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What a request came to. Times are seconds after the load's start.

    Attributes:
        expected_tokens: The output's length where it is known beforehand (the end-of-sequence
            token is ignored); None where the model decides.
        submitted: When it was handed in; in an open loop when it was *due*, so that a stalled
            engine cannot hide the wait of the requests it kept from arriving.
        token_times: When each output token was available to the caller.
        finish_reason: The engine's word for why it ended; None if it never did.
        cached_tokens: Prompt tokens found in the prefix cache.
        error: What went wrong; None if nothing did.
    """

    index: int
    prompt_tokens: int
    expected_tokens: int | None
    submitted: float
    token_times: tuple[float, ...]
    finish_reason: str | None
    cached_tokens: int = 0
    error: str | None = None

    @property
    def output_tokens(self) -> int:
        """How many tokens came out."""
        return len(self.token_times)

    @property
    def ttft(self) -> float | None:
        """First token available - submitted, s; None without a token."""
        return self.token_times[0] - self.submitted if self.token_times else None

    @property
    def tpot(self) -> float | None:
        """(last - first token) / (n - 1), s; None with fewer than two tokens."""
        n = len(self.token_times)
        return (self.token_times[-1] - self.token_times[0]) / (n - 1) if n >= 2 else None

    @property
    def e2e(self) -> float | None:
        """Last token - submitted, s; None without a token."""
        return self.token_times[-1] - self.submitted if self.token_times else None

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between consecutive tokens."""
        times = self.token_times
        return tuple(b - a for a, b in itertools.pairwise(times))

    @property
    def failure(self) -> str | None:
        """Why the request counts as failed: an error, an abort, or a wrong length; else None."""
        if self.error is not None:
            return self.error
        if self.finish_reason not in ("stop", "length"):
            return f"ended with {self.finish_reason!r}"
        if self.expected_tokens is not None and self.output_tokens != self.expected_tokens:
            return f"{self.output_tokens} output tokens instead of {self.expected_tokens}"
        return None
