"""GGUF files written here are read, converted and decoded as the checkpoint they came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference import LLM, CheckpointError, EngineConfig, SamplingParams
from inference.architecture import ModelConfig, RopeConfig
from inference.convert import main
from inference.gguf_file import _LAYER, _TOP
from inference.ops.rope import inverse_frequencies
from tests.inference.conftest import NUM_OUTPUT, VOCAB

gguf = pytest.importorskip("gguf")


def write_gguf(
    path: Path,
    directory: Path,
    *,
    extra: dict[str, Any] | None = None,
    scaling: dict[str, str | float] | None = None,
) -> None:
    """Write a float32 GGUF file as llama.cpp's converter would."""
    from safetensors.numpy import load_file

    raw = json.loads((directory / "config.json").read_text())
    family = raw["model_type"]
    writer = gguf.GGUFWriter(path, family)
    writer.add_context_length(raw["max_position_embeddings"])
    writer.add_embedding_length(raw["hidden_size"])
    writer.add_block_count(raw["num_hidden_layers"])
    writer.add_feed_forward_length(raw["intermediate_size"])
    writer.add_head_count(raw["num_attention_heads"])
    writer.add_head_count_kv(raw["num_key_value_heads"])
    writer.add_key_length(raw["head_dim"])
    writer.add_value_length(raw["head_dim"])
    writer.add_rope_dimension_count(raw["head_dim"])
    writer.add_layer_norm_rms_eps(raw["rms_norm_eps"])
    writer.add_rope_freq_base(raw["rope_parameters"]["rope_theta"])
    for key, value in (scaling or {}).items():
        if isinstance(value, str):
            writer.add_string(f"{family}.{key}", value)
        elif isinstance(value, int):
            writer.add_uint32(f"{family}.{key}", value)
        else:
            writer.add_float32(f"{family}.{key}", value)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("gpt2")
    pieces = [chr(0x100 + i) for i in range(VOCAB - 1)]
    writer.add_token_list([*pieces, pieces[0] + pieces[1]])
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCAB)
    writer.add_token_merges([f"{pieces[0]} {pieces[1]}"])
    names = {f"{hub}.{kind}": f"{own}.{kind}" for own, hub in _TOP.items() for kind in ("weight",)}
    for i in range(raw["num_hidden_layers"]):
        for own, hub in _LAYER.items():
            for kind in ("weight", "bias"):
                names[f"model.layers.{i}.{hub}.{kind}"] = f"blk.{i}.{own}.{kind}"
    for name, tensor in load_file(directory / "model.safetensors").items():
        heads = {"q_proj": raw["num_attention_heads"], "k_proj": raw["num_key_value_heads"]}
        part = name.split(".")[-2]
        if family == "llama" and part in heads:
            # llama.cpp rotates neighbours, so its converter interleaves the two halves.
            halves = tensor.reshape(heads[part], 2, raw["head_dim"] // 2, -1)
            tensor = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))
        writer.add_tensor(names[name], tensor)
    for name, tensor in (extra or {}).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("variant", ["llama", "llama-tied", "qwen2", "qwen3"])
