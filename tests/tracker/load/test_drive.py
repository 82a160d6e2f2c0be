"""The load generator against an engine that keeps its own time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.tracker.load.fakes import FakeClock, FakeEngine
from tracker.load.drive import drive
from tracker.load.metrics import Slo, error_rate, goodput, latency_metrics
from tracker.load.records import LoadRequest


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def engine(clock):
    return FakeEngine(clock)


def run(engine, requests, concurrency=2, **more):
    return drive(
        engine,
        requests,
        lambda r: SimpleNamespace(max_tokens=r.max_tokens),
        concurrency=concurrency,
        clock=engine.clock,
        sleep=engine.clock.sleep,
        **more,
    )


def plain(count, tokens=3):
    return [LoadRequest(i, (i, i), tokens) for i in range(count)]


def test_every_request_is_recorded_in_order(engine):
    done = run(engine, plain(5))
    assert [r.index for r in done.records] == [0, 1, 2, 3, 4]
    assert [r.output_tokens for r in done.records] == [3] * 5
    assert [r.prompt_tokens for r in done.records] == [2] * 5
    assert error_rate(done.records) == 0.0
    assert done.outputs == ((1, 2, 3),) * 5


def test_a_closed_loop_keeps_its_concurrency_and_no_more(engine):
    done = run(engine, plain(6), concurrency=2)
    assert engine.most_at_once == 2
    # Waves of two, three steps each: the third wave is submitted after six.
    assert [r.submitted for r in done.records] == pytest.approx([0, 0, 0.03, 0.03, 0.06, 0.06])
    assert done.records[0].ttft == pytest.approx(0.01)
    assert done.records[5].token_times == pytest.approx((0.07, 0.08, 0.09))
    assert done.ended - done.started == pytest.approx(0.09)


def test_an_open_loop_submits_when_due_and_sleeps_while_idle(engine):
    requests = [LoadRequest(0, (1,), 2, due=0.0), LoadRequest(1, (2,), 2, due=0.5)]
    done = run(engine, requests, concurrency=None)
    assert done.records[1].submitted == 0.5
    assert done.records[1].token_times == pytest.approx((0.51, 0.52))


def test_an_open_loop_counts_the_wait_of_a_request_the_engine_kept_out(clock):
    slow = FakeEngine(clock, step_time=1.0)
    requests = [LoadRequest(0, (1,), 1, due=0.0), LoadRequest(1, (2,), 1, due=0.25)]
    done = run(slow, requests, concurrency=None)
    # It was due during the first step and could be handed in only after it.
    assert done.records[1].ttft == pytest.approx(2.0 - 0.25)


def test_an_open_loop_has_no_limit_of_its_own(engine):
    run(engine, [LoadRequest(i, (1,), 4, due=0.0) for i in range(9)], concurrency=None)
    assert engine.most_at_once == 9


def test_a_chat_goes_on_with_its_history_before_a_new_one_begins(engine):
    requests = [
        LoadRequest(0, (10,), 2),
        LoadRequest(1, (11,), 2),
        LoadRequest(2, (20,), 2, follows=0),
        LoadRequest(3, (21,), 2, follows=1),
    ]
    done = run(engine, requests, concurrency=1)
    assert engine.order == [(10,), (10, 1, 2, 20), (11,), (11, 1, 2, 21)]
    assert done.prompts[3] == (11, 1, 2, 21)
    assert done.records[3].prompt_tokens == 4


def test_a_refused_request_is_an_error_and_the_rest_goes_on(engine):
    requests = [LoadRequest(0, (1,), 2), LoadRequest(1, (1,), 5000), LoadRequest(2, (1,), 2)]
    done = run(engine, requests, concurrency=1)
    assert done.records[1].failure == "ValueError: too long"
    assert [r.failure for r in done.records].count(None) == 2


def test_a_request_that_ends_without_a_token_is_an_error(engine):
    done = run(engine, [LoadRequest(0, (1,), 13), LoadRequest(1, (1,), 2)], concurrency=2)
    assert done.records[0].failure == "logits were not finite"
    assert done.records[1].failure is None


def test_a_stuck_engine_times_out_and_is_told_to_stop(engine):
    engine.stuck = True
    done = run(engine, plain(3), concurrency=2, limit=1.0)
    assert engine.aborted == [1000, 1001]
    assert all(r.failure.startswith("timed out") for r in done.records)
    assert done.records[2].failure == "timed out: never submitted within 1 s"
    assert error_rate(done.records) == 1.0


def test_a_wrong_length_is_a_failure_only_where_the_length_was_fixed(engine):
    class Short(FakeEngine):
        def submit(self, prompt, params):
            return super().submit(prompt, SimpleNamespace(max_tokens=2))

    assert error_rate(run(Short(engine.clock), plain(2)).records) == 1.0
    assert error_rate(run(Short(engine.clock), plain(2), fixed_length=False).records) == 0.0


def test_what_a_step_raises_is_not_swallowed(engine):
    def broken():
        raise RuntimeError("device lost")

    engine.step = broken
    with pytest.raises(RuntimeError, match="device lost"):
        run(engine, plain(1))


def test_a_client_that_goes_away_is_no_failure_and_has_no_latency(engine):
    leaving = [replace(r, cancel_after=2) if r.index == 1 else r for r in plain(3, tokens=4)]
    done = run(engine, leaving, concurrency=3)
    cancelled = done.records[1]
    assert engine.aborted == [1001]
    assert (cancelled.cancelled, cancelled.failure, cancelled.output_tokens) == (True, None, 2)
    assert error_rate(done.records) == 0.0
    metrics = latency_metrics(done.records)
    assert metrics["e2e_p50"] == pytest.approx(0.04), "of the two that waited"
    assert goodput(done.records, Slo(1.0, 1.0)) == pytest.approx(2 / 0.04)
    # A request that ends with its last token has not been cancelled.
    whole = run(engine, [replace(r, cancel_after=4) for r in plain(1, tokens=4)])
    assert not whole.records[0].cancelled


def test_queueing_is_from_submission_until_the_engine_takes_a_request_up(clock):
    engine = FakeEngine(clock, seats=2)
    done = run(engine, [replace(r, due=0.0) for r in plain(4, tokens=3)], concurrency=None)
    # Two seats, three steps of 10 ms each: the second pair waits for the first to end.
    assert [r.queue_time for r in done.records] == pytest.approx([0.0, 0.0, 0.03, 0.03])
    assert latency_metrics(done.records)["queue_time_p95"] == pytest.approx(0.03)
