"""Alerts and findings built by hand, for tests."""

from datetime import UTC, datetime

from tests.tracker.changepoints.histories import revision, series
from tracker.domain import AlertInfo, GateInfo, LevelShift, VerdictInfo
from tracker.findings import Change, group_by_commit
from tracker.store import queries
from tracker.triage import SetState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def alert(**changed):
    fields = {
        "id": 7,
        "project": "engine",
        "state": "open",
        "title": "000000000003 is worse on gpu-1: 1 series, most bench.track_ttft +12.00%",
        "detail": "000000000003 Be eager\nbench.track_ttft: +12.00% (1 s -> 1.120 s)",
        "revision": revision(3),
        "num_series": 1,
        "worst_effect": 0.12,
        "created_at": NOW,
        "updated_at": NOW,
        "key": "engine/3/gpu-1",
        "machine": "gpu-1",
        "detected": revision(3),
    }
    return AlertInfo(**{**fields, **changed})


def change(number, effect, *, worse=True, recovered=False, drift_commits=None, **fields):
    info = series(**fields)
    shift = LevelShift(
        series_id=info.id,
        revision=revision(number),
        before=1.0,
        after=1.0 + effect,
        effect=effect,
        worse=worse,
        algorithm="test-1",
        recovered=recovered,
        drift_commits=drift_commits,
    )
    return Change(info, shift)


def findings(*changes):
    return group_by_commit(changes)


def verdict(metric, status, effect):
    return VerdictInfo(
        gate_id="g1",
        metric=metric,
        unit="s",
        better="lower",
        kind="timing",
        status=status,
        effect=effect,
        low=effect - 0.01,
        high=effect + 0.01,
        pairs=6,
        base=1.0,
        head=1.0 + effect,
        mde=0.01,
    )


def gate(*verdicts, exit_code=1, **more):
    return GateInfo(
        id="g1",
        project="engine",
        machine="gpu-1",
        base=revision(2),
        head=revision(3),
        started_at=NOW,
        finished_at=NOW,
        exit_code=exit_code,
        pairs=6,
        verdicts=verdicts,
        **more,
    )


def move_alert(store, alert_id, move, *, note=None, until=None, by="ann", now=NOW):
    """Move an alert to another state as Ann does; returns it."""
    store.triage([alert_id], SetState(move, note, until), by=by, now=now)
    return queries.get_alert(store, alert_id)
