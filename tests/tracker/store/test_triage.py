"""Triage in the store: what each act changes, what it refuses, and a history that only grows."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tracker.changepoints.histories import revision
from tests.tracker.changepoints.stores import SPEED, STEPS, TTFT, record_history
from tracker.alerts import AlertsConfig, notify
from tracker.changepoints import analyze
from tracker.domain import RevisionRecord
from tracker.errors import UsageError
from tracker.store import Store, queries
from tracker.stored_findings import triaged_at
from tracker.triage import (
    ALL_STATES,
    Assign,
    Comment,
    Link,
    Merge,
    MoveCommit,
    SetState,
    Split,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET = AlertsConfig(console=False)
CULPRIT = revision(5).commit


def fill(store: Store) -> None:
    """Commit 5 moves three series on gpu-1 and one on gpu-2; each machine has an alert."""
    moved = {
        TTFT: [0.010] * 5 + [0.012] * 5,
        SPEED: [50.0] * 5 + [40.0] * 5,
        STEPS: [141] * 5 + [150] * 5,
    }
    for machine, series in (("gpu-1", moved), ("gpu-2", {STEPS: moved[STEPS]})):
        record_history(store, series, machine=machine)
    analyze(store)
    notify(store, "engine", QUIET)


@pytest.fixture
def store(store_url: str):
    with Store.open(store_url) as opened:
        fill(opened)
        yield opened


def alert_on(store: Store, machine: str):
    listed = queries.list_alerts(store, "engine", states=ALL_STATES, merged=True)
    return min((a for a in listed if a.machine == machine), key=lambda alert: alert.id)


def do(store: Store, alert, act, *, by="ann@example.org", now=NOW):
    store.triage([alert.id], act, by=by, now=now)
    return queries.get_alert(store, alert.id)


def test_each_act_changes_one_thing_and_is_remembered_with_who_and_when(store: Store) -> None:
    alert = alert_on(store, "gpu-1")
    acts = [
        (Assign(" Bo "), "assignee", "Bo", "assigned to Bo"),
        (Link("https://example.org/i/7"), "issue", "https://example.org/i/7", None),
        (SetState("ack", "mine"), "state", "acked", "acked: mine"),
        (SetState("expect", "worth it"), "state", "expected", "expected: worth it"),
        (SetState("reopen"), "state", "open", "open"),
        (SetState("resolve"), "state", "resolved", "resolved"),
        (Assign(None), "assignee", None, "assigned to nobody"),
        (Link(None), "issue", None, "issue removed"),
        (Comment("a\nb"), "state", "resolved", "a b"),
    ]
    for minute, (act, field, value, text) in enumerate(acts):
        when = NOW + timedelta(minutes=minute)
        changed = do(store, alert, act, now=when)
        event = changed.history[-1]
        assert getattr(changed, field) == value
        assert (event.at, event.by) == (when, "ann@example.org")
        assert text is None or event.text == text
        assert len(changed.history) == len(alert.history) + minute + 1
        assert changed.updated_at == when


REFUSED = [
    (Link("javascript:alert(1)"), "no URL of an issue"),
    (Link("https:///path"), "no URL of an issue"),
    (Link("https://example.org/a b"), "no URL of an issue"),
    (Assign("  "), "the assignee is empty"),
    (Comment("x" * 10_001), "10001 characters"),
    (SetState("expect", until=NOW), "is over"),
    (SetState("ack", until=NOW + timedelta(days=1)), "only an expected change"),
    (SetState("reopen"), "cannot reopen an alert that is open; possible: ack, expect, resolve"),
    (Split(("nosuch",)), "covers no series 'nosuch'"),
    (Split(), "is not merged"),
    (Merge(99), "no alert 99"),
]


def test_what_cannot_be_done_is_refused_and_changes_nothing(store: Store) -> None:
    before = alert_on(store, "gpu-1")
    for act, complaint in REFUSED:
        with pytest.raises(UsageError, match=complaint):
            do(store, before, act)
        assert queries.get_alert(store, before.id) == before


def test_several_alerts_change_together_or_not_at_all(store: Store) -> None:
    first, second = alert_on(store, "gpu-1"), alert_on(store, "gpu-2")
    do(store, second, SetState("ack"))
    with pytest.raises(UsageError, match="cannot ack"):
        store.triage([first.id, second.id], SetState("ack"), by="ann", now=NOW)
    assert queries.get_alert(store, first.id).state == "open"
    store.triage([first.id, second.id], SetState("resolve"), by="ann", now=NOW)
    assert queries.list_alerts(store, "engine") == []


def test_an_acceptance_ends_by_itself_and_is_delivered_again(store: Store, monkeypatch) -> None:
    alert = alert_on(store, "gpu-1")
    end = datetime.now(UTC) + timedelta(seconds=0.5)
    accepted = do(store, alert, SetState("expect", "a spike", end), now=datetime.now(UTC))
    assert (accepted.state, accepted.until) == ("expected", end)
    threading.Event().wait((end - datetime.now(UTC)).total_seconds() + 0.01)
    assert queries.get_alert(store, alert.id).state == "open"  # no service has run
    assert alert.id in [a.id for a in queries.list_alerts(store, "engine")]
    notify(store, "engine", QUIET)
    after = queries.get_alert(store, alert.id)
    assert (after.state, after.until) == ("open", None)
    assert after.history[-1].action == "expired"


def test_a_merged_alert_is_a_part_of_the_other_until_it_is_split_again(store: Store) -> None:
    first, second = alert_on(store, "gpu-1"), alert_on(store, "gpu-2")
    merged = do(store, second, Merge(first.id))
    assert merged.merged_into == first.key
    assert [a.id for a in queries.list_alerts(store, "engine")] == [first.id]
    (item,) = triaged_at(store, "engine", CULPRIT)
    assert (item.alert.id, [part.id for part in item.merged]) == (first.id, [second.id])
    assert sorted(c.series.machine for c in item.finding.changes) == ["gpu-1"] * 3 + ["gpu-2"]
    for act in (SetState("ack"), Merge(first.id), MoveCommit("later")):
        with pytest.raises(UsageError, match="is merged into another"):
            do(store, second, act)
    with pytest.raises(UsageError, match="cannot be merged into itself"):
        do(store, first, Merge(first.id))
    assert do(store, second, Split()).merged_into is None
    assert len(triaged_at(store, "engine", CULPRIT)) == 2


def test_series_that_are_split_off_have_a_state_of_their_own(store: Store) -> None:
    whole = alert_on(store, "gpu-1")
    do(store, whole, Split((STEPS.name,)))
    items = {item.alert.id: item for item in triaged_at(store, "engine", CULPRIT)}
    rest = items.pop(whole.id)
    assert {c.series.metric for c in rest.finding.changes} == {TTFT.name, SPEED.name}
    part = next(i for i in items.values() if i.finding.machine == "gpu-1")
    assert [c.series.metric for c in part.finding.changes] == [STEPS.name]
    assert part.alert.num_series == 1
    do(store, part.alert, SetState("expect", "more steps"))
    assert queries.get_alert(store, whole.id).state == "open"
    with pytest.raises(UsageError, match="leave at least one"):
        do(store, part.alert, Split((STEPS.name,)))
    # The next search for shifts opens no alert again, sends none and withdraws none.
    assert notify(store, "engine", QUIET).opened == ()
    states = {a.id: a.state for a in queries.list_alerts(store, "engine", states=ALL_STATES)}
    assert states[part.alert.id] == "expected"
    assert not any("withdrawn" in e.action for e in queries.get_alert(store, whole.id).history)
    # Merged again, they are one finding.
    do(store, part.alert, Merge(whole.id))
    machines = [item.finding.machine for item in triaged_at(store, "engine", CULPRIT)]
    assert sorted(machines) == ["gpu-1", "gpu-2"]


def test_a_finding_moves_by_one_commit_with_its_alert(store: Store) -> None:
    alert = alert_on(store, "gpu-1")
    moved = do(store, alert, MoveCommit("earlier"))
    assert (moved.revision.commit, moved.detected.commit) == (revision(4).commit, CULPRIT)
    assert moved.key == alert.key
    (item,) = triaged_at(store, "engine", revision(4).commit)
    assert len(item.finding.changes) == 3
    assert [i.finding.machine for i in triaged_at(store, "engine", CULPRIT)] == ["gpu-2"]
    assert notify(store, "engine", QUIET).opened == ()
    back = do(store, moved, MoveCommit("later"))
    assert back.revision == back.detected
    with pytest.raises(UsageError, match="knows no commit later"):
        for _ in range(9):
            do(store, back, MoveCommit("later"))


def test_neighbours_follow_first_parents_where_they_are_known(store: Store) -> None:
    names = [revision(number).commit for number in range(3)]
    side = "f" * 40
    store.record_revisions(
        "engine",
        [
            # A rebase wrote them in one second; only parents tell the order.
            RevisionRecord(names[0], revision(0).committed_at, ()),
            RevisionRecord(names[1], revision(1).committed_at, (names[0],)),
            RevisionRecord(side, revision(1).committed_at, (names[0],)),
            RevisionRecord(names[2], revision(2).committed_at, (names[1], side)),
        ],
    )

    def near(commit, later):
        found = queries.neighbour(store, "engine", commit, later=later)
        return None if found is None else found.commit

    assert near(names[2], later=False) == names[1]
    assert near(names[1], later=True) == names[2]
    assert near(names[0], later=False) is None
    assert near(side, later=False) == names[0]
    assert near(side, later=True) != names[2]


def test_two_people_at_once_are_both_in_the_history(store: Store) -> None:
    alert = alert_on(store, "gpu-1")
    with Store.open(store.engine_url) as other:
        threads = [
            threading.Thread(target=lambda s=s, n=n: do(s, alert, Comment(f"from {n}")))
            for n, s in enumerate((store, other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    said = [event.text for event in queries.get_alert(store, alert.id).history]
    assert {"from 0", "from 1"} <= set(said)


ACTS = st.one_of(
    st.builds(SetState, st.sampled_from(["ack", "expect", "resolve", "reopen"]), st.none()),
    st.builds(Assign, st.sampled_from([None, "bo"])),
    st.builds(Comment, st.text(min_size=1, max_size=5)),
    st.builds(Merge, st.integers(1, 4)),
    st.sampled_from([Split(), Split((STEPS.name,)), MoveCommit("earlier"), MoveCommit("later")]),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(1, 4), ACTS), max_size=12))
def test_whatever_people_do_the_history_grows_and_every_series_has_one_place(
    tmp_path, acts
) -> None:
    with Store.open("sqlite://") as store:
        fill(store)
        known: dict[int, tuple[object, ...]] = {}
        for alert_id, act in acts:
            with contextlib.suppress(UsageError):
                store.triage([alert_id], act, by="ann", now=NOW)
            for alert in queries.list_alerts(store, states=ALL_STATES, merged=True):
                earlier = known.get(alert.id, ())
                assert alert.history[: len(earlier)] == earlier
                known[alert.id] = alert.history
        places = [
            change.series.id
            for number in range(10)
            for item in triaged_at(store, "engine", revision(number).commit)
            for change in item.finding.changes
        ]
        assert sorted(places) == [1, 2, 3, 4]


def test_a_log_of_an_older_version_is_the_beginning_of_the_history(store: Store) -> None:
    from sqlalchemy import update

    from tracker.store import tables

    alert = alert_on(store, "gpu-1")
    old = "2026-01-02T03:04:05Z acked: looking\n2026-01-02T03:05:00Z delivered to console\nodd"
    store.write(
        lambda tx: tx.conn.execute(
            update(tables.alert).where(tables.alert.c.id == alert.id).values(note=old)
        )
    )
    read = queries.get_alert(store, alert.id)
    assert [event.text for event in read.history[:3]] == [
        "acked: looking",
        "delivered to console",
        "odd",
    ]
    assert read.history[0].at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read.history[1].action == "delivered"
