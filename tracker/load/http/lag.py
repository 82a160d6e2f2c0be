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

    A request's lag is the larger of two: how much later than scheduled it was sent, and how long any
    of its reads may have waited for the client. The load is void where the lag's p99 is above
    ``seconds`` and above ``share`` of the latency that it would hide in: the median time to first
    token, or, of an unstreamed reply, the median of the whole.

    Attributes:
        seconds: A lag up to here is always accepted.
        share: Of the median latency.
    """

    seconds: float = 1e-3
    share: float = 0.02


def client_bound(records: Sequence[RequestRecord], lag: Lag, processes: int) -> str | None:
    """Return why the load is void, beginning ``client-bound``; None where the client kept up."""
    late = quantile([r.lag for r in records if r.lag is not None], 0.99)
    whole = [r for r in records if r.failure is None]
    ttft = [r.ttft for r in whole if r.ttft is not None]
    e2e = [r.e2e for r in whole if r.e2e is not None]
    median = quantile(ttft or e2e, 0.5)
    if late is None or median is None:
        return None
    accepted = max(lag.seconds, lag.share * median)
    if late <= accepted:
        return None
    return (
        f"client-bound: the client was up to {late * 1e3:.2f} ms late (p99), and {accepted * 1e3:.2f} "
        f"ms is accepted at a median of {median * 1e3:.1f} ms; use more than {processes} client "
        "process" + ("es" if processes > 1 else "") + ", less load, or a machine of its own"
    )
