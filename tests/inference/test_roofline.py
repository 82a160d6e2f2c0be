"""The counted cost against torch's own FLOP counter and against counting one by one."""

from __future__ import annotations

import dataclasses

import pytest
from torch.utils.flop_counter import FlopCounterMode

from inference import LLM, EngineConfig, SamplingParams
from inference.presets import preset
from inference.roofline import CostModel

TINY = preset("tiny")
COST = CostModel(TINY, weight_itemsize=4, kv_itemsize=4)


def test_linear_flops_are_those_torch_counts() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=64, prefill_chunk_size=16))
    llm.submit([1] * 40, SamplingParams(max_tokens=3))
    llm.submit([2] * 5, SamplingParams(max_tokens=3))
    spans = [[(0, 16), (0, 5)], [(5, 1), (16, 16)], [(6, 1), (32, 8)], [(40, 1)], [(41, 1)]]
    for i, expected in enumerate(spans):
        with FlopCounterMode(display=False) as counter:
            llm.step()
        counts = counter.get_flop_counts()["Global"]
        linear = sum(n for op, n in counts.items() if "mm" in str(op) and "bmm" not in str(op))
        sampled = (1, 1, 2, 1, 1)[i]
        cost = COST.step(expected, num_sampled=sampled)
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
    cost = CostModel(model, weight_itemsize=2, kv_itemsize=2).step([span], num_sampled=0)
    assert cost.attention_flops == 4 * 4 * 16 * pairs
    assert cost.kv_bytes == (read + 2 * length) * 2 * 2 * 16 * 2


@pytest.mark.parametrize("windows", [(None, None), (3, 3), (None, 4)])
def test_single_tokens_cost_the_same_as_contexts_and_as_spans(
    windows: tuple[int | None, int | None],
) -> None:
    model = CostModel(
        dataclasses.replace(TINY, sliding_windows=windows), weight_itemsize=2, kv_itemsize=2
    )
    contexts, prompt = [1, 3, 4, 90], (2, 7)
    spans = [(context - 1, 1) for context in contexts]
    one_by_one = model.step([*spans, prompt], num_sampled=4)
    assert model.step([prompt], num_sampled=4, contexts=contexts) == one_by_one


def test_weight_bytes_are_the_matrices_read() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=4))
    weights = llm._runner.weights
    matrices = sum(t.numel() for t in weights.tensors() if t.dim() == 2) - weights.embedding.numel()
    cost = COST.step([(0, 3)], num_sampled=1)
    assert cost.weight_bytes == 4 * matrices
    without = COST.step([(0, 3)], num_sampled=0)
    assert cost.weight_bytes - without.weight_bytes == 4 * weights.lm_head.numel()


def test_the_published_roofline_of_qwen3_32b() -> None:
    """63.97 GB read per step in bfloat16, and 256 KiB of KV per token."""
    model = CostModel(preset("qwen3-32b"), weight_itemsize=2, kv_itemsize=2)
    cost = model.step([(511, 1)], num_sampled=1)
    assert cost.weight_bytes == pytest.approx(63.97e9, rel=1e-3)
    assert cost.kv_bytes == (512 + 1) * 256 * 1024


def test_the_engine_adds_up_its_steps() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=64))
    llm.generate([[1] * 6], SamplingParams(max_tokens=2))
    costs = [COST.step([span], num_sampled=1) for span in ((0, 6), (6, 1))]
    counters = llm.counters()
    assert counters["model_flops"] == sum(c.linear_flops + c.attention_flops for c in costs)
    assert counters["model_bytes"] == sum(c.weight_bytes + c.kv_bytes for c in costs)
