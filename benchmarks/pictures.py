"""The pictures of docs/benchmarks.md, from real runs on this machine's CPU: frontier and roofline.

::

    python -m benchmarks.pictures            # docs/img/frontier-cpu.svg and docs/img/roofline-cpu.svg

Takes about a minute on a quiet machine; needs altair and vl-convert-python.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import bench_decode, bench_prefill, bench_sweep
from benchmarks.engine.in_process import InProcess
from tracker.load.run import LoadResult, run_scenario
from tracker.load.scenario import Scenario
from tracker.load.suite import labelled

FOLDER = Path(__file__).parents[1] / "docs" / "img"
SWEEPS = {"short": bench_sweep.SweepTinyShort, "long": bench_sweep.SweepTinyLong}
STEPS = {
    "prefill, 128 tokens": ("prefill", bench_prefill.TinyP128),
    "prefill, 512 tokens": ("prefill", bench_prefill.TinyP512),
    "decode, batch 1": ("decode", bench_decode.TinyB1),
    "decode, batch 8": ("decode", bench_decode.TinyB8),
}
WIDTH, HEIGHT = 460, 300


def frontier_rows() -> list[dict[str, Any]]:
    """Return throughput and median gap between tokens at each concurrency of the tiny sweeps."""
    rows = []
    for lengths, cls in SWEEPS.items():
        for concurrency, scenario in cls.work.points.items():
            metrics = run_scenario("pictures", scenario, InProcess).metrics
            rows.append(
                {
                    "lengths": lengths,
                    "concurrency": concurrency,
                    "throughput": metrics["throughput"],
                    "tpot": metrics["tpot_p50"],
                }
            )
    return rows


def roofline_point(header: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return where the steps of ``kind`` lie, out of an artifact's header.

    Returns:
        ``intensity``, FLOPs per byte that the steps had to move at least, and ``rate``, FLOPs per second.
    """
    counters, seconds = header["counters"], header["utilization"]["step_seconds"][kind]
    flops, moved = (counters[f"prefill_{unit}"] for unit in ("flops", "bytes"))
    if kind == "decode":
        flops, moved = counters["model_flops"] - flops, counters["model_bytes"] - moved
    return {"intensity": flops / moved, "rate": flops / seconds}


def roofline_rows() -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return the points of the steps, and the highest ceilings that the launches measured."""
    points, ceilings = [], []
    for name, (kind, cls) in STEPS.items():
        header = _header(cls.work)
        points.append({"steps": name, **roofline_point(header, kind)})
        ceilings.append(header["utilization"]["ceiling"])
    return points, {key: max(c[key] for c in ceilings) for key in ("bandwidth", "flops")}


def frontier_chart(rows: Sequence[dict[str, Any]]) -> Any:
    """Return the chart of latency against throughput; each point has its concurrency."""
    import altair as alt

    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("throughput:Q", title="throughput, tokens/s"),
        y=alt.Y("tpot:Q", title="time per token, s (median)", scale=alt.Scale(type="log")),
        color=alt.Color("lengths:N", title="lengths"),
        order="concurrency:Q",
    )
    labels = base.mark_text(dx=9, dy=-7, fontSize=9).encode(text="concurrency:Q")
    return (base.mark_line(point=True) + labels).properties(
        width=WIDTH, height=HEIGHT, title="tiny preset on a CPU, by requests in flight"
    )


def roofline_chart(points: Sequence[dict[str, Any]], ceiling: dict[str, float]) -> Any:
    """Return the roofline: the memory's slope, the processor's roof, and where the steps lie."""
    import altair as alt

    ridge = ceiling["flops"] / ceiling["bandwidth"]
    low = min(*(p["intensity"] for p in points), ridge) / 3
    high = max(*(p["intensity"] for p in points), ridge) * 3
    roof = [
        {"intensity": x, "rate": min(ceiling["flops"], x * ceiling["bandwidth"])}
        for x in (low, ridge, high)
    ]
    x = alt.X("intensity:Q", title="FLOPs per byte", scale=alt.Scale(type="log"))
    y = alt.Y(
        "rate:Q", title="FLOPs per second", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s")
    )
    line = alt.Chart(alt.Data(values=roof)).mark_line(color="gray").encode(x=x, y=y)
    marks = alt.Chart(alt.Data(values=list(points))).mark_point(filled=True, size=70)
    return (line + marks.encode(x=x, y=y, color=alt.Color("steps:N", title="steps"))).properties(
        width=WIDTH, height=HEIGHT, title="tiny preset on a CPU, against the ceilings of the launch"
    )


def _header(scenario: Scenario) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        ((_, own),) = labelled("pictures", scenario).items()
        result: LoadResult = run_scenario("pictures", own, InProcess, directory=Path(folder))
        assert result.artifact is not None
        with result.artifact.open(encoding="utf-8") as file:
            header: dict[str, Any] = json.loads(file.readline())
    return header


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (None: the command line's), run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    frontier_chart(frontier_rows()).save(options.out / "frontier-cpu.svg")
    roofline_chart(*roofline_rows()).save(options.out / "roofline-cpu.svg")
    sys.stdout.write(f"{options.out}: frontier-cpu.svg, roofline-cpu.svg\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
