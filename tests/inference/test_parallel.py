"""Several ranks compute the tokens of one; what does not divide is refused; a lost rank ends the engine."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from inference import LLM, ConfigError, EngineClosed, EngineConfig, RankFailed, SamplingParams
from inference.architecture import ModelConfig
from inference.parallel.group import Group
from inference.parallel.matrices import JoinedMatrix
from inference.parallel.part import Part
from inference.parallel.ranks import Ranks
from inference.presets import preset

PROMPTS = [[(7 * i + j) % 512 for j in range(n)] for i, n in enumerate((1, 3, 40, 17, 9, 33))]
PARAMS = [
    SamplingParams(max_tokens=12, temperature=0.8 * (i % 2), seed=i, logprobs=2 if i == 3 else None)
    for i in range(len(PROMPTS))
]
CROWDED = {"block_size": 4, "num_blocks": 24, "max_num_batched_tokens": 16, "num_threads": 1}


def outputs_of(llm: LLM, prompts: Any = PROMPTS, params: Any = PARAMS) -> list[list[int]]:
    tokens = [output.token_ids for output in llm.generate(prompts, params)]
    llm.check_integrity()
    return tokens


def test_two_ranks_give_the_tokens_of_one_and_count_what_they_send() -> None:
    with LLM("tiny", EngineConfig(**CROWDED)) as one:
        expected = outputs_of(one)
        assert one.counters()["communication_bytes"] == one.communication_seconds() == 0
    with LLM("tiny", EngineConfig(tensor_parallel=2, **CROWDED)) as two:
        assert outputs_of(two) == expected
        assert two.counters()["preemptions"] > 0
        assert two.counters()["weight_bytes"] < one_rank_bytes()
        two.reset_counters()
        two.generate([[1, 2, 3, 4, 5]], SamplingParams(max_tokens=2))
        # Two sums a layer of every token, hidden 64; a join of a row's 256 logits for each output token.
        steps, tokens = 2, 5 + 1
        assert two.counters()["collectives"] == steps * (2 * 2 + 1)
        assert two.counters()["communication_bytes"] == tokens * 2 * 2 * 64 * 4 + 2 * 256 * 4
        assert 0 < two.communication_seconds() < sum(two.step_seconds().values())


def test_two_stages_give_the_tokens_of_one_and_count_what_they_send() -> None:
    with LLM("tiny", EngineConfig(**CROWDED)) as one:
        expected = outputs_of(one)
    with LLM("tiny", EngineConfig(pipeline_parallel=2, **CROWDED)) as two:
        assert outputs_of(two) == expected
        assert two.counters()["preemptions"] > 0
        assert two.counters()["weight_bytes"] < one_rank_bytes()
        two.reset_counters()
        two.generate([[1, 2, 3, 4, 5]], SamplingParams(max_tokens=2))
        # The residual stream of every token, hidden 64, there and back in two steps.
        assert two.counters()["communication_bytes"] == (5 + 1) * 64 * 4
        assert two.counters()["collectives"] == 2 * 2


def one_rank_bytes() -> int:
    return preset("tiny").num_parameters * 4


@pytest.mark.parametrize(
    ("variant", "split"),
    [
        ("qwen2", {"tensor_parallel": 2}),
        ("llama-biased", {"tensor_parallel": 2}),
        ("qwen2-window", {"pipeline_parallel": 2}),
    ],
)
def test_a_checkpoint_with_grouped_heads_is_cut_into_the_same_model(
    oracle: Any, variant: str, split: dict[str, Any]
) -> None:
    made = oracle(variant)
    params = SamplingParams(max_tokens=len(made.expected[0]), ignore_eos=True)
    config = EngineConfig(num_threads=1, backend="reference", block_size=4, **split)
    with LLM(made.directory, config) as llm:
        assert outputs_of(llm, made.prompts, params) == made.expected


def test_a_rank_that_dies_ends_the_engine_with_its_name() -> None:
    llm = LLM("tiny", EngineConfig(tensor_parallel=2, num_threads=1))
    process = llm._runner._ranks._processes[0]
    request = llm.submit([1, 2, 3], SamplingParams(max_tokens=50))
    llm.step()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RankFailed, match="rank 1 of 2 was ended by signal 9"):
        while llm.has_unfinished():
            llm.step()
    output = llm.output(request)
    assert output.finish_reason == "error"
    assert "rank 1 of 2" in output.error
    with pytest.raises(EngineClosed, match="make a new LLM"):
        llm.generate([[1]])
    llm.close()


def test_a_rank_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = LLM("tiny", EngineConfig(tensor_parallel=2, num_threads=1))
    monkeypatch.setattr("inference.parallel.group.TIMEOUT", timedelta(seconds=1))
    process = llm._runner._ranks._processes[0]
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(RankFailed):
        llm.generate([[1, 2, 3]])
    assert process.returncode == -signal.SIGKILL


def test_a_rank_that_cannot_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Ranks._send_to

    def send_wrong_model(self: Ranks, rank: int, message: Any) -> None:
        send(self, rank, replace(message, model=tmp_path / "nowhere"))

    monkeypatch.setattr(Ranks, "_send_to", send_wrong_model)
    with pytest.raises(RankFailed, match=r"rank 1: .*nowhere.*no such checkpoint"):
        LLM("tiny", EngineConfig(tensor_parallel=2, num_threads=1))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"tensor_parallel": 3}, "2 key/value heads of tiny do not divide by it; use 1 or 2"),
        ({"tensor_parallel": 4}, "use 1 or 2"),
        ({"pipeline_parallel": 3}, "2 layers of tiny do not divide by it; use 1 or 2"),
    ],
)
def test_ranks_that_do_not_divide_the_model_are_refused(split: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LLM("tiny", EngineConfig(**split))


def test_settings_that_exclude_each_other_are_refused() -> None:
    for other in ({"enable_overlap": True}, {"host_cache_bytes": 1 << 20}):
        with pytest.raises(ConfigError, match="tensor_parallel=1"):
            EngineConfig(tensor_parallel=2, **other)
        with pytest.raises(ConfigError, match="pipeline_parallel=1"):
            EngineConfig(pipeline_parallel=2, **other)
    with pytest.raises(ConfigError, match="not both"):
        EngineConfig(pipeline_parallel=2, tensor_parallel=2)
    with pytest.raises(ConfigError, match="tensor_parallel"):
        EngineConfig(tensor_parallel=0)


def test_the_parts_of_a_model_add_up() -> None:
    whole: ModelConfig = preset("qwen3-32b")
    for size in (1, 2, 4, 8):
        own = Part(Group(0, size)).shapes(whole)
        assert own.num_heads * size == whole.num_heads
        assert own.num_kv_heads * size == whole.num_kv_heads
        assert own.intermediate_size * size == whole.intermediate_size
        assert (own.vocab_size, own.hidden_size) == (whole.vocab_size, whole.hidden_size)
    with pytest.raises(ConfigError, match="8 key/value heads"):
        Part(Group(0, 16)).shapes(whole)


class Alone(Group):
    """A rank whose joins are those of the ranks that ran before it."""

    before: ClassVar[list[torch.Tensor]] = []

    def join(self, x: torch.Tensor) -> torch.Tensor:
        self.before.append(x)
        return torch.cat(self.before, dim=1)


def test_a_vocabulary_that_does_not_divide_is_joined_whole() -> None:
    matrix, x = torch.randn(7, 3), torch.randn(2, 3)
    for rank in range(3):  # of 3, 3 and 1 rows
        own = matrix[3 * rank : 3 * rank + 3]
        joined = JoinedMatrix(own, 7, Alone(rank, 3)).multiply(x)
    torch.testing.assert_close(joined, x @ matrix.T)


def test_no_rank_survives_an_engine_that_nobody_closed() -> None:
    llm = LLM("tiny", EngineConfig(tensor_parallel=2, num_threads=1))
    (process,) = llm._runner._ranks._processes
    del llm
    import gc

    gc.collect()
    assert process.wait(timeout=30) == 0
    assert torch.get_num_threads() >= 1
