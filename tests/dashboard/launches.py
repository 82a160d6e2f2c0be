"""Stores with a launch artifact: one sampled on a GPU, one of a CPU that only the analytic tier knows."""

import random
from pathlib import Path

from tests.tracker.store.values import BENCHMARKS, file_of, measurement
from tracker.artifacts import read_launch
from tracker.demo.launch import Device, simulate_launch
from tracker.load.artifact import write_artifact
from tracker.store import Store

DEVICE = Device(bandwidth=3e12, flops=7.6e14, power=700.0, clock=1.98e9, memory=7e10)
SUITE = "bench_serving.Chat"


def gpu_launch(seed=1):
    """The facts and lines of a launch with every line of telemetry."""
    return simulate_launch(ttft=0.1, tpot=0.02, device=DEVICE, chance=random.Random(seed))


def cpu_header(header):
    """The header of the same launch where no device was sampled."""
    metrics = {"mbu_decode": 0.31, "mfu_prefill": 0.42, "cpu_share": 0.97, "energy_per_token": None}
    return header | {"telemetry": None, "metrics": metrics, "tiers": {"mbu_decode": "analytic"}}


def store_launch(url: str, folder: Path, *, on_cpu: bool = False, number: int = 1) -> Path:
    """Store one launch of commit `number` in project "sim"; return the artifact's file."""
    made = gpu_launch(number)
    header = {
        "record": "launch", "format": 1, "launch_id": f"launch{number}{on_cpu}", "benchmark": SUITE,
        "fingerprint": {}, **(cpu_header(made.facts) if on_cpu else made.facts),
    }  # fmt: skip
    lines = [line for line in made.lines if not on_cpu or line["record"] == "request"]
    path = write_artifact(folder, header, lines)
    with Store.open(url) as store:
        store.record_file(
            "sim", file_of(number, measurement(1.0, number=number)),
            benchmarks=BENCHMARKS, launches=[read_launch(path)],
        )  # fmt: skip
    return path
