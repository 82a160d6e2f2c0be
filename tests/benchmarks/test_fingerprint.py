"""The environment of a launch: threads pinned where cores are few, unknown values None."""

from __future__ import annotations

import pytest
import torch

from benchmarks.engine import fingerprint as module
from benchmarks.engine.fingerprint import fingerprint, gpus_of, pin_threads
from tests.tracker.load.fake_nvml import FakeNvml
from tracker.load.nvml import open_gpu


@pytest.fixture
def threads(monkeypatch):
    """Counts torch's threads without touching the real setting, which is the whole process's."""
    state = {"threads": 7}
    monkeypatch.setattr(torch, "set_num_threads", lambda n: state.update(threads=n))
    monkeypatch.setattr(torch, "get_num_threads", lambda: state["threads"])
    return state


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 1), (4, 1), (5, 7), (64, 7)])
def test_a_small_machine_runs_on_one_thread(threads, monkeypatch, cores, expected):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert pin_threads() == expected
    assert fingerprint("cpu", (), {})["threads"] == expected


def test_a_cpu_launch_has_no_gpu(threads):
    got = fingerprint("cpu", (), {})
    assert got["gpu_model"] is got["gpu_count"] is got["driver"] is None
    assert gpus_of("cpu") == []


def test_versions_of_the_measuring_tools_are_recorded():
    got = fingerprint("cpu", (), {})
    assert got["asv"]
    assert got["asv_runner"]
    assert got["python"].startswith("3.")
    assert got["torch"] == torch.__version__


def test_the_driver_and_the_clocks_come_from_the_device():
    got = fingerprint("cpu", [open_gpu("GPU-1", FakeNvml())], {"b": "2", "a": "1"})
    assert got["driver"] == "580.1"
    assert got["clocks_policy"] == "sm 1980 MHz, mem 2619 MHz"
    assert list(got["extra"].items()) == [("a", "1"), ("b", "2"), ("gpus", "GPU-1")]
