"""Exact counters: what the engine did, which is the same on every launch of one commit.

No clock is read, so one launch decides: a change here is a change in the code.
"""

from __future__ import annotations

from benchmarks.engine.exact import Counted
from benchmarks.engine.in_process import suite
from benchmarks.engine.models import TINY
from benchmarks.engine.sizes import TINY_CHAT_OUTPUT, TINY_CHAT_PROMPT, TINY_ENGINE
from tracker.load.scenario import ClosedLoop, Conversations, Independent, Scenario

METRICS = (
    "steps",
    "prefill_tokens",
    "decode_tokens",
    "op_calls_per_step",
    "flops_per_token",
    "attention_efficiency",
    "blocks_allocated",
    "blocks_evicted",
    "peak_blocks_used",
    "preemptions",
)
CALLS = (
    "op_calls_per_step",
    "torch_calls_per_step",
    "host_syncs_per_step",
    "copies_per_step",
    "allocations_per_step",
    "allocated_bytes_per_step",
)
SHARED = ("steps", "prefill_tokens", "prefix_hit_tokens", "prefix_hit_rate", "blocks_allocated")


@suite(
    Scenario(
        version="2",
        model=TINY,
        workload=Independent(48, prompt=TINY_CHAT_PROMPT, output=TINY_CHAT_OUTPUT),
        load=ClosedLoop(concurrency=12),
        warmup=0,  # no clock is read
        # Too small a cache and budget on purpose: chunked prefill, preemption and eviction happen.
        engine={
            "max_model_len": 512,
            "num_blocks": 56,
            "max_num_seqs": 12,
            "max_num_batched_tokens": 64,
        },
    ),
    *METRICS,
)
class TinyPressed:
    """The tiny preset in a KV cache too small for its load."""


@suite(
    Scenario(
        version="2",
        model=TINY,
        workload=Conversations(
            chats=8, turns=3, system=96, user=TINY_CHAT_PROMPT, output=TINY_CHAT_OUTPUT
        ),
        load=ClosedLoop(concurrency=4),
        warmup=0,
        engine=TINY_ENGINE,
    ),
    *SHARED,
)
class TinyShared:
    """The tiny preset, chats behind one system prompt: prefix sharing saves most of the prefill."""


@suite(
    Scenario(
        version="1",
        model=TINY,
        workload=Conversations(
            chats=4, turns=2, system=96, user=TINY_CHAT_PROMPT, output=TINY_CHAT_OUTPUT
        ),
        load=ClosedLoop(concurrency=4),
        warmup=2,  # torch's first calls in a process are not the engine's
        warmup_output=2,
        # torch's ops, whatever the threads: NumPy's cannot be counted.
        engine={**TINY_ENGINE, "backend": "reference"},
    ),
    *CALLS,
    target=Counted,
)
class CallsTiny:
    """The tiny preset, every call of torch's ops: a lost fusion, an extra copy or sync is seen exactly."""
