"""What happened to each request of a load: the only input of the metrics."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.domain import RequestTimes

__all__ = ["LoadRequest", "RequestRecord"]

# What an engine says of an output that is whole. "[DONE]" stands for a server that gave no reason.
_WHOLE = frozenset({"stop", "length", "tool_calls", "[DONE]"})


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
        cancel_after: Tokens after which the client goes away; None: it waits for the end.
    """

    index: int
    prompt: tuple[int, ...] | str
    max_tokens: int
    due: float | None = None
    follows: int | None = None
    cancel_after: int | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What a request came to. Times are seconds after the load's start.

    Attributes:
        prompt_tokens: Length of the prompt; None where a server does not say it.
        expected_tokens: The output's length where it is known beforehand (the end-of-sequence
            token is ignored); None where the model decides.
        submitted, token_times, chunk_times, num_tokens, streamed: See ``RequestTimes``, which
            defines the latencies made of them.
        finish_reason: The engine's word for why it ended; None if it never did.
        cached_tokens: Prompt tokens found in the prefix cache; None where a server does not say.
        error: What went wrong; None if nothing did.
        error_kind: Its kind, where it is not the wrong length; see ``http.failure``.
        first_answer: When the first token came that is answer and not reasoning; None where the two
            are not distinguished.
        lag: What the client itself adds to the time to first token: sent too late, read too late.
            None for an engine in this process.
        read_delays: For how long each read of the reply may have waited for the client.
        scheduled: When the engine first took it up; None where it does not say.
        cancelled: Whether the client went away on purpose; such a request has not failed, and its
            latencies are no user's.
    """

    index: int
    prompt_tokens: int | None
    expected_tokens: int | None
    submitted: float
    token_times: tuple[float, ...]
    finish_reason: str | None
    cached_tokens: int | None = 0
    error: str | None = None
    error_kind: str | None = None
    chunk_times: tuple[float, ...] = ()
    num_tokens: int | None = None
    streamed: bool = True
    first_answer: float | None = None
    lag: float | None = None
    read_delays: tuple[float, ...] = ()
    scheduled: float | None = None
    cancelled: bool = False

    @property
    def times(self) -> RequestTimes:
        """The times alone, which define the latencies."""
        return RequestTimes(
            self.submitted, self.token_times, self.chunk_times, self.num_tokens, self.streamed
        )

    @property
    def output_tokens(self) -> int | None:
        """How many tokens came out; None where a server does not say."""
        return self.times.output_tokens

    @property
    def ttft(self) -> float | None:
        """Time to first token, s."""
        return self.times.ttft

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first, s."""
        return self.times.tpot

    @property
    def e2e(self) -> float | None:
        """Last token - submitted, s."""
        return self.times.e2e

    @property
    def queue_time(self) -> float | None:
        """Taken up by the engine - submitted, s."""
        return None if self.scheduled is None else self.scheduled - self.submitted

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between consecutive tokens."""
        return self.times.gaps

    @property
    def failure(self) -> str | None:
        """Why the request counts as failed: an error, an abort, or a wrong length; else None."""
        if self.error is not None:
            return self.error
        if self.cancelled:
            return None
        if self.finish_reason not in _WHOLE:
            return f"ended with {self.finish_reason!r}"
        if self._wrong_length:
            return f"{self.output_tokens} output tokens instead of {self.expected_tokens}"
        return None

    @property
    def failure_kind(self) -> str | None:
        """The kind of the failure, to count by; None where there is none."""
        if self.failure is None:
            return None
        return self.error_kind or ("wrong length" if self._wrong_length else "error")

    @property
    def _wrong_length(self) -> bool:
        known = self.expected_tokens is not None and self.output_tokens is not None
        return known and self.output_tokens != self.expected_tokens
