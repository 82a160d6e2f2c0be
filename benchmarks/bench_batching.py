"""Batching: one queue of production lengths, served continuously, in buckets, and naively padded.

All requests are there from the start and each class runs the same ones, so that the classes differ
in how they are batched alone: what continuous batching is worth is the quotient of two throughputs.
"""

from __future__ import annotations

from typing import Any

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from benchmarks.engine.sizes import CHAT_OUTPUT, CHAT_PROMPT, TINY_CHAT_OUTPUT, TINY_CHAT_PROMPT
from tracker.load import utilization
from tracker.load.lengths import Production
from tracker.load.scenario import ClosedLoop, Independent, Model, Scenario

METRICS = (
    "throughput",
    "batching_efficiency",
    "padded_tokens",
    "attention_efficiency",
    "steps",
    "ttft_p50",
    "e2e_p50",
    "cpu_time_per_token",
    "error_rate",
    *utilization.NAMES,
)
ON_GPU = (*METRICS, *utilization.ON_GPU)

CONTINUOUS: dict[str, Any] = {}  # the default, so that commits without the other modes have it too
# The whole queue is there: nothing is gained by waiting, and steps do not depend on the clock.
BUCKETED = {"batching": "bucketed", "bucket_wait": 0.0}
SMALL_BUCKETED = {**BUCKETED, "bucket_edges": (16, 64, 256)}  # lengths scaled down
PADDED = {"batching": "padded", "enable_length_buckets": False}

CHAT = (CHAT_PROMPT, CHAT_OUTPUT)
CODE = (Production("azure_code_prompt"), Production("azure_code_output", most=512))
# A quarter: whole, a padded batch of its longest prompts would not fit a GPU's memory.
MOONCAKE = (
    Production("mooncake_prompt", scale=1 / 4, most=16384),
    Production("mooncake_output", most=1024),
)
TINY_CHAT = (TINY_CHAT_PROMPT, TINY_CHAT_OUTPUT)
TINY_CODE = (
    Production("azure_code_prompt", scale=1 / 16, least=4, most=480),
    Production("azure_code_output", scale=1 / 2, least=2, most=64),
)
TINY_MOONCAKE = (
    Production("mooncake_prompt", scale=1 / 128, least=4, most=768),
    Production("mooncake_output", scale=1 / 8, least=2, most=64),
)
SMOL_CHAT = (
    Production("azure_conv_prompt", scale=1 / 16, least=4, most=256),
    Production("azure_conv_output", scale=1 / 16, least=2, most=32),
)


def _queue(
    model: Model,
    lengths: tuple[Production, Production],
    requests: int,
    seats: int,
    max_model_len: int,
    mode: dict[str, Any],
    **engine: Any,
) -> Scenario:
    prompt, output = lengths
    return Scenario(
        version="1",
        model=model,
        workload=Independent(requests, prompt=prompt, output=output),
        load=ClosedLoop(concurrency=requests),
        engine={"max_num_seqs": seats, "max_model_len": max_model_len, **engine, **mode},
        warmup_output=4,
        limit=600.0,
    )


def _tiny(lengths: tuple[Production, Production], mode: dict[str, Any]) -> Scenario:
    return _queue(TINY, lengths, 64, 8, 1024, mode)


def _smol(mode: dict[str, Any]) -> Scenario:
    return _queue(SMOLLM2, SMOL_CHAT, 16, 8, 512, mode)


def _gpu(
    model: Model, lengths: tuple[Production, Production], mode: dict[str, Any], context: int
) -> Scenario:
    return _queue(model, lengths, 96, 16, context, mode, max_num_batched_tokens=8192)


@suite(_tiny(TINY_CHAT, CONTINUOUS), *METRICS)
class TinyChatContinuous:
    """The tiny preset, chat lengths, continuous batches."""


@suite(_tiny(TINY_CHAT, SMALL_BUCKETED), *METRICS)
class TinyChatBucketed:
    """The tiny preset, chat lengths, padded batches of one bucket."""


@suite(_tiny(TINY_CHAT, PADDED), *METRICS)
class TinyChatPadded:
    """The tiny preset, chat lengths, padded batches as they come."""


@suite(_tiny(TINY_CODE, CONTINUOUS), *METRICS)
class TinyCodeContinuous:
    """The tiny preset, code-completion lengths, continuous batches."""


