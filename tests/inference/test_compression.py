"""Weights in fewer bits and fewer numbers: what the tools write, and that error compensation earns its keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from inference import LLM, ConfigError, EngineConfig, SamplingParams
from inference.compression.compensation import compensate
from inference.compression.files import load_unquantized
from inference.compression.layerwise import LayerRunner, Scores
from inference.compression.pruning import (
    head_sensitivities,
    heads_to_keep,
    prune_two_of_four,
    without_heads,
)
from inference.compression.texts import own_texts
from inference.compression.writers import FORMATS, _Uniform, writer
from inference.prune import main as prune_main
from inference.prune import relu_experiment
from inference.quality import engine_scores
from inference.quantize import main as quantize_main
from inference.quantize import quantize

LONG = {"max_tokens": 8}


@pytest.fixture(scope="module")
def texts() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(160, (n,), generator=generator) for n in (24, 2, 40)]


def correlated(rows: int, width: int) -> Tensor:
    """Inputs like activations: few directions, of very different size."""
    generator = torch.Generator().manual_seed(rows)
    basis = torch.randn(width, width, generator=generator) * torch.logspace(0, -2, width)[:, None]
    return torch.randn(rows, width, generator=generator) @ basis


@pytest.mark.parametrize("what", ["gptq", "2:4"])
def test_compensation_loses_less_than_rounding_each_weight_alone(what: str) -> None:
    width = 192  # more than a block of columns
    weight = torch.randn(40, width, generator=torch.Generator().manual_seed(5))
    x = correlated(900, width)
    product = x.T @ x
    if what == "gptq":
        # Inputs that tell no direction from another: nothing can be made up for.
        plain = compensate(weight, torch.eye(width), _Uniform(16))
        made_up = compensate(weight, product.clone(), _Uniform(16))
    else:
        plain, made_up = prune_two_of_four(weight), prune_two_of_four(weight, product.clone())
        for pruned in (plain, made_up):
            assert ((pruned.unflatten(1, (-1, 4)) != 0).sum(-1) <= 2).all()
    errors = [(x @ (rounded - weight).T).norm() for rounded in (plain, made_up)]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("variant", ["llama", "llama-biased", "mistral-window", "qwen3-tied"])
def test_layers_one_by_one_say_what_transformers_says(
    oracle: Any, variant: str, texts: list[Tensor]
) -> None:
    import transformers

    case = oracle(variant)
    model, weights = load_unquantized(case.directory)
    scores = LayerRunner(model, weights).evaluate(texts)
    reference = transformers.AutoModelForCausalLM.from_pretrained(case.directory)
    with torch.no_grad():
        logits = [reference(text[None]).logits[0] for text in texts]
    expected = torch.cat([one[:-1].argmax(-1) for one in logits])
    loss = torch.cat(
        [
            torch.nn.functional.cross_entropy(one[:-1], text[1:], reduction="none")
            for one, text in zip(logits, texts, strict=True)
        ]
    )
    assert torch.equal(scores.likeliest, expected)
    torch.testing.assert_close(-scores.logprobs, loss, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_transformers_says_the_same_with_what_is_written(
    name: str, oracle: Any, texts: list[Tensor], tmp_path: Path
) -> None:
    pytest.importorskip("compressed_tensors")
    import transformers

    directory = oracle("llama").directory
    form = writer(name, {48, 80})
    quantize(directory, tmp_path, form=form, calibration=[], evaluation=texts)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        expected = Scores.together([Scores.of(theirs(t[None]).logits[0], t) for t in texts])
    scores = engine_scores(LLM(tmp_path, EngineConfig(num_threads=1)), texts)
    torch.testing.assert_close(scores.logprobs, expected.logprobs, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_loads_and_says_what_was_judged(
    name: str, oracle: Any, texts: list[Tensor], tmp_path: Path
) -> None:
    case = oracle("qwen3-tied")
    form = writer(name, {48, 80})
    before, after = quantize(
        case.directory, tmp_path, form=form, calibration=texts, evaluation=texts
    )
    assert before.agreement is None
    assert after.agreement is not None
    assert after.agreement > (0.95 if name == "int8" else 0.3)
    llm = LLM(tmp_path, EngineConfig(num_threads=1, num_blocks=40))
    config, weights = llm.model, llm._runner.weights
    assert config.qk_norm
    unpacked = LLM(
        tmp_path, EngineConfig(num_blocks=4, enable_cpu_layout=False, backend="reference")
    )
    again = LayerRunner(config, unpacked._runner.weights).evaluate(texts)
    assert again.quality().perplexity == pytest.approx(after.perplexity, rel=1e-5)
    assert all(o.token_ids for o in llm.generate(case.prompts[:2], SamplingParams(**LONG)))
    assert weights.num_bytes > 0


def test_an_interrupted_job_goes_on_and_another_one_is_refused(
    oracle: Any, texts: list[Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, form = oracle("llama").directory, writer("gptq", {48, 80})
    whole = tmp_path / "whole"
    wanted = quantize(directory, whole, form=form, calibration=texts, evaluation=texts)
    partial = tmp_path / "partial"
    quantize(directory, partial, form=form, calibration=texts, evaluation=texts)
    kept = (partial / "layer-00000.safetensors").stat().st_mtime_ns
    for name in ("layer-00001.safetensors", "model.safetensors.index.json"):
        (partial / name).unlink()
    assert quantize(directory, partial, form=form, calibration=texts, evaluation=texts) == wanted
    assert (partial / "layer-00000.safetensors").stat().st_mtime_ns == kept
    for file in whole.iterdir():
        if file.name != "quantize.json":
            assert file.read_bytes() == (partial / file.name).read_bytes(), file.name
    with pytest.raises(ConfigError, match="holds layers of another job"):
        quantize(directory, partial, form=form, calibration=texts[:1], evaluation=texts)


def test_gptq_is_better_than_rounding_on_texts_that_it_did_not_see(
    oracle: Any, tmp_path: Path
) -> None:
    directory = oracle("llama").directory
    read, unseen = (own_texts(directory, length=40, count=12, seed=seed) for seed in (0, 99))
    assert not torch.equal(read[0], unseen[0])
    results = {}
    for name in ("int4", "gptq"):
        form = writer(name, {48, 80})
        _, after = quantize(
            directory, tmp_path / name, form=form, calibration=read, evaluation=unseen
        )
        results[name] = after.agreement
    assert results["gptq"] > results["int4"]


def test_the_command_prints_quality_and_refuses_by_name(
    text_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat and so on. " * 20)
    out = tmp_path / "out"
    options = ["--calibrate", str(text), "--evaluate", str(text), "--length", "32"]
    assert quantize_main([str(text_directory), str(out), "--format", "gptq", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("before  perplexity ")
    assert "top-1 agreement" in lines[1]
    again = [str(out), str(tmp_path / "twice"), "--format", "int8", *options]
    assert quantize_main(again) == 2
    assert "is quantized; give the checkpoint it was made from" in capsys.readouterr().err
    for arguments, message in (
        (["--format", "int8", "--group", "32"], "format 'int8' has no group size"),
        (["--format", "gptq", "--group", "12"], "groups of 12 inputs do not fit rows of"),
        (["--format", "int8", "--length", "1"], "--length 1"),
    ):
        assert quantize_main([str(text_directory), str(tmp_path / "x"), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_an_engine_is_judged_with_its_own_cache_and_products(
    oracle: Any, texts: list[Tensor]
) -> None:
    directory = oracle("llama").directory
    expected = LayerRunner(*load_unquantized(directory)).evaluate(texts)
    for setting, bound in (({}, 1e-3), ({"kv_dtype": "int8"}, 0.5)):
        llm = LLM(directory, EngineConfig(block_size=4, num_threads=1, **setting))
        scores = engine_scores(llm, texts)
        differs = float((scores.logprobs - expected.logprobs).abs().max())
        assert differs < bound
        assert (differs > 1e-3) == bool(setting), "the cache is read in its own dtype"


def test_a_head_that_nothing_reads_is_worth_nothing(oracle: Any, texts: list[Tensor]) -> None:
    model, weights = load_unquantized(oracle("llama").directory)
    weights.layers[1] = without_heads(weights.layers[1], [4], model.head_dim)
    sensitivities = head_sensitivities(LayerRunner(model, weights), texts)
    assert sensitivities.shape == (2, 6)
    assert sensitivities[1, 4] == 0
    assert sensitivities.abs().max() > 0.01
    kept = heads_to_keep(sensitivities, model, remove=1)
    assert kept.shape == (2, 4)
    assert (kept.diff(dim=1) > 0).all()
    with pytest.raises(ConfigError, match="cannot remove 3 of the 3 query heads"):
        heads_to_keep(sensitivities, model, remove=3)


@pytest.mark.parametrize("variant", ["llama-biased", "qwen2"])
def test_fewer_heads_are_a_smaller_checkpoint_that_says_the_same_as_silent_ones(
    oracle: Any, variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import transformers

    directory = oracle(variant).directory
    options = ["--texts", "2", "--length", "16"]
    assert prune_main([str(directory), "heads", str(tmp_path), "--remove", "1", *options]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in printed[2:8]] == [
        "0%", "5%", "10%", "20%", "30%", "50%",
    ]  # fmt: skip
    assert printed[8].startswith("with 4 of 6 heads: perplexity")
    assert json.loads((tmp_path / "config.json").read_text())["num_attention_heads"] == 4
    prompt = list(range(20))
    pruned = LLM(tmp_path, EngineConfig(num_threads=1))
    ours = pruned.generate([prompt], SamplingParams(**LONG))[0].token_ids
    ids = torch.tensor([prompt])
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False
    )
    assert ours == theirs[0, 20:].tolist()
    # The same heads silent in the whole model.
    model, weights = load_unquantized(directory)
    calibration = own_texts(directory, length=16, count=2, seed=0)
    kept = heads_to_keep(
        head_sensitivities(LayerRunner(model, weights), calibration), model, remove=1
    )
    for index, layer in enumerate(weights.layers):
        silent = sorted(set(range(6)) - set(kept[index].tolist()))
        weights.layers[index] = without_heads(layer, silent, model.head_dim)
    smaller, fewer = load_unquantized(tmp_path)
    texts = [torch.arange(30)]
    torch.testing.assert_close(
        LayerRunner(smaller, fewer).evaluate(texts).logprobs,
        LayerRunner(model, weights).evaluate(texts).logprobs,
        rtol=1e-4,
        atol=1e-4,
    )


def test_two_of_four_is_written_and_relu_is_only_tried(
    oracle: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = oracle("llama").directory
    options = ["--texts", "24", "--length", "64"]
    assert prune_main([str(directory), "2:4", str(tmp_path), *options]) == 0
    agreements = [
        float(line.split()[-1].rstrip("%")) for line in capsys.readouterr().out.splitlines()
    ]
    assert agreements[0] == 100
    assert agreements[1] < agreements[2] < 100, "error compensation beats keeping the largest"
    _, weights = load_unquantized(tmp_path)
    for layer in weights.layers:
        assert isinstance(layer.down, Tensor)
        assert ((layer.down.unflatten(1, (-1, 4)) != 0).sum(-1) <= 2).all()
    assert prune_main([str(directory), "relu", *options]) == 0
    silu, relu = capsys.readouterr().out.splitlines()
    assert silu.endswith("top-1 agreement 100.0%")
    assert "of the activations are 0" in relu
    assert prune_main([str(directory), "relu", str(tmp_path), *options]) == 2
    assert "writes nothing" in capsys.readouterr().err
    model, whole = load_unquantized(directory)
    _, zeros = relu_experiment(model, whole, [torch.arange(30)])
    assert 0.3 < zeros < 0.7, "random gates are below 0 half of the time"
