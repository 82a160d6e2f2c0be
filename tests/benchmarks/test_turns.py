"""Time to first token by turn, against cases worked out by hand; and a chat on the real engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.bench_conversation import TinyTurns, TinyTurnsUnshared
from benchmarks.engine.in_process import run_in_process
from tracker.load.lengths import Fixed
from tracker.load.records import RequestRecord
from tracker.load.scenario import Conversations
from tracker.load.turns import turn_metrics, turn_ttfts

CHATS = Conversations(chats=3, turns=2, system=0, user=Fixed(1), output=Fixed(1))


SUITES = (TinyTurns, TinyTurnsUnshared)


def few(scenario, chats):
    return replace(scenario, workload=replace(scenario.workload, chats=chats))


def records(*ttfts):
    return [
        RequestRecord(
            index=i,
            prompt_tokens=1,
            expected_tokens=1,
            submitted=float(i),
            token_times=() if ttft is None else (i + ttft,),
            finish_reason="length",
        )
        for i, ttft in enumerate(ttfts)
    ]


def test_each_turn_is_the_median_over_chats():
    done = records(0.1, 0.2, 0.9, 0.5, 0.4, 0.3)
    assert turn_ttfts(done, CHATS) == pytest.approx([0.2, 0.4])
    assert turn_metrics(done, CHATS) == pytest.approx(
        {
            "ttft_turn_1": 0.2,
            "ttft_turn_2": 0.4,
            "ttft_first_turn": 0.2,
            "ttft_last_turn": 0.4,
            "ttft_growth": 2.0,
        }
    )


def test_a_turn_without_a_token_has_no_value():
    done = records(0.1, None, 0.3, None, None, None)
    assert turn_ttfts(done, CHATS) == pytest.approx([0.2, None])
    assert turn_metrics(done, CHATS)["ttft_growth"] is None


def test_every_turn_computes_exactly_what_the_first_one_did(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    new, turns, chats = 96, 10, 2
    shared, unshared = (run_in_process("x", few(suite.work, chats)) for suite in SUITES)
    assert shared.failures == ()
    # The system prompt's one block is common to all chats but the first.
    assert shared.counters["prefill_tokens"] == chats * turns * new - (chats - 1) * 16
    assert unshared.counters["prefill_tokens"] == chats * sum(
        turn * new for turn in range(1, turns + 1)
    )
    assert shared.work["tokens_sha256"] == unshared.work["tokens_sha256"]
