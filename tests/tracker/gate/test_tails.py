"""Tail latencies out of artifacts: pooled over the pairs whose artifacts are there."""

import json
import random

import pytest

from tests.tracker.store.values import commit, committed_at, file_of, measurement
from tracker.artifacts import read_launch, read_requests
from tracker.domain import BenchmarkInfo, RequestTimes, RevisionRecord
from tracker.gate.policy import Policy
from tracker.gate.replay import gate_stored
from tracker.gate.tails import with_tails
from tracker.store import Store


def write_artifact(path, seconds):
    header = {
        "record": "launch", "format": 1, "launch_id": path.stem, "benchmark": "suite.Chat",
        "fingerprint": {},
    }  # fmt: skip
    lines = [header, {"record": "telemetry", "t": 0.0}]
    for index, ttft in enumerate(seconds):
        times = [index + ttft, index + ttft + 0.01, index + ttft + 0.02]
        lines.append({"record": "request", "submitted": float(index), "token_times": times})
    lines.append({"record": "request", "submitted": 9.0, "token_times": []})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_launch(path)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        revisions = [RevisionRecord(commit(number), committed_at(number)) for number in (1, 2)]
        opened.record_revisions("p", revisions)
        yield opened


TTFT = BenchmarkInfo("suite.Chat.track_ttft", "1", "track", "s", "lower", "timing")
STEPS = BenchmarkInfo("suite.Chat.track_steps", "1", "track", "1", "lower", "exact")
OTHER = BenchmarkInfo("suite.Chatter.track_ttft", "1", "track", "s", "lower", "timing")


def measured(store, folder, pairs, requests, slower=1.0, benchmarks=(TTFT, STEPS)):
    draw = random.Random(1)
    gate = store.begin_gate("p", base=commit(1), head=commit(2), machine="box", policy={})
    for number in range(1, pairs + 1):
        for arm, which, factor in (("base", 1, 1.0), ("head", 2, slower)):
            seconds = [factor * draw.expovariate(10) for _ in range(requests)]
            made = write_artifact(folder / f"{arm}{number}.jsonl", seconds)
            values = [
                measurement(1.0, benchmark=info.name, number=which, minute=number)
                for info in benchmarks
            ]
            store.record_file(
                "p", file_of(which, *values),
                benchmarks={info.name: info for info in benchmarks}, source="gate", launches=[made],
                gate_id=gate, pair=number, arm=arm,
            )  # fmt: skip
    store.finish_gate(gate, 0, [], pairs)
    report = gate_stored(store, "p", commit(1), commit(2), Policy())
    return {tail.what: tail for tail in with_tails(report, store).tails}


def test_requests_are_read_until_a_line_that_is_none(tmp_path):
    path = tmp_path / "one.jsonl"
    write_artifact(path, [0.5, 0.25])
    first, second = read_requests(path)
    assert (first.ttft, second.ttft) == (0.5, 0.25)
    assert first.gaps == pytest.approx((0.01, 0.01))
    path.write_text(path.read_text() + '{"record": "request", "subm')
    assert read_requests(path) == [first, second]
    assert read_requests(tmp_path / "gone.jsonl") is None
    assert RequestTimes(0.0, (1.0,)).gaps == ()


def test_a_tail_that_moved_is_shown_with_its_interval(store, tmp_path):
    tails = measured(store, tmp_path, pairs=10, requests=150, slower=2.0)
    assert tails["TTFT p99"].low > 0.3 and tails["TTFT p99"].effect == pytest.approx(1.0, abs=0.5)
    assert abs(tails["ITL p99"].effect) < 1e-6


def test_too_few_requests_have_no_interval_and_the_reason(store, tmp_path):
    tail = measured(store, tmp_path, pairs=9, requests=4)["TTFT p99"]
    assert tail.low is None and tail.reason and tail.base > 0


def test_a_scenario_of_which_only_exact_metrics_are_judged_has_no_tails(store, tmp_path):
    assert measured(store, tmp_path, pairs=1, requests=3, benchmarks=(STEPS, OTHER)) == {}


def test_pairs_whose_artifacts_are_gone_are_left_out(store, tmp_path):
    assert measured(store, tmp_path, pairs=2, requests=3)
    for path in tmp_path.glob("base*.jsonl"):
        path.unlink()
    report = gate_stored(store, "p", commit(1), commit(2), Policy())
    assert with_tails(report, store).tails == ()
