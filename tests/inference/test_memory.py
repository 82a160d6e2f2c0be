"""Less memory, the same tokens: feed-forward layers in chunks, blocks kept in host memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from inference import LLM, CacheTooSmall, ConfigError, EngineConfig, SamplingParams

BLOCK_BYTES = (
    2 * 2 * 4 * 2 * 16 * 4
)  # of "tiny" in blocks of 4: layers, k and v, positions, heads, channels
PARAMS = SamplingParams(max_tokens=16)


def conversations(llm: LLM) -> tuple[list[list[int]], dict[str, int]]:
    """Return the tokens of four chats of three turns by turns, in a cache that holds one of them."""
    chats = [[i] * 9 for i in range(4)]
    outputs = []
    for _ in range(3):
        for chat in chats:
            (output,) = llm.generate([chat], SamplingParams(max_tokens=6))
            outputs.append(output.token_ids)
            chat += [*output.token_ids, 1, 2]
            llm.check_integrity()
    return outputs, llm.counters()


@pytest.mark.parametrize("kv_dtype", [None, "int8"])
def test_evicted_blocks_come_back_from_the_host_instead_of_being_computed(
    kv_dtype: str | None,
) -> None:
    common: dict[str, Any] = {"block_size": 4, "num_threads": 1, "kv_dtype": kv_dtype}
    crowded = {"num_blocks": 10, **common}
    expected, without = conversations(LLM("tiny", EngineConfig(**crowded)))
    tokens, counts = conversations(
        LLM("tiny", EngineConfig(host_cache_bytes=64 * BLOCK_BYTES, **crowded))
    )
    assert tokens == expected
    assert counts["blocks_restored"] > 0
    assert counts["prefill_tokens"] < without["prefill_tokens"] - 4 * 8
    assert without["blocks_stored"] == without["blocks_restored"] == 0
    roomy, whole = conversations(LLM("tiny", EngineConfig(**common)))
    assert roomy == expected
    assert counts["prefill_tokens"] == whole["prefill_tokens"]  # as if the cache held everything


def test_a_preempted_request_finds_its_blocks_in_host_memory() -> None:
    prompts = [[i] * 12 for i in range(1, 6)]
    crowded: dict[str, Any] = {"block_size": 4, "num_blocks": 12, "num_threads": 1}
    plain = LLM("tiny", EngineConfig(**crowded))
    expected = [o.token_ids for o in plain.generate(prompts, PARAMS)]
    kept = LLM("tiny", EngineConfig(host_cache_bytes=64 * BLOCK_BYTES, **crowded))
    assert [o.token_ids for o in kept.generate(prompts, PARAMS)] == expected
    assert plain.counters()["preemptions"] > 0
    assert kept.counters()["prefill_tokens"] < plain.counters()["prefill_tokens"]


def test_a_prompt_that_waits_for_room_has_its_blocks_copied_back_meanwhile() -> None:
    crowded: dict[str, Any] = {"block_size": 4, "num_blocks": 14, "num_threads": 1}
    llm = LLM("tiny", EngineConfig(host_cache_bytes=64 * BLOCK_BYTES, **crowded))
    chat = [7] * 24
    (first,) = llm.generate([chat], SamplingParams(max_tokens=2))
    llm.generate([[3] * 50], SamplingParams(max_tokens=4))  # takes every block
    stored = llm.counters()["blocks_stored"]
    assert stored >= 6
    long = llm.submit([9] * 30, SamplingParams(max_tokens=20))
    llm.step()
    more = [*chat, *first.token_ids, *range(20)]
    waiting = llm.submit(more, SamplingParams(max_tokens=3))
    llm.step()
    assert llm.occupancy()["waiting"] == 1
    assert llm.counters()["blocks_restored"] > 0
    while llm.has_unfinished():
        llm.step()
    roomy = LLM("tiny", EngineConfig(block_size=4, num_threads=1))
    expected = roomy.generate([more], SamplingParams(max_tokens=3))[0].token_ids
    assert llm.output(waiting).token_ids == expected
    assert llm.output(long).finish_reason == "length"
    llm.check_integrity()


def test_a_host_cache_that_cannot_be_is_refused() -> None:
    with pytest.raises(CacheTooSmall, match="host_cache_bytes=100 holds no block of"):
        LLM("tiny", EngineConfig(host_cache_bytes=100))
    with pytest.raises(ConfigError, match="enable_prefix_sharing"):
        EngineConfig(host_cache_bytes=1 << 20, enable_prefix_sharing=False)


@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_feed_forward_layers_in_chunks_give_the_same_tokens_and_smaller_activations(
    backend: str,
) -> None:
    prompts = [[(3 * i + j) % 512 for j in range(30)] for i in range(4)]
    widest: list[list[int]] = []
    outputs = []
    for chunk in (None, 7):
        config = EngineConfig(mlp_chunk_size=chunk, backend=backend, num_threads=1)
        llm = LLM("tiny", config)
        rows: list[int] = []
        product = llm._runner.ops.linear_silu_mul

        def counted(x: Any, weight: Any, product: Any = product, rows: Any = rows) -> Any:
            rows.append(len(x))
            return product(x, weight)

        llm._runner.ops.linear_silu_mul = counted
        outputs.append([o.token_ids for o in llm.generate(prompts, PARAMS)])
        widest.append(rows)
    assert outputs[0] == outputs[1]
    assert max(widest[0]) == 120
    assert max(widest[1]) == 7


def test_logits_are_computed_for_the_last_token_of_a_prompt_alone() -> None:
    llm = LLM("tiny", EngineConfig(num_threads=1))
    shapes: list[torch.Size] = []
    logits = llm._runner.decoder.logits

    def seen(hidden: Any) -> Any:
        result = logits(hidden)
        shapes.append(result.shape)
        return result

    llm._runner.decoder.logits = seen
    llm.generate([[1] * 40, [2] * 30], SamplingParams(max_tokens=1))
    assert shapes == [torch.Size([2, 512])]


def test_fragmentation_is_the_share_of_held_positions_without_a_token() -> None:
    llm = LLM("tiny", EngineConfig(block_size=8))
    llm.generate([[1] * 5, [2] * 8], SamplingParams(max_tokens=4))  # 8 and 11 positions computed
    assert (llm.counters()["kv_slots_filled"], llm.counters()["kv_slots_held"]) == (19, 24)
