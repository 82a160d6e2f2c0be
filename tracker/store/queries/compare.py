"""Two revisions side by side, and the values a stored gate judges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from tracker.domain import Arm, ComparisonRow, PairedValues, SeriesFilter, SeriesInfo
from tracker.errors import UsageError, did_you_mean
from tracker.store import tables as t
from tracker.store.base import chunks
from tracker.store.queries.points import Attempt, middle, status_of
from tracker.store.queries.projects import find_machine, find_project
from tracker.store.queries.revisions import find_revision
from tracker.store.queries.series import load_several, series_order
from tracker.store.store import Store

_r = t.result.c

StoredRow = Any  # a row of `_results`; SQLAlchemy types it by its columns


def compare(
    store: Store,
    project: str,
    base: str,
    head: str,
    wanted: SeriesFilter | None = None,
) -> list[ComparisonRow]:
    """Return every series measured at either revision; values are medians over attempts.

    What the noise says of the changes is `tracker.comparison`'s to add.

    Args:
        store: Where to look.
        project: Its name.
        base: Hash, or the beginning of one.
        head: Hash, or the beginning of one.
        wanted: Which series; all by default.

    Raises:
        UsageError: A commit, the machine or the environment is not there.
    """
    wanted = wanted or SeriesFilter()
    rows, base_id, head_id = _results_at(store, project, base, head, wanted.machine)
    if (environment := wanted.environment) is not None:
        known = sorted({series.environment for series, _ in rows})
        if environment not in known:
            mend = did_you_mean(environment, known)
            raise UsageError(f"no environment {environment!r} at these commits; {mend}")
        rows = [row for row in rows if row[0].environment == environment]
    rows = [row for row in rows if wanted.fits(row[0].metric)]
    with store.reading() as conn:
        launches = _repeated_launches(conn, [series.id for series, _ in rows])
    table = []
    for series, results in rows:
        sides = [
            [_attempt(result) for result in results if result.revision_id == side]
            for side in (base_id, head_id)
        ]
        table.append(
            ComparisonRow(
                series=series,
                base=middle(sides[0]),
                head=middle(sides[1]),
                base_status=status_of(sides[0]) if sides[0] else None,
                head_status=status_of(sides[1]) if sides[1] else None,
                base_values=_values(sides[0]),
                head_values=_values(sides[1]),
                launches=tuple(launches.get(series.id, ())),
            )
        )
    return table


def paired_values(
    store: Store,
    project: str,
    base: str,
    head: str,
    *,
    gate_id: str | None = None,
    machine: str | None = None,
) -> dict[str, PairedValues]:
    """Return, by metric name, the values stored at both revisions.

    Pairs are those of the gate `gate_id` between these two revisions, none without it; every
    other value stands in `base` or `head`, other gates' included. A metric without a value on both
    sides is left out. Where two series share a metric's name (two environments, or two machines
    if `machine` is None), the name carries both: `name [environment, machine]`.

    Raises:
        UsageError: A commit or the machine is not there.
    """
    rows, base_id, _ = _results_at(store, project, base, head, machine)
    answers = [
        answer
        for series, results in rows
        if (answer := _paired(series, results, base_id, gate_id)) is not None
    ]
    names: dict[str, int] = defaultdict(int)
    for answer in answers:
        names[answer.series.metric] += 1
    by_name = {}
    for answer in answers:
        series = answer.series
        name = series.metric
        if names[name] > 1:
            name = f"{name} [{series.environment}, {series.machine}]"
        by_name[name] = answer
    return by_name


def _results_at(
    store: Store, project: str, base: str, head: str, machine: str | None
) -> tuple[list[tuple[SeriesInfo, list[StoredRow]]], int, int]:
    with store.reading() as conn:
        project_id = find_project(conn, project)
        base_id = find_revision(conn, project_id, base).id
        head_id = find_revision(conn, project_id, head).id
        machine_id = None if machine is None else find_machine(conn, project_id, machine)
        results = _results(conn, {base_id, head_id}, machine_id)
        measured = sorted(load_several(conn, sorted(results)), key=series_order)
    return [(series, results[series.id]) for series in measured], base_id, head_id


def _results(
    conn: Connection, revision_ids: Iterable[int], machine_id: int | None
) -> dict[int, list[StoredRow]]:
    statement = (
        select(
            _r.id,
            _r.series_id,
            _r.revision_id,
            _r.status,
            _r.value,
            _r.ci_low,
            _r.ci_high,
            _r.started_at,
            t.run.c.fingerprint_id,
            t.run.c.gate_id,
            t.run.c.pair,
            t.run.c.arm,
        )
        .join(t.run, t.run.c.id == _r.run_id)
        .where(_r.revision_id.in_(sorted(revision_ids)))
        .order_by(_r.id)
    )
    if machine_id is not None:
        statement = statement.where(t.run.c.machine_id == machine_id)
    by_series: dict[int, list[StoredRow]] = {}
    for row in conn.execute(statement):
        by_series.setdefault(row.series_id, []).append(row)
    return by_series


def _repeated_launches(
    conn: Connection, series_ids: Sequence[int]
) -> dict[int, list[tuple[float, ...]]]:
    """Return, by series, the values of each revision that one environment measured repeatedly."""
    groups: dict[tuple[int, int, int | None], list[float]] = defaultdict(list)
    for chunk in chunks(series_ids):
        statement = (
            select(_r.series_id, _r.revision_id, t.run.c.fingerprint_id, _r.value)
            .join(t.series, t.series.c.id == _r.series_id)
            .join(t.run, t.run.c.id == _r.run_id)
            .where(
                _r.series_id.in_(chunk),
                # Most histories hold one launch a commit, and are not read for this.
                t.series.c.num_results > t.series.c.num_points,
                _r.value.is_not(None),
            )
            .order_by(_r.id)
        )
        for series_id, revision_id, fingerprint_id, value in conn.execute(statement):
            groups[series_id, revision_id, fingerprint_id].append(value)
    repeated: dict[int, list[tuple[float, ...]]] = {}
    for (series_id, _, _), values in groups.items():
        if len(values) > 1:
            repeated.setdefault(series_id, []).append(tuple(values))
    return repeated


def _attempt(row: StoredRow) -> Attempt:
    return Attempt(
        row.status, row.value, row.ci_low, row.ci_high, row.started_at, row.fingerprint_id, row.id
    )


def _values(attempts: Sequence[Attempt]) -> tuple[float, ...]:
    return tuple(attempt.value for attempt in attempts if attempt.value is not None)


def _paired(
    series: SeriesInfo, results: Sequence[StoredRow], base_id: int, gate_id: str | None
) -> PairedValues | None:
    in_pairs: dict[
        int, dict[Arm, float]
    ] = {}  # of each pair, the arm that was launched first, first
    alone: dict[str, list[float]] = {"base": [], "head": []}
    for row in results:
        if row.value is None:
            continue
        ours = gate_id is not None and row.gate_id == gate_id
        if ours and row.pair is not None and row.arm is not None:
            # The later attempt counts: a gate that was cut off within a pair measures it again.
            arms = in_pairs.setdefault(row.pair, {})
            arms.pop(row.arm, None)
            arms[row.arm] = row.value
            continue
        # At an A/A comparison both sides are one revision: a value is not used twice.
        side = "base" if row.revision_id == base_id else "head"
        alone[side].append(row.value)
    whole = {number: arms for number, arms in sorted(in_pairs.items()) if len(arms) == 2}
    pairs = tuple((arms["base"], arms["head"]) for arms in whole.values())
    if not pairs and not (alone["base"] and alone["head"]):
        return None
    first = tuple(next(iter(arms)) for arms in whole.values())
    return PairedValues(
        series, tuple(whole), pairs, tuple(alone["base"]), tuple(alone["head"]), first
    )
