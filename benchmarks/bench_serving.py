"""Serving: requests of production lengths, closed and open loop, with and without shared prefixes.

The tiny preset's lengths are the production ones scaled down, so that a launch takes a second.
"""

from __future__ import annotations

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from benchmarks.engine.sizes import (
    CHAT_OUTPUT,
    CHAT_PROMPT,
    SMOL_ENGINE,
    TINY_CHAT_OUTPUT,
    TINY_CHAT_PROMPT,
    TINY_ENGINE,
)
from tracker.load import utilization
from tracker.load.lengths import Fixed, Production
from tracker.load.metrics import Slo
from tracker.load.scenario import (
    ClosedLoop,
    Conversations,
    Independent,
    Model,
    OpenLoop,
    Replay,
    Scenario,
)

CLOSED = (
    "ttft_p50",
    "ttft_p95",
    "tpot_p50",
    "itl_p99",
    "e2e_p50",
    "throughput",
    "cpu_time_per_token",
    "error_rate",
    "steps",
    "attention_efficiency",
    *utilization.NAMES,
)
# In an open loop the steps depend on when requests happened to arrive: nothing there is exact.
OPEN = (
    "ttft_p50",
    "ttft_p95",
    "tpot_p50",
    "itl_p99",
    "e2e_p50",
    "goodput_relaxed",
    "error_rate",
    *utilization.NAMES,
)
ON_GPU = (*CLOSED, "goodput_relaxed", "energy_per_token", "cost_per_mtok", *utilization.ON_GPU)


def _tiny_chat(concurrency: int, requests: int, version: str = "2") -> Scenario:
    return Scenario(
        version=version,
        model=TINY,
        workload=Independent(requests, prompt=TINY_CHAT_PROMPT, output=TINY_CHAT_OUTPUT),
        load=ClosedLoop(concurrency),
        engine=TINY_ENGINE,
    )


def _gpu_chat(model: Model, concurrency: int, requests: int) -> Scenario:
    return Scenario(
        version="2",
        model=model,
        workload=Independent(requests, prompt=CHAT_PROMPT, output=CHAT_OUTPUT),
        load=ClosedLoop(concurrency),
        engine={"max_model_len": 8192},
    )


@suite(_tiny_chat(1, 20), *CLOSED)
class TinyC1:
    """The tiny preset, chat lengths, one request at a time."""


# Long enough that a launch measures for seconds: this repository's own gate judges it.
@suite(_tiny_chat(4, 288, version="3"), *CLOSED)
class TinyC4:
    """The tiny preset, chat lengths, four requests at a time."""


@suite(_tiny_chat(16, 96), *CLOSED)
class TinyC16:
    """The tiny preset, chat lengths, sixteen requests at a time."""


@suite(
    Scenario(
        version="2",
        model=TINY,
        workload=Conversations(
            chats=12,
            turns=4,
            system=128,
            user=Production("azure_conv_prompt", scale=1 / 32, least=4, most=64),
            output=TINY_CHAT_OUTPUT,
        ),
        load=ClosedLoop(concurrency=6),
        engine=TINY_ENGINE,
    ),
    *CLOSED,
    "prefix_hit_rate",
    "prefill_tokens",
)
class TinyShared:
    """The tiny preset, chats of four turns behind one system prompt."""


@suite(
    Scenario(
        version="2",
        model=TINY,
        workload=Independent(
            requests=56,
            prompt=Production("azure_code_prompt", scale=1 / 16, least=4, most=480),
            output=Production("azure_code_output", scale=1 / 2, least=2, most=64),
        ),
        load=OpenLoop(rate=50.0),
        warmup=8,
        engine=TINY_ENGINE,
        slos=(Slo(ttft=1.0, tpot=0.1), Slo(ttft=0.2, tpot=0.02)),
    ),
    *OPEN,
)
class TinyPoisson:
    """The tiny preset, code-completion lengths, 50 Poisson arrivals a second.

    Its SLOs are those of a model this small: (1 s, 0.1 s) and (0.2 s, 0.02 s). The strict goodput
    stays in the artifact: on a busy machine it is 0, and no ratio of it can be judged.
    """


@suite(
    Scenario(
        version="2",
        model=TINY,
        workload=Replay(
            requests=64, scale=1 / 32, output_scale=1 / 8, most_prompt=768, most_output=64
        ),
        load=ClosedLoop(concurrency=4),
        engine=TINY_ENGINE,
    ),
    *CLOSED,
    "prefix_hit_rate",
)
class TinyTrace:
    """The tiny preset, the trace that ``PACEKEEPER_TRACE`` names, four requests at a time."""


@suite(
    Scenario(
        version="2",
        model=SMOLLM2,
        workload=Independent(
            requests=6,
            prompt=Production("azure_conv_prompt", scale=1 / 32, least=8, most=64),
            output=Fixed(12),
            text=True,
        ),
        load=ClosedLoop(concurrency=2),
        engine=SMOL_ENGINE,
        warmup=1,
    ),
    *CLOSED,
)
class SmolC2:
    """SmolLM2-135M on English text, two requests at a time."""


@suite(_gpu_chat(QWEN3_0_6B, 32, 256), *ON_GPU)
class Qwen06C32:
    """Qwen3-0.6B's shape on a GPU, chat lengths, 32 requests at a time."""


@suite(_gpu_chat(QWEN3_8B, 16, 96), *ON_GPU)
class Qwen8C16:
    """Qwen3-8B's shape on a GPU, chat lengths, sixteen requests at a time."""
