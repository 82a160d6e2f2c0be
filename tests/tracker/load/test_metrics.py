"""The metric definitions against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tracker.load.cost import cost_per_mtok, stated_price
from tracker.load.errors import ScenarioError
from tracker.load.metrics import (
    Slo,
    attention_efficiency,
    batching_efficiency,
    counter_metrics,
    decode_throughput,
    duration,
    error_rate,
    flops_per_token,
    goodput,
    latency_metrics,
    prefill_throughput,
    prefix_hit_rate,
    quantile,
    steady_throughput,
    throughput,
)
from tracker.load.records import RequestRecord


def record(submitted, *times, index=0, expected=..., reason="length", **more):
    return RequestRecord(
        index=index,
        prompt_tokens=more.pop("prompt", 10),
        expected_tokens=len(times) if expected is ... else expected,
        submitted=submitted,
        token_times=times,
        finish_reason=reason,
        **more,
    )


# Two requests: A submitted at 1.0 with tokens at 1.5, 1.7, 2.0; B at 1.2 with tokens at 2.2, 3.0.
TWO = [record(1.0, 1.5, 1.7, 2.0), record(1.2, 2.2, 3.0, index=1)]


def test_latencies_of_two_requests():
    got = latency_metrics(TWO)
    assert got["ttft_p50"] == pytest.approx((0.5 + 1.0) / 2)
    assert got["tpot_p50"] == pytest.approx((0.25 + 0.8) / 2)
    assert got["e2e_p50"] == pytest.approx((1.0 + 1.8) / 2)
    # Gaps pooled over both: 0.2, 0.3, 0.8.
    assert got["itl_p50"] == pytest.approx(0.3)
    assert got["itl_max"] == pytest.approx(0.8)
    assert got["itl_p95"] == pytest.approx(0.3 + 0.9 * 0.5)


def test_throughput_counts_from_first_submit_to_last_token():
    assert duration(TWO) == pytest.approx(2.0)
    assert throughput(TWO) == pytest.approx(5 / 2.0)


def test_decode_throughput_leaves_first_tokens_out():
    # Tokens after the first: 2 + 1; from A's first token at 1.5 to 3.0.
    assert decode_throughput(TWO) == pytest.approx(3 / 1.5)


def test_steady_throughput_trims_a_tenth_at_either_end():
    # Duration 10: of tokens at 0.5, 1.0, 5.0, 9.0, 10.0 those in [1, 9) count: two in 8 s.
    assert steady_throughput([record(0.0, 0.5, 1.0, 5.0, 9.0, 10.0)]) == pytest.approx(2 / 8)


def test_prefill_throughput_counts_computed_prompt_tokens():
    some = [record(0.0, 0.5, prompt=100, cached_tokens=40), record(0.5, 2.0, prompt=60)]
    assert prefill_throughput(some) == pytest.approx(120 / 2.0)


def test_prefill_throughput_has_no_value_for_a_load_that_decodes():
    assert prefill_throughput(TWO) is None


def test_goodput_needs_both_latencies():
    # A: ttft 0.5, tpot 0.25. B: ttft 1.0, tpot 0.8.
    assert goodput(TWO, Slo(ttft=0.6, tpot=0.3)) == pytest.approx(1 / 2.0)
    assert goodput(TWO, Slo(ttft=2.0, tpot=1.0)) == pytest.approx(2 / 2.0)
    assert goodput(TWO, Slo(ttft=2.0, tpot=0.3)) == pytest.approx(1 / 2.0)
    assert goodput(TWO, Slo(ttft=0.1, tpot=1.0)) == 0.0


def test_goodput_holds_a_single_token_to_ttft_alone():
    assert goodput([record(0.0, 0.5)], Slo(ttft=1.0, tpot=0.0)) == pytest.approx(1 / 0.5)


def test_a_failed_request_is_never_good():
    failed = record(0.0, 0.5, error="boom")
    assert goodput([failed], Slo(ttft=1.0, tpot=1.0)) == 0.0


@pytest.mark.parametrize(
    "bad",
    [
        record(0.0, 1.0, error="the engine refused it"),
        record(0.0, 1.0, reason="abort"),
        record(0.0, 1.0, reason="error"),
        record(0.0, reason=None),
        record(0.0, 1.0, expected=2),
    ],
)
def test_error_rate_counts_failed_timed_out_and_wrong_length(bad):
    good = record(0.0, 1.0)
    assert error_rate([good, good, good, bad]) == 0.25


def test_error_rate_accepts_any_length_where_the_model_ends():
    assert error_rate([record(0.0, 1.0, expected=None, reason="stop")]) == 0.0


def test_without_tokens_there_are_no_values_rather_than_zeros():
    nothing = [record(0.0, expected=4, error="timed out")]
    got = latency_metrics(nothing)
    assert got.pop("error_rate") == 1.0
    assert set(got.values()) == {None}
    assert error_rate([]) is None


def test_one_token_has_no_tpot_and_no_gap():
    got = latency_metrics([record(0.0, 0.5)])
    assert got["ttft_p50"] == 0.5
    assert got["tpot_p50"] is None
    assert got["itl_max"] is None


@pytest.mark.parametrize("level", [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
def test_quantile_is_numpys(level, size):
    values = list(np.random.default_rng(size).normal(size=size))
    assert quantile(values, level) == pytest.approx(np.quantile(values, level))


def test_quantile_refuses_percent():
    with pytest.raises(ValueError, match="50"):
        quantile([1.0], 50)


def test_efficiencies():
    assert batching_efficiency({"useful_tokens": 30, "padded_tokens": 10}) == 0.75
    assert batching_efficiency({"useful_tokens": 30}) is None
    assert attention_efficiency({"kv_tokens_read": 90, "kv_tokens_padded": 10}) == 0.9
    assert attention_efficiency({}) is None
    assert prefix_hit_rate({"prefix_hit_tokens": 25, "prompt_tokens": 100}) == 0.25
    assert prefix_hit_rate({"prompt_tokens": 100}) is None


def test_compute_cost_is_over_the_tokens_generated():
    counters = {"model_flops": 6_000, "tokens_generated": 4, "decode_tokens": 3}
    assert counter_metrics(counters)["flops_per_token"] == 1_500.0
    assert flops_per_token({"tokens_generated": 4}) is None
    assert flops_per_token({"model_flops": 0, "tokens_generated": 0}) is None


def test_op_calls_are_summed_over_ops_and_divided_by_steps():
    got = counter_metrics({"steps": 4, "op_calls.linear": 28, "op_calls.rms_norm": 8})
    assert got["op_calls_per_step"] == 9.0


def test_a_counter_an_older_engine_lacks_has_no_value():
    got = counter_metrics({"steps": 4})
    assert got.pop("steps") == 4
    assert set(got.values()) == {None}


def test_the_price_of_a_million_tokens_by_hand(monkeypatch):
    # Two devices at 3.60 an hour make 0.002 a second; at 500 tokens a second a million takes 2,000 s.
    assert cost_per_mtok(3.6, 2, 500.0) == pytest.approx(4.0)
    assert cost_per_mtok(None, 2, 500.0) is cost_per_mtok(3.6, 2, None) is None
    monkeypatch.delenv("PACEKEEPER_DEVICE_HOUR", raising=False)
    assert stated_price() is None
    monkeypatch.setenv("PACEKEEPER_DEVICE_HOUR", "2.5")
    assert stated_price() == 2.5
    monkeypatch.setenv("PACEKEEPER_DEVICE_HOUR", "two")
    with pytest.raises(ScenarioError, match="PACEKEEPER_DEVICE_HOUR is 'two'"):
        stated_price()
