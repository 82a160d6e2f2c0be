"""Token for token what transformers decodes greedily in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference import LLM, CheckpointError, EngineConfig, SamplingParams
from inference.architecture import ModelConfig
from tests.inference.conftest import NUM_OUTPUT, VARIANTS, VOCAB

PARAMS = SamplingParams(max_tokens=NUM_OUTPUT)


def tokens_of(directory: Path, prompts: list[list[int]], **config: Any) -> list[list[int]]:
    llm = LLM(directory, EngineConfig(**config))
    outputs = llm.generate(prompts, PARAMS)
    llm.check_integrity()
    assert llm._blocks.num_used == 0
    return [output.token_ids for output in outputs]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("backend", ["reference", "numpy", "compiled"])
def test_every_family_decodes_as_transformers_does(oracle: Any, variant: str, backend: str) -> None:
    case = oracle(variant)
    # Outputs that differ from prompt to prompt, or equality would say little.
    assert len({tuple(tokens) for tokens in case.expected}) >= len(case.prompts) - 1
    got = tokens_of(case.directory, case.prompts, block_size=4, backend=backend)
    assert got == case.expected


@pytest.mark.parametrize("variant", ["llama-llama3", "mistral-window", "qwen3"])
@pytest.mark.parametrize("sharing", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 16, None])
def test_chunking_and_sharing_change_no_token(
    oracle: Any, variant: str, sharing: bool, chunk: int | None
) -> None:
    case = oracle(variant)
    got = tokens_of(
        case.directory,
        case.prompts,
        block_size=4,
        prefill_chunk_size=chunk,
        enable_prefix_sharing=sharing,
        max_num_seqs=4,
    )
    assert got == case.expected


@pytest.mark.parametrize(
    "config",
    [
        {"block_size": 1},
        {"block_size": 64},
        {"max_num_seqs": 1},
        {"max_num_batched_tokens": 5},
        {"enable_chunked_prefill": False},
        {"enable_chunked_prefill": False, "max_num_batched_tokens": 8},
        {"enable_length_buckets": False, "block_size": 4},
        # 53 positions at most in 14 blocks of 4: the longest request leaves room for little else.
        {"num_blocks": 14, "block_size": 4},
    ],
    ids=str,
)
def test_no_engine_setting_changes_a_token(oracle: Any, config: dict[str, Any]) -> None:
    case = oracle("qwen2")
    assert tokens_of(case.directory, case.prompts, **config) == case.expected


def test_a_second_run_hits_the_prefix_cache_and_changes_no_token(oracle: Any) -> None:
    case = oracle("llama")
    llm = LLM(case.directory, EngineConfig(block_size=4))
    first = llm.generate(case.prompts, PARAMS)
    before = llm.counters()
    second = llm.generate(case.prompts, PARAMS)
    assert [o.token_ids for o in first] == [o.token_ids for o in second] == case.expected
    # All full blocks of a prompt but the one its last token lies in.
    hits = [(len(prompt) - 1) // 4 * 4 for prompt in case.prompts]
    assert [o.num_cached_tokens for o in second] == hits
    after = llm.counters()
    assert after["prefix_hit_tokens"] - before["prefix_hit_tokens"] == sum(hits)
    recomputed = after["prefill_tokens"] - before["prefill_tokens"]
    assert recomputed == sum(map(len, case.prompts)) - sum(hits)


def test_the_legacy_dialect_of_rope_keys_reads_the_same(oracle: Any, tmp_path: Path) -> None:
    case = oracle("llama-llama3")
    raw = json.loads((case.directory / "config.json").read_text())
    rope = raw.pop("rope_parameters")
    raw["rope_theta"] = rope.pop("rope_theta")
    raw["rope_scaling"] = rope
    (tmp_path / "config.json").write_text(json.dumps(raw))
    (tmp_path / "model.safetensors").symlink_to(case.directory / "model.safetensors")
    assert tokens_of(tmp_path, case.prompts) == case.expected


def test_windows_are_read_from_configs_older_than_layer_types(oracle: Any, tmp_path: Path) -> None:
    case = oracle("qwen2-window")
    raw = json.loads((case.directory / "config.json").read_text())
    del raw["layer_types"]
    (tmp_path / "config.json").write_text(json.dumps(raw))
    (tmp_path / "model.safetensors").symlink_to(case.directory / "model.safetensors")
    assert tokens_of(tmp_path, case.prompts) == case.expected


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_keys_left_out_mean_what_transformers_takes_them_for(family: str, null: bool) -> None:
    import transformers

    raw: dict[str, Any] = {
        "model_type": family,
        "vocab_size": VOCAB,
        "hidden_size": 512,
        "intermediate_size": 80,
        "num_hidden_layers": 30,
        "num_attention_heads": 64,
        "max_position_embeddings": 8192,
    }
    if family.startswith("qwen"):
        raw["use_sliding_window"] = True
    if null and family != "llama":
        raw["sliding_window"] = None
    if null and family != "mistral":  # whose config class refuses it
        raw["num_key_value_heads"] = None
    theirs = transformers.AutoConfig.for_model(**raw)
    window = getattr(theirs, "sliding_window", None)
    kinds = getattr(theirs, "layer_types", None) or ["sliding_attention"] * 30
    ours = ModelConfig.from_hf(raw, name="x")
    assert ours.num_kv_heads == theirs.num_key_value_heads
    assert ours.sliding_windows == tuple(
        window if kind == "sliding_attention" else None for kind in kinds
    )


def test_longrope_beyond_its_original_context(oracle: Any, tmp_path: Path) -> None:
    """Prompts longer than the original context have the long factors from the first token on."""
    import torch
    from transformers import LlamaForCausalLM

    case = oracle("llama-longrope")
    raw = json.loads((case.directory / "config.json").read_text())
    raw["rope_parameters"]["original_max_position_embeddings"] = 8
    (tmp_path / "config.json").write_text(json.dumps(raw))
    (tmp_path / "model.safetensors").symlink_to(case.directory / "model.safetensors")
    prompts = [prompt for prompt in case.prompts if len(prompt) > 8]
    model = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    expected = [
        model.generate(torch.tensor([p]), max_new_tokens=NUM_OUTPUT, do_sample=False)[0, len(p) :]
        for p in prompts
    ]
    got = tokens_of(tmp_path, prompts)
    assert got == [tokens.tolist() for tokens in expected]
    assert got != [case.expected[case.prompts.index(prompt)] for prompt in prompts]


def test_a_stretched_context_is_the_models(oracle: Any) -> None:
    """Published configs add yarn and leave max_position_embeddings as it was."""
    raw = json.loads((oracle("llama-yarn").directory / "config.json").read_text())
    raw["max_position_embeddings"] = 64
    assert ModelConfig.from_hf(raw, name="x").max_position == 256


def test_a_head_of_its_own_counts_whatever_the_config_says(oracle: Any, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    case = oracle("llama")  # not tied
    raw = json.loads((case.directory / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(raw | {"tie_word_embeddings": True}))
    tensors = load_file(case.directory / "model.safetensors")
    save_file(tensors, tmp_path / "model.safetensors")
    assert tokens_of(tmp_path, case.prompts) == case.expected

    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    llm = LLM(tmp_path)
    assert llm.model.tie_embeddings
    assert torch.equal(llm._runner.weights.embedding, tensors["lm_head.weight"])


@pytest.mark.parametrize("indexed", [True, False])
def test_sharded_checkpoints_load(oracle: Any, tmp_path: Path, indexed: bool) -> None:
    from safetensors.torch import load_file, save_file

    case = oracle("qwen3-tied")
    tensors = load_file(case.directory / "model.safetensors")
    names = sorted(tensors)
    for i, part in enumerate((names[::2], names[1::2]), start=1):
        shard = tmp_path / f"model-{i:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, shard)
    (tmp_path / "config.json").write_text((case.directory / "config.json").read_text())
    if indexed:
        # As in Mistral's repositories: the same weights once more, under names of their own.
        save_file(
            {"tok_embeddings.weight": tensors[names[0]]}, tmp_path / "consolidated.safetensors"
        )
        where = {n: f"model-{1 + i % 2:05d}-of-00002.safetensors" for i, n in enumerate(names)}
        index = tmp_path / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": where}))
    assert tokens_of(tmp_path, case.prompts) == case.expected
    if indexed:
        (tmp_path / "model-00002-of-00002.safetensors").unlink()
        with pytest.raises(CheckpointError, match=r"listed in .*, but not there"):
            LLM(tmp_path)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near_float32(oracle: Any, dtype: str) -> None:
    """The first tokens agree mostly: half precision may swap near-equal logits, not more."""
    case = oracle("llama")
    got = tokens_of(case.directory, case.prompts, dtype=dtype)
    first = [a[0] == b[0] for a, b in zip(got, case.expected, strict=True)]
    assert sum(first) >= len(first) - 2
