"""Planted faults, and the exact counter that names each."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.bench_counters import CALLS, CallsTiny
from benchmarks.engine.exact import Counted, call_metrics, counting
from tracker.load.metrics import counter_metrics
from tracker.load.run import run_scenario

SCENARIO = CallsTiny.work
LAYERS = 2


def launch(monkeypatch, plant=None, scenario=SCENARIO):
    """Return metrics and counters of a launch of the engine with a fault planted in its decoder."""
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)

    def open_target(asked):
        target = Counted(asked)
        if plant is not None:
            plant(target.engine._runner.decoder)
        return target

    result = run_scenario("bench_counters.X", scenario, open_target)
    assert result.failures == ()
    return result


@pytest.fixture(scope="module")
def clean():
    with pytest.MonkeyPatch.context() as patch:
        return launch(patch)


def moved(before, after):
    """Return the counters that grew, by how much a step."""
    steps = before.counters["steps"]
    names = before.counters.keys() | after.counters.keys()
    differences = {n: after.counters.get(n, 0) - before.counters.get(n, 0) for n in names}
    return {name: change / steps for name, change in differences.items() if change > 0}


def extra(action):
    """Plant what runs once a step, on the residual stream."""

    def plant(decoder):
        forward = decoder.forward

        def slower(*args):
            hidden = forward(*args)
            action(hidden)
            return hidden

        decoder.forward = slower

    return plant


def test_counts_are_the_same_on_every_launch(clean, monkeypatch):
    again = launch(monkeypatch)
    assert again.counters == clean.counters
    assert {n: again.metrics[n] for n in CALLS} == {n: clean.metrics[n] for n in CALLS}
    assert clean.metrics["torch_calls_per_step"] > 50


def test_an_extra_sync_is_named(clean, monkeypatch):
    faulty = launch(monkeypatch, extra(lambda hidden: hidden.sum().item()))
    assert faulty.metrics["host_syncs_per_step"] == clean.metrics["host_syncs_per_step"] + 1
    assert moved(clean, faulty)["torch._local_scalar_dense"] == 1
    assert faulty.metrics["copies_per_step"] == clean.metrics["copies_per_step"]


def test_an_extra_copy_is_named_with_its_bytes(clean, monkeypatch):
    faulty = launch(monkeypatch, extra(lambda hidden: hidden.clone()))
    assert faulty.metrics["copies_per_step"] == clean.metrics["copies_per_step"] + 1
    assert faulty.metrics["host_syncs_per_step"] == clean.metrics["host_syncs_per_step"]
    grown = moved(clean, faulty)
    assert grown.pop("torch.clone") == 1
    assert grown.pop("torch_allocations") == 1
    tokens = clean.counters["useful_tokens"] / clean.counters["steps"]
    assert grown == {"torch_allocated_bytes": pytest.approx(tokens * 64 * 4)}


def test_a_lost_fusion_is_named(clean, monkeypatch):
    def plant(decoder):
        ops, linear = decoder.ops, decoder.ops.linear

        def unfused(x, weight):
            gate, up = linear(x, weight).chunk(2, dim=-1)
            return torch.nn.functional.silu(gate) * up

        ops.linear_silu_mul = unfused

    faulty = launch(monkeypatch, plant)
    assert faulty.counters["op_calls.linear_silu_mul"] == 0
    assert moved(clean, faulty)["op_calls.linear"] == LAYERS


def test_a_lost_prefix_is_named(clean, monkeypatch):
    off = replace(SCENARIO, engine={**SCENARIO.engine, "enable_prefix_sharing": False})
    faulty = launch(monkeypatch, scenario=off)
    assert clean.counters["prefix_hit_tokens"] > faulty.counters["prefix_hit_tokens"] == 0
    assert "prefill_tokens" in moved(clean, faulty)


def test_a_lost_graph_is_named_by_the_recorded_counters_of_a_gpu():
    """Counts of the kind an engine with CUDA graphs keeps: 4 prefill steps, 96 of decoding."""
    kept = {"steps": 100, "prefill_steps": 4, "graph_replays": 96, "graph_captures": 0}
    assert counter_metrics(kept)["graph_replay_share"] == 1.0
    assert counter_metrics({**kept, "graph_replays": 0})["graph_replay_share"] == 0.0
    captured = counter_metrics({**kept, "graph_captures": 3})
    assert captured["graph_captures"] == 3
    assert (
        counter_metrics({"steps": 4, "prefill_steps": 4, "graph_replays": 0})["graph_replay_share"]
        is None
    )


def test_views_and_ops_in_place_allocate_nothing():
    from collections import Counter

    x, calls = torch.ones(4, 4), Counter()
    with counting(calls):
        x.view(16)
        x.add_(1.0)
        x.transpose(0, 1).contiguous()
    assert (calls["torch_allocations"], calls["torch_allocated_bytes"]) == (1, 64)
    assert calls["torch.clone"] == 1
    assert call_metrics({"steps": 2, **calls})["copies_per_step"] == 0.5
    assert call_metrics({"steps": 2}) == {}
