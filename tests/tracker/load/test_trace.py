"""Trace files to requests."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.engine.models import TINY
from tracker.load.errors import ScenarioError, TraceError
from tracker.load.scenario import ClosedLoop, OpenLoop, Replay, Scenario
from tracker.load.trace import prompt_of, read_trace, scaled_arrivals
from tracker.load.workload import make_requests

CSV = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.4799600,320,8
2023-11-16 18:17:05.9799600,64,27
"""
ROWS = [
    {"timestamp": 1000, "input_length": 1200, "output_length": 50, "hash_ids": [0, 1, 2]},
    {"timestamp": 1000, "input_length": 1100, "output_length": 40, "hash_ids": [0, 1, 7]},
    {"timestamp": 4000, "input_length": 600, "output_length": 30, "hash_ids": [9, 10]},
]


@pytest.fixture
def azure(tmp_path):
    path = tmp_path / "azure.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def mooncake(tmp_path):
    path = tmp_path / "mooncake.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n")
    return path


def test_azure_rows(azure):
    rows = read_trace(azure, 10)
    assert [r.prompt_tokens for r in rows] == [4808, 320, 64]
    assert [r.output_tokens for r in rows] == [10, 8, 27]
    assert [r.at for r in rows] == pytest.approx([0.0, 0.5, 2.0])
    assert [r.prompt_tokens for r in read_trace(azure, 2)] == [4808, 320]


def test_mooncake_rows(mooncake):
    rows = read_trace(mooncake, 10)
    assert [r.at for r in rows] == [0.0, 0.0, 3.0]
    assert rows[1].blocks == (0, 1, 7)


def test_arrivals_keep_the_pattern_at_another_rate(azure):
    assert scaled_arrivals(read_trace(azure, 3), rate=4.0) == pytest.approx([0.0, 0.125, 0.5])


def test_equal_blocks_make_shared_prefixes(mooncake):
    rows = read_trace(mooncake, 3)

    def prompt(i, length):
        return prompt_of(rows[i], length, index=i, block_tokens=16, vocab_size=512, seed=0)

    one, two, other = prompt(0, 38), prompt(1, 34), prompt(2, 19)
    assert [len(one), len(two), len(other)] == [38, 34, 19]
    assert one[:32] == two[:32]
    assert one[32:34] != two[32:34]
    assert one[:16] != other[:16]


def test_prompts_without_blocks_are_their_own(azure):
    row = read_trace(azure, 1)[0]
    one = prompt_of(row, 20, index=0, block_tokens=16, vocab_size=512, seed=0)
    two = prompt_of(row, 20, index=1, block_tokens=16, vocab_size=512, seed=0)
    assert one != two
    assert one == prompt_of(row, 20, index=0, block_tokens=16, vocab_size=512, seed=0)


def scenario(**change):
    work = Replay(3, scale=1 / 32, output_scale=1 / 4, most_prompt=100, most_output=6)
    base = Scenario(version="1", model=TINY, workload=work, load=ClosedLoop(2))
    return replace(base, **change)


def test_a_replay_scales_and_cuts(azure, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_TRACE", str(azure))
    requests = make_requests(scenario(), 512)
    assert [len(r.prompt) for r in requests] == [100, 10, 2]
    assert [r.max_tokens for r in requests] == [2, 2, 6]
    assert [r.due for r in requests] == [None] * 3


def test_a_replay_in_an_open_loop_takes_the_traces_arrivals(azure, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_TRACE", str(azure))
    requests = make_requests(scenario(load=OpenLoop(4.0)), 512)
    assert [r.due for r in requests] == pytest.approx([0.0, 0.125, 0.5])


def test_a_scale_that_leaves_no_block_is_refused(azure, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_TRACE", str(azure))
    with pytest.raises(ScenarioError, match="block"):
        make_requests(scenario(workload=Replay(3, scale=1 / 2000)), 512)


def test_a_missing_trace_is_named(tmp_path):
    with pytest.raises(TraceError, match=r"nowhere\.csv"):
        read_trace(tmp_path / "nowhere.csv", 1)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a,b\n1,2\n", "request 1"),
        (CSV + "yesterday,1,2\n", "request 4"),
        (CSV + "2023-11-16 18:17:05.9799600\n", "request 4"),
        (json.dumps(ROWS[0]) + '\n{"timestamp": 3}\n', "request 2"),
        (json.dumps(ROWS[0]) + "\n{broken\n", "request 2"),
        ("", "no requests"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, text, place):
    path = tmp_path / "bad"
    path.write_text(text)
    with pytest.raises(TraceError, match=place):
        read_trace(path, 10)
