"""The sizes of dense decoders of the Llama family: a small table, or anyone's ``config.json``.

Source of the table: the ``config.json`` of each model on the Hugging Face hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.errors import UsageError, did_you_mean

__all__ = ["KNOWN", "ModelSize", "find_model", "from_config"]

_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_KV_HEADS = {"mistral": 8, "qwen2": 32, "qwen3": 32}  # where config.json leaves them out


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What the cost of a decoder depends on.

    Attributes:
        tied: The vocabulary's matrix is the embedding itself.
    """

    name: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool = False

    @property
    def body_weights(self) -> int:
        """Weights of the layers' matrices."""
        attention = (2 * self.heads + 2 * self.kv_heads) * self.head_dim
        return self.layers * self.hidden * (attention + 3 * self.intermediate)

    @property
    def vocab_weights(self) -> int:
        """Weights of the vocabulary's matrix."""
        return self.vocab * self.hidden

    @property
    def kv_values(self) -> int:
        """Cached values of one token, all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim


def _qwen3(
    name: str, hidden: int, intermediate: int, layers: int, heads: int, *, tied: bool = False
) -> ModelSize:
    return ModelSize(name, hidden, intermediate, layers, heads, 8, 128, 151936, tied)


KNOWN = {
    model.name: model
    for model in (
        ModelSize("smollm2-135m", 576, 1536, 30, 9, 3, 64, 49152, tied=True),
        _qwen3("qwen3-0.6b", 1024, 3072, 28, 16, tied=True),
        ModelSize("llama-3.2-1b", 2048, 8192, 16, 32, 8, 64, 128256, tied=True),
        _qwen3("qwen3-1.7b", 2048, 6144, 28, 16, tied=True),
        _qwen3("qwen3-4b", 2560, 9728, 36, 32, tied=True),
        ModelSize("mistral-7b", 4096, 14336, 32, 32, 8, 128, 32768),
        ModelSize("llama-3.1-8b", 4096, 14336, 32, 32, 8, 128, 128256),
        _qwen3("qwen3-8b", 4096, 12288, 36, 32),
        _qwen3("qwen3-14b", 5120, 17408, 40, 40),
        _qwen3("qwen3-32b", 5120, 25600, 64, 64),
        ModelSize("llama-3.1-70b", 8192, 28672, 80, 64, 8, 128, 128256),
    )
}


def find_model(name: str) -> ModelSize:
    """Return a known model, or the model of a ``config.json`` or of the directory that holds one.

    Raises:
        UsageError: Neither; with the nearest known name.
    """
    known = KNOWN.get(name.lower())
    if known is not None:
        return known
    path = Path(name)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        mend = did_you_mean(name.lower(), KNOWN)
        raise UsageError(f"no model {name!r}; {mend} A path of a config.json is taken, too")
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: not readable as JSON ({error})") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{file}: not a model's config.json")
    return from_config(raw, name=file.absolute().parent.name, where=str(file))


def from_config(raw: Mapping[str, Any], *, name: str, where: str) -> ModelSize:
    """Return the size that a parsed ``config.json`` states.

    Args:
        raw: The file.
        name: What to call the model.
        where: The file's name, for errors.

    Raises:
        UsageError: Another architecture than a dense decoder of the family, or a key is missing.
    """
    family = raw.get("model_type")
    if family not in _FAMILIES:
        raise UsageError(
            f"{where}: architecture {family!r} is not modelled; {did_you_mean(str(family), _FAMILIES)}"
        )

    def size(key: str, default: int | None = None) -> int:
        value = raw.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{where}: {key} is {value!r}, not a whole number above 0")
        return value

    hidden, heads = size("hidden_size"), size("num_attention_heads")
    return ModelSize(
        name=name,
        hidden=hidden,
        intermediate=size("intermediate_size"),
        layers=size("num_hidden_layers"),
        heads=heads,
        kv_heads=size("num_key_value_heads", _KV_HEADS.get(family, heads)),
        head_dim=size("head_dim", 128 if family == "qwen3" else hidden // heads),
        vocab=size("vocab_size"),
        tied=bool(raw.get("tie_word_embeddings", False)),
    )
