"""The triage report of a week: its text, and what the store says of the week."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.dashboard.values import gate, revision, series
from tests.tracker.cli.commands import tracker
from tests.tracker.store.values import BENCHMARKS, START, commit, file_of, measurement
from tracker.domain import AlertEvent, AlertInfo, LevelShift, RevisionInfo, Search, Week
from tracker.report.week import render_week
from tracker.store import Store, queries

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def shift(before, after, *, place=3, cause="code", better="lower"):
    return LevelShift(
        series_id=1, revision=revision(place), before=before, after=after, effect=after / before - 1,
        worse=(after > before) == (better == "lower"), algorithm="test", cause=cause,
    )  # fmt: skip


def alert(number, state, days, *events):
    return AlertInfo(
        number, "sim", state, f"finding *{number}*", "", None, 1, 0.1,
        NOW - timedelta(days=days), NOW,
        history=tuple(AlertEvent(NOW, "note", text) for text in events),
    )  # fmt: skip


def week_of(**more):
    facts = dict.fromkeys(("moved", "alerts", "gates"), ())
    return Week("sim", NOW - timedelta(days=7), NOW, **(facts | more), num_runs=12, num_commits=4)


def test_the_report_counts_what_moved_and_lists_what_waits():
    rate = series("s.Chat.track_throughput", unit="tokens/s", better="higher", kind="rate")
    text = render_week(
        week_of(
            moved=(
                (series("s.Chat.track_ttft_p50"), shift(0.010, 0.011)),
                (rate, shift(1000.0, 800.0, better="higher")),
                (series("s.Chat.track_tpot_p50"), shift(0.02, 0.019, place=4)),
                (series("s.Chat.track_itl_p50"), shift(0.02, 0.03, place=5, cause="driver")),
            ),
            alerts=(
                alert(1, "open", 2),
                alert(2, "acked", 40),
                alert(3, "expected", 3, "opened", "expected: *more* memory"),
            ),
            gates=(gate(exit_code=1),),
        )
    )
    assert "| worse | 2 | 1 | 15.00% | 10.00% to 20.00% |" in text
    assert "| better | 1 | 1 | 5.00% | 5.00% to 5.00% |" in text
    assert "Measured: 12 runs of 4 commits. Gates: 1 regression." in text
    assert "`0000000300` Change number 3 on runner-a" in text
    assert "s.Chat.track\\_throughput: **-20.00%**, 1000 → 800 tokens/s" in text
    assert (
        "no commit's fault" in text and "runner-a at `0000000500` Change number 5: driver" in text
    )
    waiting, _, settled = text.partition("### Called, and settled")
    assert "- younger than a week: 1\n  - alert 1, open: finding \\*1\\*\n" in waiting
    assert "- older than four weeks: 1\n  - alert 2, acked" in waiting
    assert "turned out expected: 1\n  - alert 3" in settled and "\\*more\\* memory" in settled


def test_a_quiet_week_says_so_and_averages_nothing():
    text = render_week(week_of())
    assert "| worse | 0 | 0 |  |  |" in text
    assert text.count("Nothing.") == 3
    assert "Nothing waits for anybody." in text
    assert "nan" not in text


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with Store.open(url) as store:
        for number in range(20):
            result = measurement(1.0, number=number)
            store.record_file("p", file_of(number, result), benchmarks=BENCHMARKS)
        (only,) = queries.list_series(store, "p")
        found = []
        for number in (5, 16):
            info = queries.resolve_revision(store, "p", commit(number))
            found.append(
                LevelShift(
                    only.id,
                    RevisionInfo(info.id, info.commit, info.committed_at),
                    1.0,
                    1.1,
                    0.1,
                    True,
                    "t",
                )
            )
        store.record_searches([Search(only.id, found, "t")])
        store.open_alert(
            "p", key="k", title="slower", detail="", revision_commit=commit(16), num_series=1, worst_effect=0.1
        )  # fmt: skip
    return url


def test_the_store_answers_for_the_commits_of_the_week_alone(url):
    with Store.open(url, read_only=True) as store:
        found = queries.week(store, "p", until=START + timedelta(days=19))
        assert [s.revision.commit for _, s in found.moved] == [commit(16)]
        assert found.alerts == ()  # it was opened long after that week
        assert found.num_runs == 0  # and the runs were stored then
        now = queries.week(store, "p", until=datetime.now(UTC) + timedelta(minutes=1))
        assert (len(now.alerts), now.num_runs, now.num_commits, now.moved) == (1, 20, 20, ())


def test_the_command_prints_the_report(url, tmp_path):
    done = tracker(tmp_path, "--db", url, "report", "week", "--until", "2024-01-20", "--days", "10")
    assert done.code == 0
    assert "| worse | 1 | 1 | 10.00% | 10.00% to 10.00% |" in done.out
    assert tracker(tmp_path, "--db", url, "report", "week", "--project", "q").code == 2
