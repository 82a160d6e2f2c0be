"""The whole decoder in kernels: the tokens of the references, step by step."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from triton.runtime.jit import KernelInterface

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


def test_a_decode_step_launches_eight_kernels_a_layer(
    oracle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: Counter[str] = Counter()
    launch = KernelInterface.__getitem__

    def counting(kernel: Any, grid: Any) -> Any:
        launched[kernel.__name__] += 1
        return launch(kernel, grid)

    config = EngineConfig(
        backend="triton",
        dtype="float32",
        num_blocks=16,
        enable_overlap=False,
        enable_cuda_graphs=False,  # a step is captured after it has run: each kernel twice
    )
    with LLM(oracle("qwen3").directory, config) as llm:
        llm.submit([1, 2], SamplingParams(max_tokens=3, ignore_eos=True))
        llm.step()
        monkeypatch.setattr(KernelInterface, "__getitem__", counting)
        llm.step()
        layers = llm.model.num_layers
    a_layer = {"_rms_norm": 2, "_linear": 4, "_rope_store": 1, "_paged_attention": 1}
    once = {"_embedding": 1, "_rms_norm": 1, "_linear": 1, "_sample": 1}
    assert sum(a_layer.values()) == 8
    assert launched == Counter({k: n * layers for k, n in a_layer.items()}) + Counter(once)
