"""The valid pairs of a gate, as they were measured."""

from __future__ import annotations

from sqlalchemy import select

from tracker.domain import Arm, GatePairs, MeasuredPair
from tracker.store import tables as t
from tracker.store.queries.series import load_several
from tracker.store.store import Store


def gate_pairs(store: Store, gate_id: str) -> GatePairs:
    """Return the pairs of a gate, and the series of every value in them as the suites order them.

    A pair counts if both of its launches are there. Of several launches of one arm the later counts:
    a gate that was cut off within a pair measures it again. What a launch skipped has no value.
    """
    r, run = t.result.c, t.run.c
    statement = (
        select(run.pair, run.arm, run.id, r.series_id, r.param_index, r.value)
        .join(t.run, run.id == r.run_id)
        .where(run.gate_id == gate_id, run.pair.is_not(None))
        .order_by(run.id, r.id)
    )
    launches: dict[int, dict[Arm, tuple[int, dict[int, float]]]] = {}
    places: dict[int, int] = {}  # of a series, its parameter point's
    with store.reading() as conn:
        for number, arm, run_id, series_id, place, value in conn.execute(statement):
            arms = launches.setdefault(number, {})
            if arm not in arms or arms[arm][0] != run_id:
                arms.pop(arm, None)  # so that the arm that was launched first comes first
                arms[arm] = (run_id, {})
            if value is not None:
                arms[arm][1][series_id] = value
                places[series_id] = place
        series = load_several(conn, sorted(places))
    names = {info.id: info.metric for info in series}

    def values(arms: dict[Arm, tuple[int, dict[int, float]]], arm: Arm) -> dict[str, float]:
        return {names[series_id]: value for series_id, value in arms[arm][1].items()}

    series.sort(key=lambda info: (info.benchmark, places[info.id]))
    return GatePairs(
        {info.metric: info for info in series},
        tuple(
            MeasuredPair(number, values(arms, "base"), values(arms, "head"), next(iter(arms)))
            for number, arms in sorted(launches.items())
            if len(arms) == 2
        ),
    )
