import json
from datetime import UTC, datetime

import pytest

from tests.tracker.cli.commands import tracker
from tests.tracker.store.values import commit as hash_of
from tests.tracker.store.values import file_of, measurement
from tracker.domain import ComparisonRow, RevisionInfo, SeriesInfo
from tracker.report.comparison import comparison_text
from tracker.store import Store

BASE = RevisionInfo(1, "a" * 40, datetime(2026, 1, 1, tzinfo=UTC), "before")
HEAD = RevisionInfo(2, "b" * 40, datetime(2026, 1, 2, tzinfo=UTC), None)


def row(name, better, base, head, *, unit="s", status="ok", noise="beyond", visible=0.02,
        environment="existing", machine="m"):  # fmt: skip
    series = SeriesInfo(
        id=1, project="p", benchmark=name, version="1", unit=unit, better=better, kind="timing",
        params=(), param_names=(), machine=machine, environment=environment, num_points=2,
    )  # fmt: skip
    return ComparisonRow(
        series, base, head, "ok", status, (base,), (head, head) if head is not None else (),
        noise=noise, visible=visible,
    )  # fmt: skip


def test_the_table_says_worse_only_beyond_noise():
    rows = [
        row("x.track_ttft", "lower", 0.010, 0.012),
        row("x.track_rate", "higher", 100.0, 90.0, unit="tokens/s"),
        row("x.track_fast", "lower", 2.0, 1.0),
        row("x.track_mood", None, 3.0, 4.0, unit="points"),
        row("x.track_noisy", "lower", 1.0, 1.06, noise="within", visible=0.081),
        row("x.track_once", "lower", 1.0, 1.06, noise="unknown", visible=None),
        row("x.track_zero", "lower", 0.0, 5.0, unit="points", visible=None),
        row("x.track_gone", "lower", 3.0, None, status="failed", noise="unknown", visible=None),
    ]
    assert comparison_text("p", BASE, HEAD, rows) == (
        "project: p\n"
        "machine: m\n"
        "environment: existing\n"
        "base: aaaaaaaa before\n"
        "head: bbbbbbbb\n"
        "\n"
        "metric         unit      base  n    head  n   change  noise\n"
        "x.track_ttft   ms          10  1      12  2  +20.00%  ±2.0%  worse\n"
        "x.track_rate   tokens/s   100  1      90  2  -10.00%  ±2.0%  worse\n"
        "x.track_fast   s            2  1       1  2  -50.00%  ±2.0%  better\n"
        "x.track_mood   points       3  1       4  2  +33.33%  ±2.0%  changed (no direction)\n"
        "x.track_noisy  s            1  1   1.060  2   +6.00%  ±8.1%  within noise\n"
        "x.track_once   s            1  1   1.060  2   +6.00%      -  noise unknown\n"
        "x.track_zero   points       0  1       5  2       +5      -  worse\n"
        "x.track_gone   s            3  1  failed  0        -      -\n"
        "\n"
        "5 of 7 metrics beyond noise, 1 within, 1 unknown\n"
        "noise is unknown where too few commits were measured more than once; measure again with: "
        "tracker run bbbbbbbb --again --repeat 5\n"
    )


def test_several_places_are_columns():
    rows = [
        row("x.track_a", "lower", 1.0, 2.0, environment="py3.12"),
        row("x.track_a", "lower", 1.0, 2.0, environment="py3.13"),
    ]
    said = comparison_text("p", BASE, HEAD, rows)
    assert "environment: py3.12, py3.13\n" in said
    assert "\nmetric     environment  unit" in said
    assert "\nx.track_a  py3.13       s " in said
    rows.append(row("x.track_a", "lower", 1.0, 2.0, environment="py3.13", machine="n"))
    assert "\nmetric     machine  environment  unit" in comparison_text("p", BASE, HEAD, rows)


@pytest.fixture
def measured(toy):
    toy.commit("one")
    assert tracker(toy.root, "run", "--bench", "steps").code == 0
    toy.commit("two")
    return toy


def test_a_commit_that_was_never_measured_is_named(measured):
    done = tracker(measured.root, "compare", "HEAD~1", "HEAD")
    assert done.code == 2
    assert measured.git("rev-parse", "HEAD")[:8] in done.err


def test_nothing_in_common_is_not_success(measured):
    assert tracker(measured.root, "run", "--bench", "ttft").code == 0
    done = tracker(measured.root, "compare", "HEAD~1", "HEAD")
    assert done.code == 4
    assert "nothing to compare" in done.err


def test_a_store_that_is_not_there(toy):
    toy.commit("one")
    done = tracker(toy.root, "--db", "sqlite:///none.db", "compare", "HEAD", "HEAD")
    assert done.code == 5
    assert not (toy.root / "none.db").exists()


def test_the_project_of_the_checkout_is_that_of_its_policy(measured):
    policy = measured.root / "pacekeeper.toml"
    policy.write_text('[project]\nname = "engine"\n')
    for commit in ("HEAD~1", "HEAD"):
        assert tracker(measured.root, "run", commit, "--bench", "steps").code == 0
    done = tracker(measured.root, "compare", "HEAD~1", "HEAD")
    assert (done.code, done.out.splitlines()[0]) == (0, "project: engine"), done.err


def test_places_and_metrics_can_be_chosen(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    with Store.open(url) as store:
        for number in (1, 2):
            for name in ("conda", "virtualenv"):
                results = [
                    measurement(float(number), benchmark=f"b.time_{one}", number=number)
                    for one in ("x", "y")
                ]
                file = file_of(number, *results, env_name=name)
                store.record_file("p", file, benchmarks={})

    def compared(*words):
        return tracker(tmp_path, "--db", url, "compare", hash_of(1), hash_of(2), *words)

    assert compared().out.count("b.time_") == 4
    chosen = compared("--environment", "conda", "--machine", "box", "--bench", "time_(y|z)$")
    assert "environment: conda\n" in chosen.out
    assert (chosen.out.count("b.time_y"), chosen.out.count("b.time_x")) == (1, 0)
    assert "there are: conda, virtualenv" in compared("--environment", "pip").err
    assert "--bench '(' is no regular expression" in compared("--bench", "(").err
    assert compared("--machine", "nope").code == 2
    document = json.loads(compared("--format", "json", "--environment", "conda").out)
    assert {(m["environment"], m["noise"]) for m in document["metrics"]} == {("conda", "unknown")}


def test_the_rules_of_the_checkout_go_before_those_of_the_store(measured):
    policy = measured.root / "pacekeeper.toml"
    policy.write_text('[gate.metrics."steps"]\nunit = "steps"\n')
    assert tracker(measured.root, "run", "HEAD", "--bench", "steps").code == 0
    policy.write_text('[gate.metrics."steps"]\nunit = "paces"\n')
    assert "paces" in tracker(measured.root, "compare", "HEAD~1", "HEAD").out
