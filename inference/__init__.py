"""A small LLM inference engine whose every step can be counted.

::

    from inference import LLM, EngineConfig, SamplingParams

    llm = LLM("tiny", EngineConfig(max_num_seqs=8))
    out = llm.generate([[1, 2, 3]], SamplingParams(max_tokens=16))[0]
    out.token_ids, out.timing.ttft

Importing this package loads neither torch nor transformers; making an ``LLM`` loads torch.
"""

from __future__ import annotations

from inference.config import EngineConfig, SamplingParams
from inference.engine import LLM
from inference.errors import (
    BackendUnavailable,
    CacheTooSmall,
    CheckpointError,
    ConfigError,
    EngineClosed,
    InferenceError,
    PromptError,
    RankFailed,
    RequestFailed,
    RequestNotFound,
)
from inference.replicas import Replicas, open_engine
from inference.request import RequestOutput, Timing, TokenEvent, TokenLogprobs

__all__ = [
    "LLM",
    "BackendUnavailable",
    "CacheTooSmall",
    "CheckpointError",
    "ConfigError",
    "EngineClosed",
    "EngineConfig",
    "InferenceError",
    "PromptError",
    "RankFailed",
    "Replicas",
    "RequestFailed",
    "RequestNotFound",
    "RequestOutput",
    "SamplingParams",
    "Timing",
    "TokenEvent",
    "TokenLogprobs",
    "open_engine",
]
