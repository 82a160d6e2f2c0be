"""The pictures' points by hand, and that both are drawn."""

from __future__ import annotations

import pytest

from benchmarks.pictures import frontier_chart, roofline_chart, roofline_point

HEADER = {
    "counters": {
        "model_flops": 900,
        "model_bytes": 300,
        "prefill_flops": 800,
        "prefill_bytes": 100,
    },
    "utilization": {"step_seconds": {"prefill": 4.0, "decode": 2.0}},
}


def test_a_point_is_work_over_bytes_and_over_time():
    assert roofline_point(HEADER, "prefill") == {"intensity": 8.0, "rate": 200.0}
    assert roofline_point(HEADER, "decode") == {"intensity": 0.5, "rate": 50.0}


def test_the_roof_bends_where_both_ceilings_meet():
    chart = roofline_chart(
        [{"steps": "a", "intensity": 1.0, "rate": 10.0}], {"bandwidth": 100.0, "flops": 400.0}
    ).to_dict()
    roof = chart["layer"][0]["data"]["values"]
    assert roof[1] == {"intensity": 4.0, "rate": 400.0}
    assert roof[0]["rate"] == pytest.approx(100 * roof[0]["intensity"])
    assert roof[2]["rate"] == 400.0
    rows = [{"lengths": "short", "concurrency": 1, "throughput": 5.0, "tpot": 0.2}]
    assert frontier_chart(rows).to_dict()["data"]["values"] == rows
