"""The results as Markdown, and their place in ``docs/http.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.capacity import Carried
from tracker.load.metrics import Values

__all__ = ["BEGIN", "END", "as_markdown", "write"]

BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
Results = Mapping[tuple[str, int], Values]  # by server and concurrency


def as_markdown(
    where: str, results: Results, problems: Mapping[str, str], clients: Sequence[Carried]
) -> str:
    """Return the tables.

    Args:
        where: Machine, date and commit.
        results: Metrics of each server at each concurrency.
        problems: Why a server has none, by name.
        clients: What each client carries; empty where it was not measured.
    """
    lines = [
        where,
        "",
        "| server | requests at once | TTFT p50, ms | token gap p50, ms | chunk gap p50, ms | tokens/s |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for (server, at_once), metrics in results.items():
        shown = [_ms(metrics[name]) for name in ("ttft_p50", "itl_p50", "icl_p50")]
        rate = metrics["throughput"]
        shown.append("–" if rate is None else f"{rate:.0f}")
        lines.append(f"| {server} | {at_once} | {' | '.join(shown)} |")
    lines += [f"| {server} | | not measured: {why} | | | |" for server, why in problems.items()]
    if clients:
        lines += [
            "",
            "| client, one process | requests/s | streamed tokens/s |",
            "|---|---:|---:|",
        ]
        for client in clients:
            numbers = [client.rate, client.tokens]
            shown = ["none" if number is None else f"{number:.0f}" for number in numbers]
            lines.append(f"| {client.client} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def write(page: Path, text: str) -> None:
    """Put ``text`` between the page's marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:.1f}"
