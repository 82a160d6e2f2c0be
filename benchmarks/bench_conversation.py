"""Conversation: ten turns of one chat at a time, each adding as many tokens as the first.

With the history's KV found in the cache, time to first token grows by what attention reads of it and
no more; without, by the whole history. Every length is a multiple of the engine's block, so that each
turn computes exactly the tokens that the first one did.
"""

from __future__ import annotations

from typing import Any

from benchmarks.engine.in_process import suite
from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from benchmarks.engine.served import Served
from tracker.load import utilization
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Conversations, Model, Scenario
from tracker.load.suite import Turns

BY_TURN = ("ttft_turn", "ttft_turn_growth", "tpot_p50", "error_rate")
METRICS = (
    "ttft_first_turn",
    "ttft_last_turn",
    "ttft_growth",
    "ttft_p50",
    "prefix_hit_rate",
    "prefix_hit_tokens",
    "prefill_tokens",
    "error_rate",
    *utilization.NAMES,
)
ON_GPU = (*METRICS, *utilization.ON_GPU)
BLOCK = 16


def _turns(model: Model, chats: int, new: int, turns: int = 10, **engine: Any) -> Scenario:
    """Return chats whose every turn brings ``new`` tokens beyond what the cache holds.

    The last token of an answer is handed out and never computed, so the block it ends is computed
    at the next turn: in the first, a system prompt of one block stands for it.
    """
    return Scenario(
        version="1",
        model=model,
        workload=Conversations(
            chats=chats, turns=turns, system=BLOCK, user=Fixed(new - BLOCK), output=Fixed(BLOCK)
        ),
        load=ClosedLoop(concurrency=1),
        engine={"block_size": BLOCK, "max_model_len": turns * new + BLOCK, **engine},
    )


@suite(_turns(TINY, chats=16, new=96), *METRICS)
class TinyTurns:
    """The tiny preset, ten turns of 96 new tokens."""


@suite(_turns(TINY, chats=16, new=96, enable_prefix_sharing=False), *METRICS)
class TinyTurnsUnshared:
    """The same without prefix sharing: what it saves."""


@suite(Turns(_turns(TINY, chats=8, new=96)), *BY_TURN)
class EveryTurnTiny:
    """The tiny preset, time to first token of each of ten turns: how it grows."""


@suite(Turns(_turns(TINY, chats=8, new=96)), *BY_TURN, target=Served)
class EveryTurnHttpTiny:
    """The tiny preset over HTTP, time to first token of each of ten turns."""


@suite(_turns(SMOLLM2, chats=2, new=32, max_num_seqs=2), *METRICS)
class SmolTurns:
    """SmolLM2-135M, ten turns of 32 new tokens."""


@suite(_turns(QWEN3_0_6B, chats=8, new=512), *ON_GPU)
class Qwen06Turns:
    """Qwen3-0.6B's shape on a GPU, ten turns of 512 new tokens."""


@suite(Turns(_turns(QWEN3_8B, chats=8, new=1024)), *BY_TURN)
class EveryTurnQwen8:
    """Qwen3-8B's shape on a GPU, time to first token of each of ten turns: at most 1.3 times the first's."""


@suite(_turns(QWEN3_8B, chats=8, new=1024), *ON_GPU)
class Qwen8Turns:
    """Qwen3-8B's shape on a GPU, ten turns of 1,024 new tokens."""
