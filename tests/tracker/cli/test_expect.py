"""`tracker expect`: what is stored, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from tests.tracker.store.values import BENCHMARKS, commit, file_of, measurement
from tracker.cli import Settings
from tracker.cli.expect import command
from tracker.domain import Expectation
from tracker.errors import UsageError
from tracker.store import Store, queries


@pytest.fixture
def db(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    with Store.open(url) as store:
        store.record_file("p", file_of(1, measurement(1.0, number=1)), benchmarks=BENCHMARKS)
        store.open_alert("p", key="k", title="t", detail="d", revision_commit=commit(1))
    return url


def expect(db, *args):
    done = CliRunner().invoke(command, list(args), obj=Settings(db=db))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def stored(db):
    with Store.open(db, read_only=True) as store:
        return queries.list_expectations(store, "p")


def test_a_commit_brings_it_and_its_alert_is_told_of(db):
    done = expect(db, "x", "+6%", "--because", "it is right", "--commit", commit(1))
    assert stored(db) == [Expectation("x", 0.06, "it is right", commit(1), None)]
    assert f"x +6.00% with commit {commit(1)[:8]}, because it is right" in done.output
    assert "tracker alerts expect 1" in done.output


def test_a_negative_change_is_no_option(db):
    expect(db, "time_x", "-2.5%", "--because", "y", "--for", "3")
    (one,) = stored(db)
    assert one.change == -0.025
    assert timedelta(days=2) < one.until - datetime.now(UTC) <= timedelta(days=3)


def test_without_an_end_it_holds_for_two_weeks_and_a_second_one_replaces_it(db):
    expect(db, "b.time_x", "+6%", "--because", "y")
    expect(db, "b.time_x", "+7%", "--because", "z")
    (one,) = stored(db)
    assert (one.change, one.because, one.commit) == (0.07, "z", None)
    assert one.until - datetime.now(UTC) > timedelta(days=13)
    assert expect(db, "--list").output.startswith("b.time_x +7.00% with any commit until 20")


def test_the_last_day_counts(db):
    expect(db, "x", "+6%", "--because", "y", "--until", "2999-03-31")
    assert stored(db)[0].until == datetime(2999, 3, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["time_y", "+6%", "--because", "y"], "no metric 'time_y'; did you mean 'time_x'"),
        (["x", "6%", "--because", "y"], r"'6%' is no change; write \+6%"),
        (["x", "+6%"], "give --because"),
        (["x", "+6%", "--because", " "], "give --because"),
        (["x"], "give a METRIC and a CHANGE"),
        (["x", "+6%", "--because", "y", "--until", "soon"], "is no date"),
        (["x", "+6%", "--because", "y", "--until", "2001-01-01"], "that day is over"),
        (["x", "+6%", "--because", "y", "--until", "2999-01-01", "--for", "3"], "not both"),
        (["x", "+6%", "--because", "y", "--project", "q"], "no project 'q'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_stored(db, args, said):
    with pytest.raises(UsageError, match=said):
        expect(db, *args)
    assert stored(db) == []


def test_an_unknown_option_is_one(db):
    done = expect(db, "x", "+6%", "--becaus", "y")
    assert done.exit_code == 2 and "--because" in done.output
