"""The counted cost against torch's own FLOP counter and against counting one by one."""

from __future__ import annotations

import dataclasses
import math

import pytest
from torch.utils.flop_counter import FlopCounterMode

from inference import LLM, EngineConfig, SamplingParams
from inference.presets import preset
from inference.roofline import CostModel, StepCost

TINY = preset("tiny")
COST = CostModel(TINY, weight_itemsize=4, kv_itemsize=4)


def cost_of(model: CostModel, *spans: tuple[int, int], num_sampled: int) -> StepCost:
    starts, lengths = zip(*spans, strict=True)
    return model.step(starts, lengths, num_sampled=num_sampled)


def test_linear_flops_are_those_torch_counts() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=64, prefill_chunk_size=16, backend="reference"))
    llm.submit([1] * 40, SamplingParams(max_tokens=3))
    llm.submit([2] * 5, SamplingParams(max_tokens=3))
    spans = [[(0, 16), (0, 5)], [(5, 1), (16, 16)], [(6, 1), (32, 8)], [(40, 1)], [(41, 1)]]
    for i, expected in enumerate(spans):
        with FlopCounterMode(display=False) as counter:
            llm.step()
        counts = counter.get_flop_counts()["Global"]
        linear = sum(n for op, n in counts.items() if "mm" in str(op) and "bmm" not in str(op))
        sampled = (1, 1, 2, 1, 1)[i]
        cost = cost_of(COST, *expected, num_sampled=sampled)
        assert cost.linear_flops == linear
    assert not llm.has_unfinished()


@pytest.mark.parametrize("windows", [(None, None), (3, 3), (None, 4), (1, 100)])
@pytest.mark.parametrize("span", [(0, 1), (0, 9), (5, 1), (5, 7), (2, 2)])
def test_attention_counts_visible_pairs_and_the_positions_they_lie_in(
    windows: tuple[int | None, int | None], span: tuple[int, int]
) -> None:
    model = dataclasses.replace(TINY, sliding_windows=windows)
    start, length = span
    pairs, read = 0, 0
    for window in windows:
        seen = [
            {k for k in range(q + 1) if window is None or k > q - window}
            for q in range(start, start + length)
        ]
        pairs += sum(map(len, seen))
        read += len(set().union(*seen))
    cost = cost_of(CostModel(model, weight_itemsize=2, kv_itemsize=2), span, num_sampled=0)
    assert cost.attention_flops == 4 * 4 * 16 * pairs
    assert cost.kv_bytes == (read + 2 * length) * 2 * 2 * 16 * 2


@pytest.mark.parametrize("windows", [(None, None), (3, 3), (None, 4)])
def test_a_step_costs_what_its_chunks_do_and_reads_its_weights_once(
    windows: tuple[int | None, int | None],
) -> None:
    model = CostModel(
        dataclasses.replace(TINY, sliding_windows=windows), weight_itemsize=2, kv_itemsize=2
    )
    spans = [(0, 1), (2, 1), (3, 1), (89, 1), (2, 7)]
    together = cost_of(model, *spans, num_sampled=5)
    alone = [cost_of(model, span, num_sampled=1) for span in spans]
    assert together.linear_flops == sum(cost.linear_flops for cost in alone)
    assert together.attention_flops == sum(cost.attention_flops for cost in alone)
    assert together.kv_bytes == sum(cost.kv_bytes for cost in alone)
    assert {cost.weight_bytes for cost in alone} == {together.weight_bytes}


def test_weight_bytes_are_the_matrices_read() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=4))
    weights = llm._runner.weights
    shapes = [weight.shape for weight in weights.each() if len(weight.shape) == 2]
    matrices = sum(map(math.prod, shapes)) - weights.embedding.numel()
    cost = cost_of(COST, (0, 3), num_sampled=1)
    assert cost.weight_bytes == 4 * matrices
    without = cost_of(COST, (0, 3), num_sampled=0)
    assert cost.weight_bytes - without.weight_bytes == 4 * math.prod(weights.lm_head.shape)


def test_the_published_roofline_of_qwen3_32b() -> None:
    """63.97 GB read per step in bfloat16, and 256 KiB of KV per token."""
    model = CostModel(preset("qwen3-32b"), weight_itemsize=2, kv_itemsize=2)
    cost = cost_of(model, (511, 1), num_sampled=1)
    assert cost.weight_bytes == pytest.approx(63.97e9, rel=1e-3)
    assert cost.kv_bytes == (512 + 1) * 256 * 1024


def test_the_engine_adds_up_its_steps() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=64))
    llm.generate([[1] * 6], SamplingParams(max_tokens=2))
    costs = [cost_of(COST, span, num_sampled=1) for span in ((0, 6), (6, 1))]
    counters = llm.counters()
    assert counters["model_flops"] == sum(c.linear_flops + c.attention_flops for c in costs)
    assert counters["model_bytes"] == sum(c.weight_bytes + c.kv_bytes for c in costs)
