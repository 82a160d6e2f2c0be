"""Named models with dummy weights, for machines and suites without a checkpoint.

The shapes are those of the published models, so speed is theirs; the tokens mean nothing. Presets
have no end-of-sequence token: every output runs to ``max_tokens``.

Source: the ``config.json`` of each model on the Hugging Face hub.
"""

from __future__ import annotations

from inference.architecture import ModelConfig, RopeConfig
from inference.errors import ConfigError, did_you_mean

__all__ = ["PRESETS", "preset"]

PRESETS = ("llama-3.1-8b", "qwen3-0.6b", "qwen3-32b", "qwen3-8b", "tiny")


def preset(name: str) -> ModelConfig:
    """Return the description of a preset.

    Raises:
        ConfigError: No preset of that name.
    """
    if name == "tiny":
        return _qwen3(name, 64, 128, 2, heads=4, kv_heads=2, head_dim=16, vocab=512, context=4096)
    if name == "qwen3-0.6b":
        return _qwen3(name, 1024, 3072, 28, heads=16, kv_heads=8, tied=True)
    if name == "qwen3-8b":
        return _qwen3(name, 4096, 12288, 36, heads=32, kv_heads=8)
    if name == "qwen3-32b":
        return _qwen3(name, 5120, 25600, 64, heads=64, kv_heads=8)
    if name == "llama-3.1-8b":
        return ModelConfig(
            name=name,
            family="llama",
            vocab_size=128256,
            hidden_size=4096,
            intermediate_size=14336,
            num_layers=32,
            num_heads=32,
            num_kv_heads=8,
            head_dim=128,
            max_position=131072,
            rms_norm_eps=1e-5,
            rope=RopeConfig(theta=500_000.0, kind="llama3", factor=8.0),
            sliding_windows=(None,) * 32,
            dtype="bfloat16",
        )
    raise ConfigError(f"no preset or checkpoint {name!r}{did_you_mean(name, PRESETS)}")


def _qwen3(
    name: str,
    hidden: int,
    intermediate: int,
    layers: int,
    *,
    heads: int,
    kv_heads: int,
    head_dim: int = 128,
    vocab: int = 151936,
    context: int = 40960,
    tied: bool = False,
) -> ModelConfig:
    return ModelConfig(
        name=name,
        family="qwen3",
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        max_position=context,
        rms_norm_eps=1e-6,
        rope=RopeConfig(theta=1_000_000.0),
        sliding_windows=(None,) * layers,
        tie_embeddings=tied,
        qk_norm=True,
        dtype="bfloat16",
    )
