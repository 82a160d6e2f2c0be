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
        CheckpointError: No such file, not a GGUF file, or the gguf package is missing.
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

    # transformers 5.23 leaves this key unread and takes the family's default instead.
    head_dim = _field(GGUFReader(path), "attention.key_length")
    if head_dim:
        config.head_dim = head_dim
    return config


def gguf_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor, dequantized to float32, under its Hugging Face name.

    Raises:
        CheckpointError: A tensor has no counterpart in a Llama-family checkpoint.
    """
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(path)
    heads = _field(reader, "attention.head_count")
    kv_heads = _field(reader, "attention.head_count_kv") or heads
    interleaved = _architecture(reader) == "llama"
    for tensor in reader.tensors:
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


def _field(reader: Any, key: str) -> int:
    field = reader.fields.get(f"{_architecture(reader)}.{key}")
    return 0 if field is None else int(field.contents())


def _hub_name(name: str, path: Path) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in _TOP:
        return f"{_TOP[stem]}.{kind}"
    block, _, part = stem.partition(".")
    number, _, part = part.partition(".")
    if block == "blk" and part in _LAYER:
        return f"model.layers.{number}.{_LAYER[part]}.{kind}"
    # rope_freqs lands here on purpose: it holds a scaling that the header does not tell.
    raise CheckpointError(f"{path}: tensor {name!r} is not supported")


def _split_halves(rows: Tensor, heads: int) -> Tensor:
    """Undo the reordering of rows that GGUF's ``llama`` uses for rotary pairs side by side."""
    dim = rows.shape[0] // heads
    return rows.view(heads, dim // 2, 2, -1).transpose(1, 2).reshape(rows.shape)
