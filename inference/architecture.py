"""The description of a model of the Llama family, read from a Hugging Face config.

Llama, Mistral, Qwen2 and Qwen3 are one decoder under four flags: biases on q/k/v, RMSNorm on each
head's query and key, tied embeddings, and a sliding window on some layers. Anything else raises:
a config key that changes the arithmetic is never ignored.

``config.json`` is read as it lies on disk, in both dialects: ``rope_parameters`` (transformers 5)
and ``rope_theta`` with ``rope_scaling`` (before).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference.errors import CheckpointError, did_you_mean

__all__ = ["ModelConfig", "RopeConfig"]

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_DEFAULT_THETA = 10_000.0
# What transformers takes where a config.json leaves the key out; an explicit null is not absent.
_DEFAULT_WINDOW = 4096
_DEFAULT_KV_HEADS = {"mistral": 8, "qwen2": 32, "qwen3": 32}


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding; each field is read by the kinds named beside it.

    Attributes:
        theta: Base of the wavelengths (all kinds).
        kind: ``"default"``, ``"linear"``, ``"llama3"``, ``"yarn"`` or ``"longrope"``.
        factor: How far the context is stretched (linear, llama3, yarn).
        low_freq_factor: llama3.
        high_freq_factor: llama3.
        original_max_position: Context before it was stretched (llama3, yarn, longrope).
        attention_factor: What cosine and sine are multiplied by (yarn, longrope).
        beta_fast: Turns within the original context from which a channel is not stretched (yarn).
        beta_slow: Turns up to which it is stretched by the whole factor (yarn).
        truncate: Whether the channels between those two begin and end at whole ones (yarn).
        short_factors: Divisor of each frequency, ``head_dim / 2`` of them, for an engine whose
            sequences stay within the original context (longrope).
        long_factors: The same for longer ones (longrope).
    """

    theta: float = _DEFAULT_THETA
    kind: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position: int = 8192
    attention_factor: float = 1.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    short_factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Shapes and flags of one decoder.

    Attributes:
        sliding_windows: One entry per layer: positions a query sees, itself included, or None
            for all before it.
        eos_token_ids: Tokens that end an output.
        dtype: Name of the checkpoint's own dtype, or None.
    """

    name: str
    family: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_position: int
    rms_norm_eps: float
    rope: RopeConfig
    sliding_windows: tuple[int | None, ...]
    tie_embeddings: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: bool = False
    eos_token_ids: tuple[int, ...] = ()
    dtype: str | None = None

    @classmethod
    def from_hf(cls, raw: Mapping[str, Any], *, name: str) -> ModelConfig:
        """Read a Hugging Face ``config.json``.

        Args:
            raw: The parsed file.
            name: What to call the model in messages and reports.

        Raises:
            CheckpointError: Unsupported architecture or feature, or a key is missing.
        """
        family = raw.get("model_type")
        if family not in FAMILIES:
            raise CheckpointError(
                f"{name}: architecture {family!r} is not supported"
                f"{did_you_mean(str(family), FAMILIES)}"
            )
        _refuse_unknown_arithmetic(raw, name)
        heads = _required(raw, "num_attention_heads", name)
        layers = _required(raw, "num_hidden_layers", name)
        hidden = _required(raw, "hidden_size", name)
        # Mistral ties nothing and Llama's attention_bias covers o_proj too; Qwen2 has its q/k/v
        # biases without saying so in the config.
        attention_bias = bool(raw.get("attention_bias", False)) and family in ("llama", "qwen3")
        head_dim = raw.get("head_dim") or (128 if family == "qwen3" else hidden // heads)
        rope = _rope(raw, name, head_dim=head_dim)
        context = _required(raw, "max_position_embeddings", name)
        if rope.kind == "yarn":
            # Published configs add the scaling and leave max_position_embeddings as it was.
            context = max(context, int(rope.factor * rope.original_max_position))
        return cls(
            name=name,
            family=family,
            vocab_size=_required(raw, "vocab_size", name),
            hidden_size=hidden,
            intermediate_size=_required(raw, "intermediate_size", name),
            num_layers=layers,
            num_heads=heads,
            num_kv_heads=raw.get("num_key_value_heads", _DEFAULT_KV_HEADS.get(family)) or heads,
            head_dim=head_dim,
            max_position=context,
            rms_norm_eps=raw.get("rms_norm_eps", 1e-6),
            rope=rope,
            sliding_windows=_sliding_windows(raw, family, layers),
            tie_embeddings=bool(raw.get("tie_word_embeddings", False)),
            qkv_bias=family == "qwen2" or attention_bias,
            output_bias=attention_bias,
            qk_norm=family == "qwen3",
            eos_token_ids=token_id_tuple(raw.get("eos_token_id")),
            dtype=raw.get("dtype") or raw.get("torch_dtype"),
        )

    @property
    def num_parameters(self) -> int:
        """Weights in all, a tied embedding counted once."""
        heads = (self.num_heads + 2 * self.num_kv_heads) * self.head_dim
        out = self.num_heads * self.head_dim
        layer = self.hidden_size * (heads + out + 3 * self.intermediate_size + 2)
        layer += heads * self.qkv_bias + self.hidden_size * self.output_bias
        layer += 2 * self.head_dim * self.qk_norm
        tables = 1 if self.tie_embeddings else 2
        return (
            self.num_layers * layer + tables * self.vocab_size * self.hidden_size + self.hidden_size
        )


def token_id_tuple(value: int | list[int] | None) -> tuple[int, ...]:
    """Return the token ids of a config key that may hold none, one or several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _required(raw: Mapping[str, Any], key: str, name: str) -> int:
    if raw.get(key) is None:
        raise CheckpointError(f"{name}: config.json has no {key!r}")
    return int(raw[key])


