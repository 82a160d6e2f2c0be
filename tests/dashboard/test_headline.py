"""Which series a first look at a project shows."""

from dataclasses import replace
from datetime import UTC, datetime

from dashboard.headline import headline
from tests.dashboard.values import series

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made(number, benchmark, *, points=5, value=1.0, kind="timing", unit="s", machine="box"):
    known = series(
        benchmark, key=number, last_value=value, kind=kind, unit=unit, machine=machine,
        last_measured=NOW,
    )  # fmt: skip
    return replace(known, num_points=points)


def test_one_of_each_group_of_the_scenario_that_has_most_of_them():
    known = [
        made(1, "bench_a.Alone.track_itl_p99", points=500),
        made(2, "bench_a.Chat.track_itl_p99"),
        made(3, "bench_a.Chat.track_tpot_p50"),
        made(4, "bench_a.Chat.track_ttft_p95"),
        made(5, "bench_a.Chat.track_ttft_p50"),
        made(6, "bench_a.Chat.track_mbu", kind="utilization", unit="1"),
        made(7, "bench_a.Chat.track_goodput_relaxed", kind="rate", unit="req/s"),
        made(8, "bench_a.Chat.track_throughput", kind="rate", unit="tokens/s"),
    ]
    shown = headline(known)
    assert list(shown) == ["Latency", "First-token time", "Utilization", "Throughput"]
    assert [one.id for one in shown.values()] == [3, 5, 6, 8]


def test_constants_and_zeros_are_never_shown():
    known = [
        made(1, "bench_a.Chat.track_ttft_p50", value=0.0),
        made(2, "bench_a.Chat.track_tpot_p50", value=None),
        made(3, "bench_a.Chat.track_itl_p50", points=0),
        made(4, "bench_a.Chat.track_steps", kind="exact", unit="1"),
    ]
    assert headline(known) == {}
    assert headline([*known, made(5, "bench_a.Chat.track_e2e_p50")])["Latency"].id == 5


def test_a_project_without_a_language_model_shows_its_longest_history():
    known = [made(i, f"bench_x.time_{i}", points=10 * i) for i in range(1, 4)]
    assert [one.id for one in headline(known).values()] == [3]


def test_a_scenario_on_two_machines_is_two_scenarios():
    known = [
        made(1, "bench_a.Chat.track_ttft_p50", machine="one"),
        made(2, "bench_a.Chat.track_tpot_p50", machine="other"),
        made(3, "bench_a.Chat.track_ttft_p50", machine="other"),
    ]
    assert {one.machine for one in headline(known).values()} == {"other"}
