"""The engine's counters in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["exposition"]

_GAUGES = frozenset({"peak_blocks_used", "weight_bytes", "kv_cache_bytes"})


def exposition(
    counters: Mapping[str, int],
    occupancy: Mapping[str, int],
    *,
    queue_seconds: float,
    num_scheduled: int,
) -> str:
    """Return the text of ``/metrics``.

    Args:
        counters: ``LLM.counters()``; every one is published.
        occupancy: ``LLM.occupancy()``.
        queue_seconds, num_scheduled: Sum over ended requests of their wait, and their number.
    """
    lines: list[str] = []

    def write(name: str, kind: str, value: float) -> None:
        full = f"pacekeeper:{name}"
        lines.append(f"# TYPE {full} {kind}")
        lines.append(f"{full} {value}")

    write("requests_running", "gauge", occupancy["running"])
    write("requests_waiting", "gauge", occupancy["waiting"])
    write("kv_usage", "gauge", occupancy["blocks_used"] / occupancy["num_blocks"])
    for name, value in counters.items():
        plain = name.replace(".", "_")
        if name in _GAUGES:
            write(plain, "gauge", value)
        else:
            write(f"{plain}_total", "counter", value)
    lines.append("# TYPE pacekeeper:queue_time_seconds summary")
    lines.append(f"pacekeeper:queue_time_seconds_sum {queue_seconds}")
    lines.append(f"pacekeeper:queue_time_seconds_count {num_scheduled}")
    return "\n".join(lines) + "\n"
