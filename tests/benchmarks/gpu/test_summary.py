"""The page for readers, and the arithmetic behind one of its columns."""

from __future__ import annotations

import pytest

from benchmarks.gpu.asvfiles import CommitInfo
from benchmarks.gpu.summary import summary
from tests.benchmarks.gpu.made import TELEMETRY, measurement, record
from tracker.load.utilization import busy_seconds

COMMIT = CommitInfo("0123456789" * 4, 0)


def test_the_page_names_device_clocks_values_and_what_is_missing():
    page = summary(
        [
            record("facts", "device", measurement("f.track_copy", 3e12), telemetry=TELEMETRY),
            record("engine", "decode x", measurement("e.track_tpot", None)),
            record("engine", "decode y", status="skipped", problem="80 GB are needed"),
        ],
        {"gpu_model": "NVIDIA H100 80GB HBM3", "driver": "580.1", "cuda": None},
        COMMIT,
    )
    assert "# NVIDIA H100 80GB HBM3, commit 01234567" in page
    assert "| driver | 580.1 |" in page
    assert "| datasheet | 3.35 TB/s, 989 TFLOP/s bf16 |" in page
    assert "1755 MHz at the lowest; 61 °C at the hottest; held down by sw_power_cap" in page
    assert "| f.track_copy | 3e+12 | s | lower |" in page
    assert "| e.track_tpot | - | s | lower |" in page
    assert "- engine, decode y: skipped: 80 GB are needed" in page
    assert "Parts that have not run: kernels, telemetry, scenarios, explain, suites, aa." in page
    assert "cuda" not in page


def test_noise_is_the_spread_over_launches():
    launches = [
        record("aa", f"{n}", measurement("b.track_t", v)) for n, v in enumerate((9, 10, 11))
    ]
    page = summary(launches, {}, COMMIT)
    assert "| b.track_t | 3 | 10 | 10.00% | s |" in page


@pytest.mark.parametrize(
    ("intervals", "length"),
    [([], 0), ([(0, 2), (5, 6)], 3), ([(0, 4), (1, 2), (3, 6)], 6), ([(5, 6), (0, 5)], 6)],
)
def test_the_device_is_busy_while_any_kernel_runs(intervals, length):
    assert busy_seconds(intervals) == length
