"""What the suites of one model have in common: engine settings and lengths that fit it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from tracker.load.lengths import Production

__all__ = [
    "CHAT_OUTPUT",
    "CHAT_PROMPT",
    "SMOL_ENGINE",
    "TINY_CHAT_OUTPUT",
    "TINY_CHAT_PROMPT",
    "TINY_ENGINE",
]

# A context of 1,024 keeps the KV cache of the tiny preset small beside the process itself.
TINY_ENGINE: MappingProxyType[str, Any] = MappingProxyType({"max_model_len": 1024})

# A cache of a full context for 64 sequences would be twice the size of SmolLM2's weights.
SMOL_ENGINE: MappingProxyType[str, Any] = MappingProxyType(
    {"max_model_len": 512, "max_num_seqs": 8}
)

TINY_CHAT_PROMPT = Production("azure_conv_prompt", scale=1 / 16, least=4, most=256)
TINY_CHAT_OUTPUT = Production("azure_conv_output", scale=1 / 8, least=2, most=64)

CHAT_PROMPT = Production("azure_conv_prompt", most=4096)
CHAT_OUTPUT = Production("azure_conv_output", most=512)