def test_a_gguf_file_decodes_as_its_checkpoint(oracle: Any, tmp_path: Path, variant: str) -> None:
    case = oracle(variant)
    path = tmp_path / "small.gguf"
    write_gguf(path, case.directory)
    llm = LLM(path, EngineConfig(num_blocks=64))
    outputs = llm.generate(case.prompts, SamplingParams(max_tokens=NUM_OUTPUT, ignore_eos=True))
    assert [o.token_ids for o in outputs] == case.expected

    assert main([str(path), str(tmp_path / "converted")]) == 0
    llm = LLM(tmp_path / "converted", EngineConfig(num_blocks=64))
    outputs = llm.generate(case.prompts, SamplingParams(max_tokens=NUM_OUTPUT, ignore_eos=True))
    assert [o.token_ids for o in outputs] == case.expected
    assert llm.describe()["has_tokenizer"]

    # A whole checkpoint: transformers finds the class, the weights and the generation's defaults.
    from transformers import AutoModelForCausalLM, GenerationConfig

    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "converted").eval()
    assert type(theirs).__name__ in theirs.config.architectures
    GenerationConfig.from_pretrained(tmp_path / "converted")
    prompt = torch.tensor([case.prompts[3]])
    out = theirs.generate(
        prompt, max_new_tokens=NUM_OUTPUT, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert out[0, prompt.shape[1] :].tolist() == case.expected[3]


@pytest.mark.parametrize(
    ("variant", "scaling"),
    [
        ("llama-linear", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
        ("llama-linear", {"rope.scaling.factor": 4.0}),
        ("llama-linear", {"rope.scale_linear": 4.0}),
        ("llama", {"rope.scaling.type": "none", "rope.scaling.factor": 4.0}),
        ("llama-yarn", {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": 64,
        }),
    ],
    ids=str,
)  # fmt: skip
def test_the_rope_scaling_of_the_header_is_applied(
    oracle: Any, tmp_path: Path, variant: str, scaling: dict[str, str | float]
) -> None:
    case = oracle(variant)
    path = tmp_path / "small.gguf"
    write_gguf(path, case.directory, scaling=scaling)
    assert main([str(path), str(tmp_path / "converted")]) == 0
    for source in (path, tmp_path / "converted"):
        llm = LLM(source, EngineConfig(num_blocks=64))
        outputs = llm.generate(case.prompts, SamplingParams(max_tokens=NUM_OUTPUT, ignore_eos=True))
        assert [o.token_ids for o in outputs] == case.expected


def test_other_rope_scalings_are_refused(oracle: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    scaling: dict[str, str | float] = {"rope.scaling.type": "su", "rope.scaling.factor": 4.0}
    write_gguf(path, oracle("llama").directory, scaling=scaling)
    with pytest.raises(CheckpointError, match="rope scaling 'su' is not supported"):
        LLM(path)


def test_llama_3_keeps_its_rope_scaling_in_a_tensor(oracle: Any, tmp_path: Path) -> None:
    """As llama.cpp's converter writes it: what each frequency is divided by."""
    case = oracle("llama-llama3")
    raw = json.loads((case.directory / "config.json").read_text())
    rope = ModelConfig.from_hf(raw, name="x").rope
    plain = inverse_frequencies(RopeConfig(theta=rope.theta), raw["head_dim"], 64)
    divisors = (plain / inverse_frequencies(rope, raw["head_dim"], 64)).numpy()
    assert divisors.max() > 2
    path = tmp_path / "small.GGUF"
    write_gguf(path, case.directory, extra={"rope_freqs.weight": divisors})
    assert main([str(path), str(tmp_path / "converted")]) == 0
    for source in (path, tmp_path / "converted"):
        llm = LLM(source, EngineConfig(num_blocks=64))
        outputs = llm.generate(case.prompts, SamplingParams(max_tokens=NUM_OUTPUT, ignore_eos=True))
        assert [o.token_ids for o in outputs] == case.expected


def test_tensors_without_a_counterpart_are_refused(oracle: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    extra = {"blk.0.attn_sinks.weight": np.ones(4, dtype=np.float32)}
    write_gguf(path, oracle("llama").directory, extra=extra)
    with pytest.raises(CheckpointError, match=r"'blk\.0\.attn_sinks\.weight' is not supported"):
        LLM(path)


def test_the_command_reports_errors_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.gguf"), str(tmp_path / "out")]) == 2
    assert "none.gguf: no such file" in capsys.readouterr().err
    (tmp_path / "bad.gguf").write_bytes(b"GGUX" + bytes(64))
    assert main([str(tmp_path / "bad.gguf"), str(tmp_path / "out")]) == 2
    assert "bad.gguf" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
