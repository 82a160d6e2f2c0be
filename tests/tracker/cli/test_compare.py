from datetime import UTC, datetime

import pytest

from tests.tracker.cli.commands import tracker
from tracker.domain import ComparisonRow, RevisionInfo, SeriesInfo
from tracker.report.comparison import comparison_text

BASE = RevisionInfo(1, "a" * 40, datetime(2026, 1, 1, tzinfo=UTC), "before")
HEAD = RevisionInfo(2, "b" * 40, datetime(2026, 1, 2, tzinfo=UTC), None)


def row(name, better, base, head, *, unit="s", status="ok"):
    series = SeriesInfo(
        id=1, project="p", benchmark=name, version="1", unit=unit, better=better, kind="timing",
        params=(), param_names=(), machine="m", environment="existing", num_points=2,
    )  # fmt: skip
    return ComparisonRow(
        series, base, head, "ok", status, (base,), (head, head) if head is not None else ()
    )


def test_the_table_gives_directions_and_no_verdicts():
    rows = [
        row("x.track_ttft", "lower", 0.010, 0.012),
        row("x.track_rate", "higher", 100.0, 90.0, unit="tokens/s"),
        row("x.track_fast", "lower", 2.0, 1.0),
        row("x.track_mood", None, 3.0, 4.0, unit="points"),
        row("x.track_gone", "lower", 3.0, None, status="failed"),
    ]
    assert comparison_text("p", BASE, HEAD, rows) == (
        "project: p\n"
        "machine: m\n"
        "base: aaaaaaaa before\n"
        "head: bbbbbbbb\n"
        "\n"
        "metric        unit      base  n    head  n   change\n"
        "x.track_ttft  ms          10  1      12  2  +20.00%  worse\n"
        "x.track_rate  tokens/s   100  1      90  2  -10.00%  worse\n"
        "x.track_fast  s            2  1       1  2  -50.00%  better\n"
        "x.track_mood  points       3  1       4  2  +33.33%  ?\n"
        "x.track_gone  s            3  1  failed  0        -\n"
    )


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
