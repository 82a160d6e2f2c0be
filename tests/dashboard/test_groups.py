from datetime import timedelta

import pytest

from dashboard.groups import bare_name, cold_and_warm, metric_group, scenario, siblings
from tests.dashboard.values import START, series


@pytest.mark.parametrize(
    ("name", "unit", "kind", "group"),
    [
        ("b.C.track_ttft_p50", "s", "timing", "First-token time"),
        ("b.C.track_itl_p99", "s", "timing", "Latency"),
        ("b.time_decode", "seconds", "timing", "Latency"),
        ("b.C.track_throughput", "tokens/s", "rate", "Throughput"),
        ("b.C.track_goodput", "req/s", "other", "Throughput"),
        ("b.C.track_mbu", "1", "other", "Utilization"),
        ("b.C.track_batching_efficiency", "1", "exact", "Utilization"),
        ("b.C.track_peak_memory", "bytes", "exact", "Memory"),
        ("b.peakmem_load", "bytes", "other", "Memory"),
        ("b.C.track_steps", "1", "exact", "Exact counters"),
        ("b.C.track_energy", "J/token", "energy", "Other"),
        ("ttft_suite.C.track_itl", "s", "timing", "Latency"),  # the metric's own name decides
    ],
)
def test_a_metric_belongs_to_one_group(name, unit, kind, group):
    assert metric_group(series(name, unit=unit, kind=kind)) == group


def test_names_lose_suite_and_prefix_but_not_parameters():
    assert bare_name("bench_serving.Chat.track_ttft(1.5, 'c.4')") == "ttft(1.5, 'c.4')"
    assert bare_name("bench.track_") == "track_"
    assert scenario(series("bench_serving.Chat.track_ttft")) == "bench_serving.Chat"


def test_siblings_share_class_parameters_machine_and_environment():
    mine = series("b.C.track_itl", params=("8",))
    others = [
        series("b.C.track_ttft", key=2, params=("8",)),
        series("b.C.track_ttft", key=3, params=("16",)),
        series("b.D.track_ttft", key=4, params=("8",)),
        series("b.C.track_ttft", key=5, params=("8",), machine="other"),
        series("b.C.track_ttft", key=6, params=("8",), environment="other"),
    ]
    found = siblings(mine, [mine, *others])
    assert {group: [s.id for s in members] for group, members in found.items()} == {
        "Latency": [1],
        "First-token time": [2],
    }


def test_of_several_versions_the_one_measured_last_stands_beside_and_the_asked_one_stays():
    old = series("b.C.track_ttft", key=2, version="1", last_measured=START)
    new = series("b.C.track_ttft", key=3, version="2", last_measured=START + timedelta(days=1))
    mine = series("b.C.track_itl", key=1)
    for candidates in ([mine, old, new], [new, old, mine]):
        assert [s.id for s in siblings(mine, candidates)["First-token time"]] == [3]
        assert [s.id for s in siblings(old, candidates)["First-token time"]] == [2]


def test_cold_and_warm_stand_beside_each_other():
    cold, warm, other, elsewhere = (
        series("b.Start.track_first_token_time", key=1),
        series("b.Start.track_warm_first_token_time", key=2),
        series("b.Start.track_warm_construct_time", key=3),
        series("b.Start.track_cold_first_token_time", key=4, machine="other"),
    )
    listed = [cold, warm, other, elsewhere]
    assert [s.id for s in cold_and_warm(cold, listed)] == [2]
    assert [s.id for s in cold_and_warm(warm, listed)] == [1]
    assert cold_and_warm(other, listed) == cold_and_warm(series("b.warmup", key=5), listed) == []
