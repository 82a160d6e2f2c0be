"""Scenarios to requests: counts, seeds, arrivals, shared prefixes."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.engine.models import TINY
from tracker.load.arrivals import poisson
from tracker.load.errors import ScenarioError, UnavailableError
from tracker.load.lengths import Between, Fixed, Production
from tracker.load.scenario import (
    ClosedLoop,
    Conversations,
    Independent,
    OpenLoop,
    Probed,
    Replay,
    Scenario,
    describe,
)
from tracker.load.workload import concurrency, make_requests, warmup_requests

VOCAB = 512


def scenario(**change):
    base = Scenario(
        version="1",
        model=TINY,
        workload=Independent(40, prompt=Production("azure_conv_prompt", 1 / 16), output=Fixed(4)),
        load=ClosedLoop(4),
    )
    return replace(base, **change)


def test_poisson_arrivals_keep_the_rate_exactly_and_start_at_zero():
    times = poisson(101, 25.0, random.Random(3))
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(100 / 25.0)
    assert all(a <= b for a, b in pairwise(times))


def test_poisson_gaps_are_exponential():
    gaps = np.diff(poisson(20_001, 10.0, random.Random(5)))
    assert np.mean(gaps) == pytest.approx(0.1)
    # Of an exponential the standard deviation is the mean, and 1 - 1/e of it lies below the mean.
    assert np.std(gaps) == pytest.approx(0.1, rel=0.05)
    assert np.mean(gaps < 0.1) == pytest.approx(1 - np.exp(-1), abs=0.02)


def test_poisson_depends_on_its_seed_alone():
    assert poisson(9, 2.0, random.Random(1)) == poisson(9, 2.0, random.Random(1))
    assert poisson(9, 2.0, random.Random(1)) != poisson(9, 2.0, random.Random(2))
    assert poisson(1, 2.0, random.Random(1)) == [0.0]


@pytest.mark.parametrize(("count", "rate"), [(0, 1.0), (4, 0.0), (4, -1.0), (4, float("nan"))])
def test_poisson_refuses_what_cannot_be(count, rate):
    with pytest.raises(ScenarioError):
        poisson(count, rate, random.Random(0))


def test_equal_scenarios_ask_for_equal_work():
    assert make_requests(scenario(), VOCAB) == make_requests(scenario(), VOCAB)
    assert make_requests(scenario(), VOCAB) != make_requests(scenario(seed=1), VOCAB)


def test_tokens_are_in_the_vocabulary():
    requests = make_requests(scenario(), 7)
    assert {t for r in requests for t in r.prompt} == set(range(7))


def test_open_loop_requests_are_due_and_closed_loop_ones_are_not():
    due = [r.due for r in make_requests(scenario(load=OpenLoop(20.0)), VOCAB)]
    assert due[-1] == pytest.approx(39 / 20.0)
    assert {r.due for r in make_requests(scenario(), VOCAB)} == {None}
    assert concurrency(OpenLoop(20.0)) is None
    assert concurrency(ClosedLoop(3)) == 3


def test_warm_up_has_the_shape_of_the_load_and_none_of_its_tokens():
    load = make_requests(scenario(warmup=6), VOCAB)
    warm = warmup_requests(scenario(warmup=6), load, VOCAB)
    assert [len(r.prompt) for r in warm] == [len(r.prompt) for r in load[:6]]
    assert all(a.prompt != b.prompt for a, b in zip(warm, load, strict=False))


@pytest.mark.parametrize(
    ("load", "warmup", "count"),
    [
        (ClosedLoop(16), 2, 16),
        (ClosedLoop(1), 2, 2),
        (ClosedLoop(99), 1, 40),  # no more than the load has
        (ClosedLoop(16), 0, 0),
        (OpenLoop(5.0), 8, 8),
    ],
)
def test_warm_up_fills_the_loads_batch_with_short_outputs(load, warmup, count):
    work = scenario(load=load, warmup=warmup, warmup_output=3)
    warm = warmup_requests(work, make_requests(work, VOCAB), VOCAB)
    assert [(r.max_tokens, r.due) for r in warm] == [(3, None)] * count


@pytest.mark.parametrize("change", [{"warmup": -1}, {"warmup_output": 0}])
def test_an_impossible_warm_up_is_named(change):
    with pytest.raises(ScenarioError, match=next(iter(change))):
        scenario(**change)


def test_warm_up_does_not_put_the_system_prompt_of_chats_into_the_cache():
    work = Conversations(chats=3, turns=2, system=20, user=Fixed(5), output=Fixed(4))
    load = make_requests(scenario(workload=work), VOCAB)
    warm = warmup_requests(scenario(workload=work), load, VOCAB)
    assert warm[0].prompt[:4] != load[0].prompt[:4]


def test_text_prompts_are_words_of_the_corpus():
    work = Independent(5, prompt=Fixed(12), output=Fixed(1), text=True)
    prompts = [r.prompt for r in make_requests(scenario(workload=work), VOCAB)]
    assert [len(p.split()) for p in prompts] == [12] * 5
    assert len(set(prompts)) > 1
    assert prompts == [r.prompt for r in make_requests(scenario(workload=work), VOCAB)]


def test_chats_share_the_system_prompt_and_follow_their_own_turns():
    work = Conversations(chats=3, turns=2, system=20, user=Fixed(5), output=Fixed(4))
    requests = make_requests(scenario(workload=work), VOCAB)
    assert len(requests) == 6
    first, second = requests[:3], requests[3:]
    assert len({r.prompt[:20] for r in first}) == 1
    assert len({r.prompt[20:] for r in first}) == 3
    assert [r.follows for r in first] == [None] * 3
    assert [r.follows for r in second] == [0, 1, 2]
    assert [len(r.prompt) for r in second] == [5] * 3


def test_chats_do_not_arrive_by_the_clock():
    work = Conversations(chats=3, turns=2, system=20, user=Fixed(5), output=Fixed(4))
    with pytest.raises(ScenarioError, match="ClosedLoop"):
        scenario(workload=work, load=OpenLoop(5.0))


def test_a_replay_without_a_trace_is_skipped_and_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_TRACE", raising=False)
    with pytest.raises(UnavailableError, match="PACEKEEPER_TRACE"):
        make_requests(scenario(workload=Replay(4)), VOCAB)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": ""},
        {"workload": Independent(0, prompt=Fixed(1), output=Fixed(1))},
    ],
)
def test_impossible_scenarios_are_refused(wrong):
    with pytest.raises(ScenarioError):
        scenario(**wrong)


def test_a_probe_streams_beside_long_prompts_and_every_third_client_leaves():
    probed = Scenario(
        version="1",
        workload=Probed(4, Between(30, 50), Fixed(2), probe_prompt=5, probe_output=70),
        load=OpenLoop(2.0),
    )
    requests = make_requests(probed, 100)
    assert (len(requests[0].prompt), requests[0].max_tokens) == (5, 70)
    assert all(30 <= len(r.prompt) <= 50 and r.max_tokens == 2 for r in requests[1:])
    assert requests[-1].due == pytest.approx(1.5)
    work = Independent(7, Fixed(3), Fixed(9), cancel_every=3, cancel_after=4)
    leaving = make_requests(Scenario(version="1", workload=work, load=ClosedLoop(2)), 100)
    assert [r.cancel_after for r in leaving] == [4, None, None, 4, None, None, 4]


def test_impossible_loads_are_refused():
    with pytest.raises(ScenarioError, match="concurrency"):
        ClosedLoop(0)
    with pytest.raises(ScenarioError, match="rate"):
        OpenLoop(0.0)


def test_a_scenario_is_described_in_plain_values():
    plain = describe(scenario(engine={"max_model_len": 64}))
    assert plain["workload"]["type"] == "Independent"
    assert plain["load"] == {"type": "ClosedLoop", "concurrency": 4}
    assert plain["engine"] == {"max_model_len": 64}
    assert plain["slos"] == [{"ttft": 2.0, "tpot": 0.1}, {"ttft": 0.5, "tpot": 0.03}]


def test_a_scenario_keeps_its_own_engine_settings():
    settings = {"max_model_len": 64}
    made = scenario(engine=settings)
    settings["max_model_len"] = 1
    assert made.engine == {"max_model_len": 64}
