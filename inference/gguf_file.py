"""GGUF files of the Llama family, read tensor by tensor under their Hugging Face names.

The header's configuration and tokenizer are read by transformers; the tensors are dequantized by
the ``gguf`` package and streamed, so that no second copy of the model is ever in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference.errors import CheckpointError

__all__ = ["gguf_config", "gguf_tensors"]

_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_ROPE_DIVISORS = "rope_freqs.weight"
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def gguf_config(path: Path) -> Any:
    """Return the transformers configuration that a GGUF header describes.

    Raises:
        CheckpointError: No such file, not a GGUF file, a rope scaling that is not supported, or
            the gguf package is missing.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    except ImportError as error:
        raise CheckpointError(f"{path}: reading GGUF needs the gguf package ({error})") from error
    except (KeyError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a GGUF file that can be read ({error})") from error
    from gguf import GGUFReader

    # transformers 5.23 leaves these keys unread and takes the family's defaults instead.
    reader = GGUFReader(path)
    head_dim = _field(reader, "attention.key_length")
    if head_dim:
        config.head_dim = int(head_dim)
    config.rope_parameters = {**config.rope_parameters, **_rope_scaling(reader, path)}
    return config


def gguf_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor, dequantized to float32, under its Hugging Face name.

    Raises:
        CheckpointError: A tensor has no counterpart in a Llama-family checkpoint.
    """
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(path)
    heads = int(_field(reader, "attention.head_count") or 0)
    kv_heads = int(_field(reader, "attention.head_count_kv") or heads)
    interleaved = _architecture(reader) == "llama"
    for tensor in reader.tensors:
        if tensor.name == _ROPE_DIVISORS:
            continue  # a part of the configuration
        name = _hub_name(tensor.name, path)
        # Copied: the reader hands out views of a read-only file mapping.
        data = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        if interleaved and "self_attn.q_proj" in name:
            data = _split_halves(data, heads)
        elif interleaved and "self_attn.k_proj" in name:
            data = _split_halves(data, kv_heads)
        yield name, data


def _architecture(reader: Any) -> str:
    return str(reader.fields["general.architecture"].contents())


def _field(reader: Any, key: str) -> Any:
    """Return a key of the header, named without its architecture, or None."""
    field = reader.fields.get(f"{_architecture(reader)}.{key}")
    return None if field is None else field.contents()


def _rope_scaling(reader: Any, path: Path) -> dict[str, Any]:
    """Return the scaling of the rotary embedding as keys of a Hugging Face ``rope_parameters``."""
    # As llama.cpp reads it: a factor without a type is linear, and 0 is none.
    kind = _field(reader, "rope.scaling.type") or "linear"
    if kind not in ("none", "linear", "yarn"):
        raise CheckpointError(
            f"{path}: rope scaling {kind!r} is not supported (none, linear, yarn); give a file "
            "without it"
        )
    factor = float(
        _field(reader, "rope.scaling.factor") or _field(reader, "rope.scale_linear") or 1.0
    )
    scaled = kind != "none" and factor != 1.0
    divisors = next((t.data for t in reader.tensors if t.name == _ROPE_DIVISORS), None)
    if divisors is not None:
        # Llama 3's scaling, already worked out: what each frequency is divided by.
        if scaled:
            raise CheckpointError(f"{path}: both {_ROPE_DIVISORS} and rope scaling {kind!r}")
        factors = [float(value) for value in divisors]
        return {
            "rope_type": "longrope",
            "short_factor": factors,
            "long_factor": factors,
            "attention_factor": 1.0,
            "original_max_position_embeddings": int(_field(reader, "context_length")),
        }
    if not scaled:
        return {}
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor}
    original = _field(reader, "rope.scaling.original_context_length")
    if not original:
        raise CheckpointError(
            f"{path}: rope scaling 'yarn' without rope.scaling.original_context_length"
        )
    return {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": int(original),
    }


def _hub_name(name: str, path: Path) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in _TOP:
        return f"{_TOP[stem]}.{kind}"
    block, _, part = stem.partition(".")
    number, _, part = part.partition(".")
    if block == "blk" and part in _LAYER:
        return f"model.layers.{number}.{_LAYER[part]}.{kind}"
    raise CheckpointError(f"{path}: tensor {name!r} is not supported")


def _split_halves(rows: Tensor, heads: int) -> Tensor:
    """Undo the reordering of rows that GGUF's ``llama`` uses for rotary pairs side by side."""
    dim = rows.shape[0] // heads
    return rows.view(heads, dim // 2, 2, -1).transpose(1, 2).reshape(rows.shape)