@suite(_tiny(TINY_CODE, SMALL_BUCKETED), *METRICS)
class TinyCodeBucketed:
    """The tiny preset, code-completion lengths, padded batches of one bucket."""


@suite(_tiny(TINY_CODE, PADDED), *METRICS)
class TinyCodePadded:
    """The tiny preset, code-completion lengths, padded batches as they come."""


@suite(_tiny(TINY_MOONCAKE, CONTINUOUS), *METRICS)
class TinyMooncakeContinuous:
    """The tiny preset, long-context lengths, continuous batches."""


@suite(_tiny(TINY_MOONCAKE, SMALL_BUCKETED), *METRICS)
class TinyMooncakeBucketed:
    """The tiny preset, long-context lengths, padded batches of one bucket."""


@suite(_tiny(TINY_MOONCAKE, PADDED), *METRICS)
class TinyMooncakePadded:
    """The tiny preset, long-context lengths, padded batches as they come."""


@suite(_smol(CONTINUOUS), *METRICS)
class SmolChatContinuous:
    """SmolLM2-135M, chat lengths, continuous batches."""


@suite(_smol(SMALL_BUCKETED), *METRICS)
class SmolChatBucketed:
    """SmolLM2-135M, chat lengths, padded batches of one bucket."""


@suite(_smol(PADDED), *METRICS)
class SmolChatPadded:
    """SmolLM2-135M, chat lengths, padded batches as they come."""


@suite(_gpu(QWEN3_0_6B, CHAT, CONTINUOUS, 8192), *ON_GPU)
class Qwen06ChatContinuous:
    """Qwen3-0.6B's shape on a GPU, chat lengths, continuous batches."""


@suite(_gpu(QWEN3_0_6B, CHAT, BUCKETED, 8192), *ON_GPU)
class Qwen06ChatBucketed:
    """Qwen3-0.6B's shape on a GPU, chat lengths, padded batches of one bucket."""


@suite(_gpu(QWEN3_0_6B, CHAT, PADDED, 8192), *ON_GPU)
class Qwen06ChatPadded:
    """Qwen3-0.6B's shape on a GPU, chat lengths, padded batches as they come."""


@suite(_gpu(QWEN3_0_6B, CODE, CONTINUOUS, 8192), *ON_GPU)
class Qwen06CodeContinuous:
    """Qwen3-0.6B's shape on a GPU, code-completion lengths, continuous batches."""


@suite(_gpu(QWEN3_0_6B, CODE, BUCKETED, 8192), *ON_GPU)
class Qwen06CodeBucketed:
    """Qwen3-0.6B's shape on a GPU, code-completion lengths, padded batches of one bucket."""


@suite(_gpu(QWEN3_0_6B, CODE, PADDED, 8192), *ON_GPU)
class Qwen06CodePadded:
    """Qwen3-0.6B's shape on a GPU, code-completion lengths, padded batches as they come."""


@suite(_gpu(QWEN3_0_6B, MOONCAKE, CONTINUOUS, 20480), *ON_GPU)
class Qwen06MooncakeContinuous:
    """Qwen3-0.6B's shape on a GPU, long-context lengths, continuous batches."""


@suite(_gpu(QWEN3_0_6B, MOONCAKE, BUCKETED, 20480), *ON_GPU)
class Qwen06MooncakeBucketed:
    """Qwen3-0.6B's shape on a GPU, long-context lengths, padded batches of one bucket."""


@suite(_gpu(QWEN3_0_6B, MOONCAKE, PADDED, 20480), *ON_GPU)
class Qwen06MooncakePadded:
    """Qwen3-0.6B's shape on a GPU, long-context lengths, padded batches as they come."""


@suite(_gpu(QWEN3_8B, CHAT, CONTINUOUS, 8192), *ON_GPU)
class Qwen8ChatContinuous:
    """Qwen3-8B's shape on a GPU, chat lengths, continuous batches."""


@suite(_gpu(QWEN3_8B, CHAT, BUCKETED, 8192), *ON_GPU)
class Qwen8ChatBucketed:
    """Qwen3-8B's shape on a GPU, chat lengths, padded batches of one bucket."""


@suite(_gpu(QWEN3_8B, CHAT, PADDED, 8192), *ON_GPU)
class Qwen8ChatPadded:
    """Qwen3-8B's shape on a GPU, chat lengths, padded batches as they come."""
