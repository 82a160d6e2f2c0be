"""The search for the highest rate, on an engine of known capacity with a virtual clock."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.tracker.load.fakes import FakeClock, FakeEngine
from tracker.load.capacity import LIMITS, Capacity, highest_rate, holds, probe_scenario
from tracker.load.drive import drive
from tracker.load.errors import ScenarioError
from tracker.load.lengths import Fixed
from tracker.load.metrics import Slo, latency_metrics
from tracker.load.scenario import ClosedLoop, Independent, OpenLoop, Scenario
from tracker.load.workload import make_requests

SCENARIO = Scenario(
    version="1",
    workload=Independent(200, prompt=Fixed(4), output=Fixed(10)),
    load=OpenLoop(10.0),
    slos=(Slo(ttft=0.3, tpot=0.05), Slo(ttft=0.1, tpot=0.02)),
)


@pytest.mark.parametrize("start", [1.0, 10.0, 40.0, 300.0])
def test_the_rate_of_an_engine_of_known_capacity_is_found(start):
    """Four seats, ten steps of 10 ms a request: 40 requests a second, and no more."""
    search = Capacity(SCENARIO, step=1.1, most_loads=14)
    seconds = []

    def holds_at(rate):
        clock = FakeClock()
        scenario = probe_scenario(search, rate, len(seconds))
        done = drive(
            FakeEngine(clock, seats=4),
            make_requests(scenario, 100),
            lambda r: SimpleNamespace(max_tokens=r.max_tokens),
            concurrency=None,
            limit=scenario.limit,
            clock=clock,
            sleep=clock.sleep,
        )
        seconds.append(done.ended - done.started)
        # Ended as soon as it could not hold: arrivals, the first token, ten tokens.
        assert seconds[-1] <= 200 / rate + 0.3 + 10 * 0.05 + 0.02
        return holds(latency_metrics(done.records), search.limits)

    rate = highest_rate(holds_at, start, step=search.step, most_loads=search.most_loads)
    assert 32 <= rate <= 44  # Poisson arrivals queue before 40; 200 of them end a little above it


def test_a_search_stops_where_nothing_holds_or_everything_does():
    tried = []
    assert highest_rate(lambda r: tried.append(r), 16.0, step=1.1, most_loads=9) is None
    assert tried == [16.0, 8.0, 4.0, 2.0, 1.0]
    assert highest_rate(lambda r: True, 1.0, step=1.1, most_loads=5) == 16.0


@pytest.mark.parametrize("true", [3.0, 17.2, 900.0])
def test_the_gap_is_closed_to_the_step(true):
    got = highest_rate(lambda r: r <= true, 20.0, step=1.05, most_loads=30)
    assert got <= true < got * 1.05


@pytest.mark.parametrize(
    ("ttft", "tpot", "errors", "expected"),
    [
        (2.0, 0.5, 0.005, True),
        (2.1, 0.1, 0.0, False),
        (0.1, 0.6, 0.0, False),
        (0.1, 0.1, 0.01, False),
        (0.1, None, 0.0, True),
        (None, 0.1, 0.0, False),
        (0.1, 0.1, None, False),
    ],
)
def test_the_limits_of_experience(ttft, tpot, errors, expected):
    got = holds({"ttft_p95": ttft, "tpot_p95": tpot, "error_rate": errors}, LIMITS)
    assert got is expected


def test_only_independent_arrivals_are_searched():
    with pytest.raises(ScenarioError, match="OpenLoop"):
        Capacity(Scenario(version="1", workload=SCENARIO.workload, load=ClosedLoop(1)))
    with pytest.raises(ScenarioError, match="step above 1"):
        Capacity(SCENARIO, step=1.0)
