"""Sampling: its distribution, its limits, its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from inference import LLM, EngineConfig, SamplingParams
from inference.ops.sampling import sample as sample_op


def sample(
    logits: torch.Tensor,
    params: Sequence[SamplingParams],
    seeds: Sequence[int],
    positions: Sequence[int],
) -> torch.Tensor:
    """Sample a row for each of ``params``."""
    return sample_op(
        logits,
        torch.tensor([p.temperature for p in params]),
        torch.tensor([p.top_k for p in params], dtype=torch.int32),
        torch.tensor([p.top_p for p in params]),
        torch.tensor(seeds),
        torch.tensor(positions),
    )


def draw(logits: torch.Tensor, params: SamplingParams, *, count: int, seed: int = 0) -> np.ndarray:
    """Draw ``count`` tokens from one row of logits, as one sequence would, position by position."""
    return sample(logits.expand(count, -1), [params] * count, [seed] * count, range(count)).numpy()


LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, 1.5, -3.0, 0.5, 2.0]])


def expected(temperature: float, keep: list[int]) -> np.ndarray:
    weights = np.zeros(LOGITS.shape[1])
    weights[keep] = np.exp(LOGITS[0].double().numpy()[keep] / temperature)
    return weights / weights.sum()


@pytest.mark.parametrize(
    ("params", "keep"),
    [
        ({"temperature": 1.0}, list(range(8))),
        ({"temperature": 0.5}, list(range(8))),
        ({"temperature": 3.0}, list(range(8))),
        ({"temperature": 1.0, "top_k": 3}, [0, 7, 4]),
        ({"temperature": 1.0, "top_k": 100}, list(range(8))),
        # Sorted probabilities .286 .286 .173 .105 …: the sum before token 4 is .57, before 1 .75.
        ({"temperature": 1.0, "top_p": 0.6}, [0, 7, 4]),
        ({"temperature": 1.0, "top_p": 0.8}, [0, 7, 4, 1]),
        # Top-k first: of the two that are left, half the mass is the first alone.
        ({"temperature": 1.0, "top_k": 2, "top_p": 0.4}, [0]),
    ],
    ids=str,
)
def test_draws_follow_the_filtered_softmax(params: dict[str, Any], keep: list[int]) -> None:
    count = 8000
    tokens = draw(LOGITS, SamplingParams(**params), count=count, seed=5)
    observed = np.bincount(tokens, minlength=8)
    wanted = expected(params["temperature"], keep) * count
    assert not observed[wanted == 0].any(), "a token that was cut was drawn"
    if len(keep) > 1:
        kept = wanted > 0
        assert stats.chisquare(observed[kept], wanted[kept]).pvalue > 1e-3


def test_neighbouring_seeds_and_positions_are_independent() -> None:
    params = SamplingParams(temperature=1.0)
    tokens = sample(LOGITS.expand(4000, -1), [params] * 4000, range(4000), [9] * 4000).numpy()
    wanted = expected(1.0, list(range(8))) * 4000
    assert stats.chisquare(np.bincount(tokens, minlength=8), wanted).pvalue > 1e-3
    one = draw(LOGITS, params, count=3000, seed=1)
    two = draw(LOGITS, params, count=3000, seed=2)
    table = np.zeros((8, 8))
    np.add.at(table, (one, two), 1)
    assert stats.chi2_contingency(table[:5, :5] + 1e-9).pvalue > 1e-3


def test_greedy_and_top_k_1_take_the_first_largest() -> None:
    logits = torch.randn(50, 33, generator=torch.Generator().manual_seed(0)).round()  # many ties
    wanted = logits.argmax(-1)
    for params in (SamplingParams(), SamplingParams(temperature=2.0, top_k=1)):
        assert torch.equal(sample(logits, [params] * 50, range(50), range(50)), wanted)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    logits = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))
    params = [
        SamplingParams(),
        SamplingParams(temperature=1.0),
        SamplingParams(temperature=0.3, top_k=4),
        SamplingParams(),
        SamplingParams(temperature=2.0, top_p=0.5),
        SamplingParams(temperature=1.0, top_k=7, top_p=0.9),
    ]
    together = sample(logits, params, range(6), range(6))
    for i in range(6):
        single = sample(logits[i : i + 1], [params[i]], [i], [i])
        assert single.item() == together[i]


def test_a_temperature_near_zero_is_greedy() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0]]).expand(20, -1)
    params = [SamplingParams(temperature=1e-40)] * 20
    assert sample(logits, params, range(20), range(20)).tolist() == [1] * 20


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_reported_not_sampled(bad: float) -> None:
    logits = torch.zeros(3, 5)
    logits[1, 2] = bad
    params = [SamplingParams(), SamplingParams(), SamplingParams(temperature=1.0)]
    tokens = sample(logits, params, [0] * 3, [0] * 3).tolist()
    assert tokens[0] == 0
    assert tokens[1] == -1
    assert tokens[2] in range(5)


def test_equal_seeds_repeat_and_others_differ() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=64))
    params = [SamplingParams(temperature=1.0, seed=s, max_tokens=16) for s in (1, 1, 2)]
    prompts = [[5, 6, 7]] * 3
    a, b, c = (o.token_ids for o in llm.generate(prompts, params))
    assert a == b != c
    # Alone, later, beside other work: still the same.
    mixed = llm.generate([[1] * 9, [5, 6, 7]], [SamplingParams(temperature=1.0), params[0]])
    assert mixed[1].token_ids == a


def test_every_position_has_a_draw_of_its_own() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=64, backend="numpy"))
    llm._runner.weights.lm_head.zero_()  # all 512 tokens equally likely, whatever came before
    params = SamplingParams(temperature=1.0, seed=0, max_tokens=200)
    tokens = llm.generate([[1]], params)[0].token_ids
    # 200 of 512 drawn with replacement: 166 distinct ones expected, give or take 5.
    assert 140 < len(set(tokens)) < 190


def test_without_a_seed_requests_differ_and_the_run_repeats() -> None:
    params = SamplingParams(temperature=1.0, max_tokens=12)
    runs = [
        [
            o.token_ids
            for o in LLM("tiny", EngineConfig(seed=3, num_blocks=64)).generate([[1, 2]] * 2, params)
        ]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]
