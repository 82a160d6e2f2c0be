"""Whether the client was the limit: a load whose client was late says nothing of the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracker.load.metrics import quantile
from tracker.load.records import RequestRecord

__all__ = ["Lag", "client_bound"]


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the client may be.

    Two lags are judged, each by its p99: what the client adds to a time to first token (sent later
    than scheduled, read later than it came), and how long any read may have waited for it. A lag is
    accepted up to ``seconds``, and up to a share of the latency that it is part of.

    Attributes:
        seconds: Always accepted.
        share: Of the median time to first token (of an unstreamed reply: of the whole).
        gap_share: Of the median gap between chunks.
    """

    seconds: float = 1e-3
    share: float = 0.02
    gap_share: float = 0.1


def client_bound(records: Sequence[RequestRecord], lag: Lag, processes: int) -> str | None:
    """Return why the load is void, beginning ``client-bound``; None where the client kept up."""
    whole = [r for r in records if r.failure is None]
    ttft = [r.ttft for r in whole if r.ttft is not None]
    e2e = [r.e2e for r in whole if r.e2e is not None]
    gaps = [gap for r in whole for gap in r.times.chunk_gaps]
    late = [r.lag for r in records if r.lag is not None]
    delays = [delay for r in records for delay in r.read_delays]
    found = _too_late(late, ttft or e2e, lag.seconds, lag.share, "with a first token")
    found = found or _too_late(delays, gaps, lag.seconds, lag.gap_share, "with reading a chunk")
    if found is None:
        return None
    more = f"more than {processes} client process{'es' if processes > 1 else ''}"
    return f"client-bound: {found}; use {more}, less load, or a machine of its own for the client"


def _too_late(
    lags: Sequence[float], latencies: Sequence[float], seconds: float, share: float, what: str
) -> str | None:
    late, median = quantile(lags, 0.99), quantile(latencies, 0.5)
    if late is None or median is None:
        return None
    accepted = max(seconds, share * median)
    if late <= accepted:
        return None
    return (
        f"the client was {late * 1e3:.2f} ms late (p99) {what}, and {accepted * 1e3:.2f} ms is "
        f"accepted at a median of {median * 1e3:.1f} ms"
    )