def _refuse_unknown_arithmetic(raw: Mapping[str, Any], name: str) -> None:
    if raw.get("hidden_act", "silu") != "silu":
        raise CheckpointError(f"{name}: hidden_act {raw['hidden_act']!r} is not supported (silu)")
    if raw.get("mlp_bias"):
        raise CheckpointError(f"{name}: mlp_bias is not supported")


_ROPE_NEEDS = {
    "default": (),
    "dynamic": (),
    "linear": ("factor",),
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
    "yarn": ("factor",),
    "longrope": ("short_factor", "long_factor"),
}


def _rope(raw: Mapping[str, Any], name: str, *, head_dim: int) -> RopeConfig:
    # transformers 5 puts everything under rope_parameters; older files put theta at the top and
    # the rest under rope_scaling, whose type key was once called "type".
    values = dict(raw.get("rope_scaling") or {}) | dict(raw.get("rope_parameters") or {})
    kind = values.get("rope_type") or values.get("type") or "default"
    theta = float(values.get("rope_theta") or raw.get("rope_theta") or _DEFAULT_THETA)
    if kind not in _ROPE_NEEDS:
        raise CheckpointError(
            f"{name}: rope type {kind!r} is not supported ({', '.join(_ROPE_NEEDS)})"
        )
    if values.get("partial_rotary_factor", raw.get("partial_rotary_factor", 1.0)) != 1.0:
        raise CheckpointError(f"{name}: partial_rotary_factor is not supported")
    for key in _ROPE_NEEDS[kind]:
        if key not in values:
            raise CheckpointError(f"{name}: rope type {kind!r} needs {key!r} in config.json")
    if kind in ("default", "dynamic"):
        # Dynamic scaling changes nothing before max_position_embeddings, and no sequence of this
        # engine is longer.
        return RopeConfig(theta=theta)
    context = _required(raw, "max_position_embeddings", name)
    original = int(
        raw.get("original_max_position_embeddings")
        or values.get("original_max_position_embeddings")
        or context
    )
    factor = values.get("factor")
    factor = context / original if factor is None else float(factor)
    short, long = (
        tuple(map(float, values.get(key) or ())) for key in ("short_factor", "long_factor")
    )
    if kind == "longrope":
        for key, factors in (("short_factor", short), ("long_factor", long)):
            if len(factors) != head_dim // 2:
                raise CheckpointError(
                    f"{name}: rope's {key} has {len(factors)} numbers; a head of {head_dim} "
                    f"channels needs {head_dim // 2}"
                )
    return RopeConfig(
        theta=theta,
        kind=kind,
        factor=factor,
        low_freq_factor=float(values.get("low_freq_factor") or 1.0),
        high_freq_factor=float(values.get("high_freq_factor") or 4.0),
        original_max_position=original,
        attention_factor=_attention_factor(kind, factor, original, values),
        beta_fast=float(values.get("beta_fast") or 32.0),
        beta_slow=float(values.get("beta_slow") or 1.0),
        truncate=bool(values.get("truncate", True)),
        short_factors=short,
        long_factors=long,
    )


def _attention_factor(kind: str, factor: float, original: int, values: Mapping[str, Any]) -> float:
    """Return what cosine and sine are multiplied by, as stated or as the kind's paper says."""
    if kind not in ("yarn", "longrope"):
        return 1.0
    if (stated := values.get("attention_factor")) is not None:
        return float(stated)
    if factor <= 1.0:
        return 1.0
    if kind == "longrope":
        return math.sqrt(1 + math.log(factor) / math.log(original))
    mscale, mscale_all = values.get("mscale"), values.get("mscale_all_dim")
    if mscale and mscale_all:
        return (0.1 * mscale * math.log(factor) + 1.0) / (0.1 * mscale_all * math.log(factor) + 1.0)
    return 0.1 * math.log(factor) + 1.0


def _sliding_windows(
    raw: Mapping[str, Any], family: str, num_layers: int
) -> tuple[int | None, ...]:
    window = raw.get("sliding_window", _DEFAULT_WINDOW)
    if family == "llama" or window is None:
        return (None,) * num_layers
    if family == "mistral":
        return (int(window),) * num_layers
    if not raw.get("use_sliding_window", False):
        return (None,) * num_layers
    kinds = raw.get("layer_types")
    if kinds is None:
        first = raw.get("max_window_layers", 28)
        return tuple(int(window) if i >= first else None for i in range(num_layers))
    return tuple(int(window) if kind == "sliding_attention" else None for kind in kinds)
