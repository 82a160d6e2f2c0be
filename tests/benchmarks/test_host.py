"""The engine without its model: what is counted is exact, and the stub is really in place."""

import pytest

from benchmarks.engine import host
from inference import LLM


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(host, "WARMUP", 4)
    monkeypatch.setattr(host, "STEPS", 16)


def test_calls_are_the_same_in_every_launch_and_grow_with_the_batch():
    one, again, four = (host.host_metrics(batch) for batch in (1, 1, 4))
    assert one["host_calls_per_step"] == again["host_calls_per_step"]
    assert one["host_calls_per_step"] < four["host_calls_per_step"]
    assert one["host_time_per_step"] > 0


def test_no_op_of_the_model_runs(monkeypatch):
    made = []
    original = LLM.__init__

    def remember(self, *args, **kwargs):
        original(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(LLM, "__init__", remember)
    host.host_metrics(2)
    (llm,) = made
    counters = llm.counters()
    assert counters["op_calls.sample"] == counters["steps"] == 4 + 2 * 16
    assert not counters["op_calls.embedding"] and not counters["op_calls.linear"]
    assert counters["requests_finished"] == 0, "the batch stays full to the end"


def test_rows_brought_up_to_date_in_place_cost_fewer_calls():
    kept = host.host_metrics(8)["host_calls_per_step"]
    anew = host.host_metrics(8, enable_staging=False)["host_calls_per_step"]
    assert kept < 0.7 * anew


def test_an_engine_that_cannot_be_stubbed_is_skipped(monkeypatch):
    def fails(batch):
        raise AttributeError("no decoder")

    monkeypatch.setattr(host, "host_metrics", fails)

    class Suite:
        batch = 1

    assert host.measure_host(Suite()) == {
        "skipped": "this commit's engine cannot be stubbed: no decoder"
    }
