"""Launch artifacts: the header, and when each request and token came."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from tracker.domain.environment import Fingerprint


@dataclass(frozen=True, slots=True)
class Launch:
    """The first line of a launch artifact: one engine launch of one scenario."""

    path: str
    digest: str
    launch_id: str
    benchmark: str  # the suite class whose track_* methods read it: "bench_serving.MixedC4"
    fingerprint: Fingerprint
    header: dict[str, object]  # the whole first line, as written


@dataclass(frozen=True, slots=True)
class RequestTimes:
    """When a request was handed in and what came of it, seconds on one clock.

    The one definition of the latencies of a request. A latency is None where there is no token, and
    where the reply was not streamed: the whole of it is then no first token.

    Attributes:
        submitted: Handed in; in an open loop, and over HTTP, when it was due.
        token_times: When each output token was available to the caller; empty where chunks carried
            several tokens, so that the times of single tokens are not known.
        chunk_times: When each chunk that carried a token came; empty where there are no chunks.
        num_tokens: Output tokens where `token_times` is empty; None: not known.
        streamed: Whether tokens could be seen before the last.
    """

    submitted: float
    token_times: tuple[float, ...]
    chunk_times: tuple[float, ...] = ()
    num_tokens: int | None = None
    streamed: bool = True

    @property
    def arrivals(self) -> tuple[float, ...]:
        """When tokens came, as finely as it is known."""
        return self.token_times or self.chunk_times

    @property
    def output_tokens(self) -> int | None:
        """How many tokens came out; None where it is not known."""
        if self.token_times or not self.chunk_times:
            return len(self.token_times)
        return self.num_tokens

    @property
    def ttft(self) -> float | None:
        """Time to first token: first token available - submitted."""
        return self.arrivals[0] - self.submitted if self.streamed and self.arrivals else None

    @property
    def tpot(self) -> float | None:
        """Time per output token: (last - first token) / (n - 1); None with fewer than two."""
        n = self.output_tokens
        if not self.streamed or n is None or n < 2:
            return None
        return (self.arrivals[-1] - self.arrivals[0]) / (n - 1)

    @property
    def e2e(self) -> float | None:
        """Last token available - submitted."""
        return self.arrivals[-1] - self.submitted if self.arrivals else None

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between consecutive tokens; none where the tokens' times are not known."""
        return tuple(b - a for a, b in itertools.pairwise(self.token_times))

    @property
    def chunk_gaps(self) -> tuple[float, ...]:
        """Seconds between consecutive chunks, which may carry several tokens each."""
        return tuple(b - a for a, b in itertools.pairwise(self.chunk_times))


@dataclass(frozen=True, slots=True)
class LaunchTrace:
    """The lines below the header of a launch artifact; seconds count from the launch's start.

    Attributes:
        requests: Those that gave a token, in the order of the file.
        telemetry: A mapping a sample: "time" and whatever the device said then (`tracker.load.nvml`
            has the names and units); None for what it does not say.
    """

    requests: tuple[RequestTimes, ...]
    telemetry: tuple[dict[str, object], ...] = ()
