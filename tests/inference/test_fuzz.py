"""Small models of the four families with odd shapes, against transformers, token for token.

Every token that the engine chose must have the largest logit that transformers computes for its
place, given the tokens before it: rounding may swap two logits that are all but equal, nothing else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference import LLM, EngineConfig, SamplingParams

NUM_OUTPUT = 6
ALMOST_EQUAL = 2e-3  # of logits that spread over several units
CONTEXT = 64
SUPPRESSED = [HealthCheck.too_slow, HealthCheck.data_too_large]


@st.composite
def ropes(draw: Any, head_dim: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(["default", "linear", "dynamic", "llama3", "yarn", "longrope"]))
    rope: dict[str, Any] = {
        "rope_type": kind,
        "rope_theta": draw(st.sampled_from([100.0, 1e4, 1e6])),
    }
    if kind != "default":
        rope["factor"] = draw(st.sampled_from([1.5, 4.0, 16.0]))
    if kind in ("llama3", "yarn"):
        rope["original_max_position_embeddings"] = draw(st.sampled_from([8, 32]))
    if kind == "llama3":
        rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    if kind == "yarn":
        rope |= {"beta_fast": draw(st.sampled_from([None, 2.0])), "truncate": draw(st.booleans())}
    if kind == "longrope":
        factors = st.lists(st.floats(1.0, 8.0), min_size=head_dim // 2, max_size=head_dim // 2)
        rope |= {"short_factor": draw(factors), "long_factor": draw(factors)}
        rope["original_max_position_embeddings"] = CONTEXT
    return rope


@st.composite
def models(draw: Any) -> dict[str, Any]:
    family = draw(st.sampled_from(["llama", "mistral", "qwen2", "qwen3"]))
    kv_heads = draw(st.integers(1, 3))
    heads = kv_heads * draw(st.integers(1, 4))
    # Qwen2 derives the size of a head from the hidden size.
    head_dim = 2 * draw(st.integers(2, 9))
    hidden = heads * head_dim
    if family != "qwen2" and draw(st.booleans()):
        # transformers wants a multiple of the heads of a Llama.
        hidden = (heads if family == "llama" else 2) * draw(st.integers(3, 12))
    config: dict[str, Any] = {
        "model_type": family,
        "vocab_size": draw(st.integers(11, 213)),
        "hidden_size": hidden,
        "intermediate_size": draw(st.integers(7, 75)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": draw(st.sampled_from([1e-6, 1e-5])),
        "tie_word_embeddings": draw(st.booleans()),
        "rope_parameters": draw(ropes(head_dim)),
        "initializer_range": 0.4,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if family != "qwen2":
        config["head_dim"] = head_dim
    if family in ("llama", "qwen3"):
        config["attention_bias"] = draw(st.booleans())
    if family == "mistral":
        config["sliding_window"] = draw(st.sampled_from([None, 3, 9]))
    if family.startswith("qwen") and draw(st.booleans()):
        layers = config["num_hidden_layers"]
        config |= {"use_sliding_window": True, "sliding_window": draw(st.integers(2, 9))}
        config["max_window_layers"] = draw(st.integers(0, layers))
    return config


@st.composite
def cases(draw: Any) -> tuple[dict[str, Any], list[list[int]], dict[str, Any], int]:
    config = draw(models())
    token = st.integers(0, config["vocab_size"] - 1)
    prompts = draw(st.lists(st.lists(token, min_size=1, max_size=40), min_size=1, max_size=4))
    engine = {
        "block_size": draw(st.sampled_from([1, 3, 16])),
        "max_num_batched_tokens": draw(st.sampled_from([5, 64, 2048])),
        "backend": draw(st.sampled_from(["reference", "numpy", "compiled"])),
    }
    return config, prompts, engine, draw(st.integers(0, 2**31))


def check(case: tuple[dict[str, Any], list[list[int]], dict[str, Any], int]) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    raw, prompts, engine, seed = case
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**raw)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Norms of 1 and biases of 0 would pass unread.
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
            elif name.endswith("bias"):
                parameter.copy_(0.5 * torch.randn_like(parameter))
    with tempfile.TemporaryDirectory() as place:
        model.save_pretrained(place)
        llm = LLM(Path(place), EngineConfig(**engine))
    outputs = llm.generate(prompts, SamplingParams(max_tokens=NUM_OUTPUT))
    for prompt, output in zip(prompts, outputs, strict=True):
        tokens = torch.tensor([[*prompt, *output.token_ids]])
        with torch.no_grad():
            logits = model(tokens).logits[0, len(prompt) - 1 : -1]
        chosen = logits.gather(1, torch.tensor(output.token_ids)[:, None]).squeeze(1)
        assert len(output.token_ids) == NUM_OUTPUT
        assert ((logits.max(dim=1).values - chosen) <= ALMOST_EQUAL).all(), (raw, prompt)


@given(cases())
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=SUPPRESSED)
def test_odd_shapes_decode_as_transformers_does(case: Any) -> None:
    check(case)


@pytest.mark.nightly
@given(cases())
@settings(max_examples=300, deadline=None, suppress_health_check=SUPPRESSED)
def test_odd_shapes_decode_as_transformers_does_night_by_night(case: Any) -> None:
    check(case)
