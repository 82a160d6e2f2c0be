"""The control workload: fixed work, one thread, nothing left behind."""

from __future__ import annotations

import pytest
import torch

from benchmarks.engine.control import CPU, Size, control_of
from tracker.load.control import control_metrics

SMALL = Size(edge=32, copied=1 << 12, rounds=5, dtype="float32")


def test_every_part_is_timed():
    times = control_of("cpu", SMALL)
    assert set(times) == {"gemm", "copy", "python"}
    assert all(seconds > 0 for seconds in times.values())


@pytest.mark.parametrize("threads", [1, 2])
def test_it_runs_on_one_thread_and_gives_the_others_back(threads, monkeypatch):
    before = torch.get_num_threads()
    during = []
    plain = torch.mm
    monkeypatch.setattr(
        torch, "mm", lambda *a, **k: (during.append(torch.get_num_threads()), plain(*a, **k))[1]
    )
    try:
        torch.set_num_threads(threads)
        control_of("cpu", SMALL)
        assert set(during) == {1}
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_one_interrupted_round_does_not_count(monkeypatch):
    import benchmarks.engine.control as control

    ticks = iter([0.001] * 9 + [9.0] + [0.001] * 99)
    monkeypatch.setattr(control, "timer_of", lambda device: lambda act: next(ticks))
    assert control_of("cpu", SMALL) == {"gemm": 0.001, "copy": 0.001, "python": 0.001}


def test_the_metrics_are_the_mean_of_before_and_after():
    found = control_metrics({"gemm": 1.0, "copy": 2.0}, {"gemm": 3.0, "copy": 2.0})
    assert found == {"control_gemm": 2.0, "control_copy": 2.0}


def test_the_size_is_what_recorded_launches_used():
    # Another size makes another number of every launch that was recorded: change it knowingly.
    assert Size(edge=384, copied=8 << 20, rounds=16, dtype="float32") == CPU
