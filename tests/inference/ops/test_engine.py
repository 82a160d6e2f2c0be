"""The whole decoder in kernels: the tokens of the references, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from inference import LLM, EngineConfig, SamplingParams

# Chunks of 5: the first prompt takes two steps, the last beside the second's first decode.
PROMPTS = [[3, 1, 4, 1, 5, 9, 2], [8, 9]]


@pytest.mark.parametrize("variant", ["qwen3", "qwen2-window"])
def test_the_engine_yields_the_same_tokens_from_kernels(variant: str, oracle: Any) -> None:
    """Biases, qk-norm, a sliding window, grouped heads, chunked prefill beside decode."""
    outputs = {}
    for backend in ("reference", "triton"):
        config = EngineConfig(
            backend=backend, dtype="float32", num_blocks=16, block_size=4, prefill_chunk_size=5
        )
        with LLM(oracle(variant).directory, config) as llm:
            params = SamplingParams(max_tokens=3, ignore_eos=True)
            outputs[backend] = [o.token_ids for o in llm.generate(PROMPTS, params)]
            ran = set(llm.describe()["backends"].values())
        assert ran == {backend}
    assert outputs["triton"] == outputs["reference"]
