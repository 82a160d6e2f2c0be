"""Whatever is asked wrongly is refused by name, with what mends it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference import (
    LLM,
    BackendUnavailable,
    CacheTooSmall,
    CheckpointError,
    ConfigError,
    EngineClosed,
    EngineConfig,
    PromptError,
    SamplingParams,
)
from inference.architecture import ModelConfig
from inference.presets import PRESETS, preset


@pytest.fixture(scope="module")
def llm() -> LLM:
    return LLM("tiny", EngineConfig(max_model_len=64, num_blocks=8, block_size=4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EngineConfig(blok_size=4), "EngineConfig has no key 'blok_size'; did you mean 'block_size'"),
        (lambda: EngineConfig(zzz=4), "no key 'zzz'; known: backend, batching, block_size"),
        (lambda: SamplingParams(temprature=1.0), "did you mean 'temperature'"),
        (lambda: EngineConfig(device="cude"), "device is 'cude'; did you mean 'cuda'"),
        (lambda: EngineConfig(dtype="float64"), "dtype is 'float64'"),
        (lambda: EngineConfig(backend="cuda"), "backend is 'cuda'"),
        (lambda: EngineConfig(block_size=0), "block_size is 0; give a whole number >= 1"),
        (lambda: EngineConfig(num_threads=True), "num_threads is True"),
        (lambda: EngineConfig(num_blocks=2.5), "num_blocks is 2.5"),
        (lambda: EngineConfig(enable_prefix_sharing="no"), "enable_prefix_sharing is 'no'"),
        (lambda: EngineConfig(num_blocks=1, kv_cache_bytes=1), "not both"),
        (lambda: SamplingParams(max_tokens=0), "max_tokens is 0"),
        (lambda: SamplingParams(temperature=-1.0), "temperature is -1.0"),
        (lambda: SamplingParams(temperature=float("nan")), "temperature is nan"),
        (lambda: SamplingParams(top_p=0.0), "top_p is 0.0"),
        (lambda: SamplingParams(top_p=1.5), "top_p is 1.5"),
        (lambda: SamplingParams(top_k=-1), "top_k is -1"),
        (lambda: SamplingParams(min_p=1.5), "min_p is 1.5"),
        (lambda: SamplingParams(min_tokens=-1), "min_tokens is -1"),
        (lambda: SamplingParams(repetition_penalty=0), "repetition_penalty is 0"),
        (lambda: SamplingParams(presence_penalty=float("nan")), "presence_penalty is nan"),
        (lambda: SamplingParams(logprobs=-1), "logprobs is -1"),
        (lambda: SamplingParams(stop=[""]), "non-empty"),
        (lambda: SamplingParams(stop_token_ids=[-3]), "stop_token_ids is -3"),
        (lambda: SamplingParams(temperature="x"), "temperature is 'x'; give a number >= 0"),
        (lambda: SamplingParams(temperature=None), "temperature is None"),
        (lambda: SamplingParams(top_p="x"), "top_p is 'x'"),
        (lambda: SamplingParams(top_p=None), "top_p is None"),
        (lambda: SamplingParams(stop=5), "stop is 5; give a list of strings"),
        (lambda: SamplingParams(stop=[None]), "non-empty"),
        (lambda: SamplingParams(stop_token_ids=5), "stop_token_ids is 5; give a list of token ids"),
        (lambda: SamplingParams(stop_token_ids="x"), "stop_token_ids is 'x'"),
        (lambda: SamplingParams(ignore_eos="no"), "ignore_eos is 'no'; give True or False"),
        (lambda: LLM("tinny"), "no preset or checkpoint 'tinny'; did you mean 'tiny'"),
        (lambda: LLM("tiny", EngineConfig(max_model_len=5000)), "context of 4096"),
    ],
)  # fmt: skip
def test_configuration(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_configurations_are_frozen() -> None:
    with pytest.raises(AttributeError):
        EngineConfig().block_size = 3  # type: ignore[misc]
    assert SamplingParams(stop="end").stop == ("end",)


def test_no_stops_may_be_none() -> None:
    none = SamplingParams(stop=None, stop_token_ids=None)  # type: ignore[arg-type]
    assert none == SamplingParams()


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([[1], []], "request 1: the prompt is empty"),
        ([[1], [1, 512]], r"request 1: token id 512 is outside the vocabulary \[0, 512\)"),
        ([[-1]], "request 0: token id -1"),
        ([[1], [2], [1] * 64], "request 2: the prompt has 64 tokens and the context holds 64"),
        (["hello"], "request 0: the prompt is text, and tiny has no tokenizer"),
        ("hello", "one string; give a list"),
        ([[1], 2], "request 1: the prompt is neither text nor a list of token ids"),
        ([[1.5]], "request 0: the prompt is neither text nor a list of token ids"),
    ],
)
def test_prompts(llm: LLM, prompts: Any, message: str) -> None:
    for call in (llm.generate, llm.stream):
        with pytest.raises(PromptError, match=message):
            call(prompts, SamplingParams(max_tokens=4))
    assert not llm.has_unfinished(), "nothing was started"
    assert not llm._requests


def test_submit_names_the_prompt_too(llm: LLM) -> None:
    with pytest.raises(PromptError, match="request 0: the prompt is empty"):
        llm.submit([])


def test_stop_strings_need_a_tokenizer(llm: LLM) -> None:
    with pytest.raises(PromptError, match="stop strings need a tokenizer"):
        llm.generate([[1]], SamplingParams(stop=["x"]))


def test_as_many_params_as_prompts(llm: LLM) -> None:
    with pytest.raises(ConfigError, match="2 prompts but 1 SamplingParams"):
        llm.generate([[1], [2]], [SamplingParams()])


def test_a_request_the_cache_can_never_hold(llm: LLM) -> None:
    # 32 positions: 33 tokens fit, for the last is never attended to.
    assert llm.generate([[1] * 3], SamplingParams(max_tokens=30))[0].finish_reason == "length"
    with pytest.raises(
        CacheTooSmall, match=r"request 1: .* need 9 blocks of 4, and the cache has 8"
    ):
        llm.generate([[1], [1] * 3], [SamplingParams(max_tokens=1), SamplingParams(max_tokens=31)])
    assert not llm.has_unfinished()


def test_a_cache_of_less_than_one_block() -> None:
    with pytest.raises(CacheTooSmall, match="kv_cache_bytes=100 holds no block"):
        LLM("tiny", EngineConfig(kv_cache_bytes=100))


def test_kv_cache_bytes_is_an_upper_bound() -> None:
    llm = LLM("tiny", EngineConfig(kv_cache_bytes=100_000))
    assert 90_000 < llm.counters()["kv_cache_bytes"] <= 100_000


def test_backends_and_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(BackendUnavailable, match=r"op 'embedding': .* set TRITON_INTERPRET=1"):
        LLM("tiny", EngineConfig(device="cpu", backend="triton"))
    if not torch.cuda.is_available():
        with pytest.raises(BackendUnavailable, match="no CUDA device; use device='cpu'"):
            LLM("tiny", EngineConfig(device="cuda"))
    with pytest.raises(BackendUnavailable, match=r"packed \(enable_cpu_layout\), not on cpu in bf"):
        unpacked = {"dtype": "bfloat16", "enable_cpu_layout": False}
        LLM("tiny", EngineConfig(device="cpu", backend="numpy", **unpacked))


def test_a_closed_engine() -> None:
    with LLM("tiny", EngineConfig(num_blocks=4)) as llm:
        pass
    llm.close()
    for call in (lambda: llm.generate([[1]]), llm.step, llm.counters, llm.describe):
        with pytest.raises(EngineClosed):
            call()


def test_checkpoints_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint directory"):
        LLM(tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        LLM(tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        LLM(tmp_path / "missing.gguf")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        LLM(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "architecture 'gpt2' is not supported"),
        ({"model_type": "lama"}, "did you mean 'llama'"),
        ({"hidden_size": ...}, "config.json has no 'hidden_size'"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope type 'yarn'"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "needs 'factor'"),
        ({"quantization_config": {"bits": 4}}, "quantization None is not supported"),
        ({"num_hidden_layers": 3}, "no weight model.layers.2.* and 6 more"),
        ({"num_hidden_layers": 1}, "weight 'model.layers.1.*' has no place"),
        ({"intermediate_size": 81}, r"is \[.*80.*\], config.json implies \[.*81.*\]"),
        ({"attention_bias": True}, "no weight model.layers.0.self_attn.k_proj.bias"),
    ],
    ids=str,
)
def test_checkpoints_that_do_not_fit(llama_directory: Any, changes: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        LLM(llama_directory(**changes), EngineConfig(num_blocks=4))


def test_a_directory_without_weights(llama_directory: Any) -> None:
    directory = llama_directory()
    (directory / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no .*safetensors file"):
        LLM(directory)
    (directory / "model.safetensors").write_bytes(b"not a checkpoint at all")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        LLM(directory)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As counted on each model's hub page.
        ("qwen3-0.6b", 596_049_920),
        ("qwen3-8b", 8_190_735_360),
        ("qwen3-32b", 32_762_123_264),
        ("llama-3.1-8b", 8_030_261_248),
        ("tiny", 139_648),
    ],
)
def test_presets_have_the_published_shapes(name: str, parameters: int) -> None:
    assert name in PRESETS
    assert preset(name).num_parameters == parameters


def test_a_config_survives_the_trip_through_json(llama_directory: Any) -> None:
    raw = json.loads((llama_directory() / "config.json").read_text())
    config = ModelConfig.from_hf(raw, name="x")
    assert (config.num_heads, config.num_kv_heads, config.head_dim) == (6, 2, 8)


def test_a_refused_call_changes_no_later_one() -> None:
    sampled = SamplingParams(max_tokens=8, temperature=1.0)
    fresh, refused = (LLM("tiny", EngineConfig(num_blocks=8)) for _ in range(2))
    with pytest.raises(PromptError):
        refused.generate([[1], []], sampled)
    outputs = [llm.generate([[1]], sampled)[0] for llm in (fresh, refused)]
    assert outputs[0].token_ids == outputs[1].token_ids
    assert outputs[0].request_id == outputs[1].request_id


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", POINTER, "config.json: a Git LFS pointer"),
        ("config.json", "[]", "config.json: holds no JSON object"),
        ("config.json", "", "config.json: the file is empty"),
        ("generation_config.json", '{"eos', "generation_config.json: not JSON"),
        ("model.safetensors", POINTER, "model.safetensors: a Git LFS pointer"),
        ("model.safetensors", "", "model.safetensors: the file is empty"),
        ("model.safetensors", "\x7f" * 64, "model.safetensors: damaged, or no safetensors file"),
        ("model.safetensors.index.json", "{}", "index.json: no weight_map"),
        ("model.safetensors.index.json", "{", "index.json: not JSON"),
        ("tokenizer.json", POINTER, "tokenizer.json: a Git LFS pointer"),
        ("tokenizer.json", '{"version": "1.0", "mod', "tokenizer.json: not JSON"),
        ("tokenizer.json", "", "tokenizer.json: the file is empty"),
        ("tokenizer.json", "{}", "the tokenizer cannot be read"),
        ("tokenizer_config.json", "{", "tokenizer_config.json: not JSON"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_file_and_cause(
    llama_directory: Any, name: str, content: str, message: str
) -> None:
    directory = llama_directory()
    if name == "tokenizer_config.json":
        (directory / "tokenizer.json").write_text('{"version": "1.0"}')
    (directory / name).unlink(missing_ok=True)
    (directory / name).write_text(content)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        LLM(directory)


def test_numpy_integers_are_integers() -> None:
    config = EngineConfig(block_size=np.int32(4), num_blocks=np.int64(8), seed=np.uint8(1))  # type: ignore[arg-type]
    params = SamplingParams(
        max_tokens=np.int64(3), top_k=np.int16(2), stop_token_ids=np.array([600])  # type: ignore[arg-type]
    )  # fmt: skip
    assert config == EngineConfig(block_size=4, num_blocks=8, seed=1)
    assert type(config.block_size) is int
    assert params == SamplingParams(max_tokens=3, top_k=2, stop_token_ids=[600])
    out = LLM("tiny", config).generate([np.array([1, 2, 3])], params)[0]
    assert len(out.token_ids) == 3
