"""Quantized checkpoints of other tools, made here number by number from the description of each format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor

from inference import LLM, CheckpointError, EngineConfig, SamplingParams
from inference.ops.cpu.compilation import load
from inference.ops.cpu.packed_matrix import PackedInt4
from inference.ops.nf4_matrix import LEVELS
from tests.inference.conftest import NUM_OUTPUT, build_hub_model, prompts_of

GROUP = 16
Parts = dict[str, Any]
Packer = Callable[[np.ndarray, np.random.Generator], tuple[Parts, np.ndarray]]


def words(values: Any, bits: int) -> list[int]:
    """Return unsigned values as signed 32-bit words, the first value in the lowest bits."""
    count = 32 // bits
    result = []
    for at in range(0, len(values), count):
        word = sum(int(value) << bits * i for i, value in enumerate(values[at : at + count]))
        result.append(word - 2**32 if word >= 2**31 else word)
    return result


def table(rows: list[list[int]], dtype: type = np.int32) -> np.ndarray:
    return np.array(rows, dtype=dtype)


def rounded(
    weight: np.ndarray, rng: np.random.Generator, bits: int, group_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, zero points and scales of a weight, each ``[out, in]``."""
    out, width = weight.shape
    values, zeros, scales = (np.zeros((out, width), t) for t in (int, int, np.float16))
    for row in range(out):
        for group in set(group_of):
            inside = group_of == group
            # A few below the middle and a few above it, 0 and the largest among them.
            zero = int(
                rng.choice([0, 2**bits // 2, 2**bits // 2 + 1, 2**bits - 1], p=[0.1, 0.4, 0.4, 0.1])
            )
            scale = np.float16(np.abs(weight[row, inside]).max() / (2 ** (bits - 1)))
            values[row, inside] = np.clip(
                np.rint(weight[row, inside] / scale) + zero, 0, 2**bits - 1
            )
            zeros[row, inside], scales[row, inside] = zero, scale
    return values, zeros, scales


def gptq(*, bits: int = 4, offset: int = 1, act_order: bool = False) -> Packer:
    def pack(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
        out, width = weight.shape
        group_of = np.arange(width) // GROUP
        if act_order:
            rng.shuffle(group_of)
        values, zeros, scales = rounded(weight, rng, bits, group_of)
        first = [list(group_of).index(group) for group in range(width // GROUP)]
        stored = (zeros[:, first] - offset) % 2**bits  # the first version stores them less one
        parts = {
            "qweight": table([words(values[o], bits) for o in range(out)]).T,
            "qzeros": table([words(stored[:, g], bits) for g in range(len(first))]),
            "scales": scales[:, first].T,
            "g_idx": group_of.astype(np.int32),
        }
        return parts, (values - zeros) * scales.astype(np.float32)

    return pack


def awq(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
    width = weight.shape[1]
    values, zeros, scales = rounded(weight, rng, 4, np.arange(width) // GROUP)

    def interleaved(column: np.ndarray) -> list[int]:
        eights = column.reshape(-1, 8)[:, [0, 2, 4, 6, 1, 3, 5, 7]]
        return words(eights.flatten(), 4)

    parts = {
        "qweight": table([interleaved(values[:, i]) for i in range(width)]),
        "qzeros": table([interleaved(zeros[:, i]) for i in range(0, width, GROUP)]),
        "scales": scales[:, ::GROUP].T,
    }
    return parts, (values - zeros) * scales.astype(np.float32)


def pack_quantized(*, bits: int, symmetric: bool, channel: bool) -> Packer:
    def pack(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
        out, width = weight.shape
        group = width if channel else GROUP
        values, zeros, scales = rounded(weight, rng, bits, np.arange(width) // group)
        if symmetric:
            values, zeros = (
                np.clip(values - zeros + 2 ** (bits - 1), 0, 2**bits - 1),
                np.full_like(zeros, 2 ** (bits - 1)),
            )
        parts = {
            "weight_packed": table([words(values[o], bits) for o in range(out)]),
            "weight_scale": scales[:, ::group],
            "weight_shape": np.array([out, width]),
        }
        if not symmetric:
            columns = [words(zeros[:, g], bits) for g in range(0, width, group)]
            parts["weight_zero_point"] = table(columns).T
        return parts, (values - zeros) * scales.astype(np.float32)

    return pack


def int_quantized(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
    scales = (np.abs(weight).max(1, keepdims=True) / 127.5).astype(np.float32)
    values = np.clip(np.rint(weight / scales), -128, 127).astype(np.int8)
    return {"weight": values, "weight_scale": scales}, values * scales


def float8(kind: str) -> Packer:
    def pack(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
        out, width = weight.shape
        name, block = (
            ("weight_scale_inv", (32, 32)) if kind == "block" else ("weight_scale", (1, width))
        )
        rows, columns = (out, width) if kind == "tensor" else block
        scales = np.zeros((-(-out // rows), -(-width // columns)), np.float32)
        values, widened = torch.zeros(out, width).to(torch.float8_e4m3fn), np.zeros_like(weight)
        for i in range(scales.shape[0]):
            for j in range(scales.shape[1]):
                at = slice(i * rows, (i + 1) * rows), slice(j * columns, (j + 1) * columns)
                scales[i, j] = np.abs(weight[at]).max() / 448
                values[at] = torch.from_numpy(weight[at] / scales[i, j]).to(torch.float8_e4m3fn)
                widened[at] = values[at].float().numpy() * scales[i, j]
        stored = scales.reshape(1) if kind == "tensor" else scales
        return {"weight": values, name: stored}, widened

    return pack


def nf4(*, double: bool) -> Packer:
    def pack(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
        levels, flat = LEVELS.numpy(), weight.flatten()
        blocks = [flat[at : at + 64] for at in range(0, len(flat), 64)]
        largest = np.array([np.abs(block).max() for block in blocks], np.float32)
        state: dict[str, Any] = {"quant_type": "nf4", "blocksize": 64, "shape": list(weight.shape)}
        parts: Parts = {"weight.absmax": largest, "weight.quant_map": levels.copy()}
        if double:
            codes = np.linspace(-1, 1, 256, dtype=np.float32)
            offset = float(largest.mean())
            each = np.array(
                [np.abs(largest[at : at + 4] - offset).max() for at in range(0, len(largest), 4)],
                np.float32,
            )
            stored = [
                int(np.abs(codes - (v - offset) / each[i // 4]).argmin())
                for i, v in enumerate(largest)
            ]
            largest = np.array(
                [codes[code] * each[i // 4] + offset for i, code in enumerate(stored)], np.float32
            )
            state |= {"nested_blocksize": 4, "nested_offset": offset}
            parts |= {
                "weight.absmax": np.array(stored, np.uint8),
                "weight.nested_absmax": each,
                "weight.nested_quant_map": codes,
            }
        values, widened = [], []
        for block, scale in zip(blocks, largest, strict=True):
            nearest = [int(np.abs(levels - value / scale).argmin()) for value in block]
            values += nearest
            widened += [levels[value] * scale for value in nearest]
        packed = [high << 4 | low for high, low in zip(values[::2], values[1::2], strict=True)]
        parts["weight"] = np.array(packed, np.uint8)[:, None]
        parts["weight.quant_state.bitsandbytes__nf4"] = np.frombuffer(
            json.dumps(state).encode(), np.uint8
        ).copy()
        return parts, np.array(widened, np.float32).reshape(weight.shape)

    return pack


def compressed(kind: str, **weights: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int", **weights}}
    return {
        "quant_method": "compressed-tensors",
        "format": kind,
        "config_groups": {"group_0": group},
    }


def gptq_config(**more: Any) -> dict[str, Any]:
    return {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, **more}


AWQ_CONFIG = {
    "quant_method": "awq",
    "bits": 4,
    "group_size": GROUP,
    "version": "gemm",
    "zero_point": True,
}
NF4_CONFIG = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
FORMATS: dict[str, tuple[Packer, dict[str, Any]]] = {
    "gptq": (gptq(), gptq_config()),
    "gptq-v2": (gptq(offset=0), gptq_config(checkpoint_format="gptq_v2")),
    "gptq-act-order": (gptq(act_order=True), gptq_config(desc_act=True)),
    "gptq-8": (gptq(bits=8), gptq_config(bits=8)),
    "awq": (awq, AWQ_CONFIG),
    "packed-4": (
        pack_quantized(bits=4, symmetric=False, channel=False),
        compressed("pack-quantized", num_bits=4, strategy="group", group_size=GROUP, symmetric=False),
    ),
    "packed-8": (
        pack_quantized(bits=8, symmetric=True, channel=True),
        compressed("pack-quantized", strategy="channel"),
    ),
    "int-8": (int_quantized, compressed("int-quantized", strategy="channel")),
    "float-8": (float8("channel"), compressed("float-quantized", type="float", strategy="channel")),
    "float-8-tensor": (float8("tensor"), compressed("float-quantized", type="float", strategy="tensor")),
    "float-8-block": (float8("block"), {"quant_method": "fp8", "weight_block_size": [32, 32]}),
    "nf4": (nf4(double=False), NF4_CONFIG),
    "nf4-double": (nf4(double=True), NF4_CONFIG),
}  # fmt: skip


def write(directory: Path, packer: Packer, config: dict[str, Any], model: Any = None) -> Any:
    """Write a small Llama quantized and return transformers' model of the same, widened, weights."""
    model = model or build_hub_model("llama")
    rng = np.random.default_rng(3)
    tensors: dict[str, Tensor] = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("proj.weight"):
                tensors[name] = parameter
                continue
            parts, widened = packer(parameter.numpy(), rng)
            parameter.copy_(torch.from_numpy(widened))
            for part, value in parts.items():
                tensor = (
                    value
                    if isinstance(value, Tensor)
                    else torch.from_numpy(np.ascontiguousarray(value))
                )
                tensors[name.removesuffix("weight") + part] = tensor
    model.config.save_pretrained(directory)
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": config}))
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        directory / "model.safetensors",
    )
    return model


@pytest.mark.parametrize("name", FORMATS)
def test_a_checkpoint_of_each_format_gives_the_tokens_of_its_widened_weights(
    name: str, tmp_path: Path
) -> None:
    model = write(tmp_path, *FORMATS[name])
    llm = LLM(tmp_path, EngineConfig(num_threads=1))
    for layer, ours in zip(model.model.layers, llm._runner.weights.layers, strict=True):
        identity = torch.eye(ours.down.shape[1])
        torch.testing.assert_close(
            torch.as_tensor(_widened(ours.down, identity)),
            layer.mlp.down_proj.weight,
            rtol=1e-5,
            atol=1e-6,
        )
    prompts = prompts_of()[4:8]
    outputs = llm.generate(prompts, SamplingParams(max_tokens=NUM_OUTPUT))
    for prompt, output in zip(prompts, outputs, strict=True):
        ids = torch.tensor([prompt])
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=NUM_OUTPUT, do_sample=False
        )
        assert output.token_ids == expected[0, len(prompt) :].tolist()


def _widened(matrix: Any, identity: Tensor) -> Tensor:
    return matrix if isinstance(matrix, Tensor) else matrix.multiply(identity).T


@pytest.mark.parametrize("name", ["gptq", "awq", "packed-4"])
def test_int4_holds_the_values_of_a_checkpoint_in_4_bits(name: str, tmp_path: Path) -> None:
    # Rows that int4 fits by itself, for the vocabulary's matrix.
    shape = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "vocab_size": 160,
    }
    config = transformers.LlamaConfig(**shape, num_hidden_layers=2, initializer_range=0.4)
    model = write(tmp_path, *FORMATS[name], transformers.LlamaForCausalLM(config))
    llm = LLM(tmp_path, EngineConfig(num_threads=1, quantization="int4", backend="compiled"))
    for layer, ours in zip(model.model.layers, llm._runner.weights.layers, strict=True):
        assert type(ours.gate_up) is PackedInt4
        rows = torch.cat((layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight)).detach()
        held, fitted = (
            (_widened(matrix, torch.eye(64)) - rows).norm()
            for matrix in (ours.gate_up, PackedInt4(load(), rows))
        )
        # bfloat16 moves a value by a few hundredths of its step, rounding again by up to a half.
        assert held < 0.2 * fitted


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"quant_method": "gptq_marlin"}, "quantization 'gptq_marlin' is not supported; known: awq"),
        (gptq_config(bits=3), "gptq with bits=3"),
        (gptq_config(group_size=0), "gptq with group_size=0"),
        (gptq_config(group_size=32), "down_proj: GPTQ: .* do not fit the group size"),
        (gptq_config(checkpoint_format="marlin"), "checkpoint_format='marlin'"),
        (gptq_config(dynamic={"+:x": {"bits": 8}}), "dynamic"),
        (AWQ_CONFIG | {"version": "gemv"}, "awq with version='gemv'"),
        (AWQ_CONFIG | {"bits": 8}, "awq with bits=8"),
        (NF4_CONFIG | {"bnb_4bit_quant_type": "fp4"}, "bnb_4bit_quant_type='fp4'"),
        (NF4_CONFIG | {"load_in_8bit": True}, "load_in_8bit=True"),
        (compressed("nvfp4-pack-quantized"), "format='nvfp4-pack-quantized'"),
        (compressed("pack-quantized", num_bits=2), "num_bits=2"),
        (compressed("pack-quantized") | {"kv_cache_scheme": {"num_bits": 8}}, "kv_cache_scheme"),
        (compressed("pack-quantized"), "no place in a llama decoder"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    pack, valid = gptq(), gptq_config()
    write(tmp_path, _without_group_index(pack), valid)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": config}))
    with pytest.raises(CheckpointError, match=message):
        LLM(tmp_path, EngineConfig(num_blocks=4))


def test_a_missing_part_is_named_and_older_files_keep_their_config_apart(tmp_path: Path) -> None:
    write(tmp_path, _without_group_index(gptq()), gptq_config())
    path = tmp_path / "config.json"
    raw = json.loads(path.read_text())
    (tmp_path / "quantize_config.json").write_text(
        json.dumps(raw.pop("quantization_config") | {"quant_method": "gptq"})
    )
    path.write_text(json.dumps(raw))
    LLM(tmp_path, EngineConfig(num_blocks=4)).close()

    def pack(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
        parts, widened = gptq()(weight, rng)
        del parts["scales"]
        return parts, widened

    write(tmp_path, pack, gptq_config())
    with pytest.raises(CheckpointError, match=r"layers\.0.*_proj: GPTQ without scales"):
        LLM(tmp_path, EngineConfig(num_blocks=4))


def _without_group_index(packer: Packer) -> Packer:
    def pack(weight: np.ndarray, rng: np.random.Generator) -> tuple[Parts, np.ndarray]:
        parts, widened = packer(weight, rng)
        parts.pop("g_idx")
        return parts, widened

    return pack
