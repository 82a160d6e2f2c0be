"""Level shifts of every stored series: find them, keep them, group them by commit."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from tracker.domain import Detection, LastSearch, Search, SeriesInfo
from tracker.errors import MeasurementError, UsageError, did_you_mean
from tracker.findings import Analysis, group_by_commit
from tracker.shifts import RULES, SeriesShifts, algorithm_of, find_shifts
from tracker.stats import DRIFT_ALGORITHM
from tracker.store import Store, queries
from tracker.stored_findings import all_confirmed

__all__ = ["analyze"]

Progress = Callable[[int, int], None]

_BLOCK = 50  # searches stored in one transaction
_WORTH_PROCESSES = 50_000  # points, about a second of searching


def analyze(
    store: Store,
    *,
    project: str | None = None,
    machine: str | None = None,
    search: str | None = None,
    progress: Progress | None = None,
    processes: int = 1,
) -> Analysis:
    """Find the level shifts of every series chosen, and keep them in the store.

    A series that has nothing new, and whose commits stand in the order they stood in, is not
    searched again: its shifts come from the store.

    Args:
        store: Open for writing; the derived shifts of what is searched are replaced.
        project: Only this project; else all.
        machine: Only this machine.
        search: Only series whose benchmark name contains this text.
        progress: Called with (series done, series in all) after each series.
        processes: Search in so many processes where there is much to search; more than one needs a
            store that is not in memory, and a system that forks.

    Raises:
        UsageError: The project does not exist, or nothing fits the machine or the text.
        MeasurementError: The store has no series.
    """
    chosen = _choose(store, project, machine, search)
    all_shifts: list[SeriesShifts] = []
    for done, shifts in enumerate(_shifts_of(store, chosen, processes), start=1):
        all_shifts.append(shifts)
        if progress is not None:
            progress(done, len(chosen))
    return Analysis(
        findings=all_confirmed(
            store, group_by_commit(change for shifts in all_shifts for change in shifts.changes)
        ),
        num_series=len(all_shifts),
        num_without_values=sum(shifts.num_points == 0 for shifts in all_shifts),
        num_points=sum(shifts.num_points for shifts in all_shifts),
        num_missing=sum(shifts.num_missing for shifts in all_shifts),
        num_segments=sum(shifts.num_segments for shifts in all_shifts),
        num_shifts=sum(len(shifts.changes) for shifts in all_shifts),
        moves=group_by_commit(change for shifts in all_shifts for change in shifts.moves),
    )


def _shifts_of(
    store: Store, chosen: Sequence[SeriesInfo], processes: int
) -> Iterator[SeriesShifts]:
    """What each series says: as the store has it where the series is still what it follows from."""
    last: dict[int, LastSearch] = {}
    for project in dict.fromkeys(series.project for series in chosen):
        last |= queries.last_searches(store, project)
    # Told before the points are read: what is added in between, the next search looks at.
    bases = {series.id: _basis(series, last[series.id].stamp) for series in chosen}
    kept = {
        series_id: detection
        for series_id, basis in bases.items()
        if (detection := last[series_id].detection) is not None and detection.basis == basis
    }
    changed = _searched(store, [series for series in chosen if series.id not in kept], processes)
    searches: list[Search] = []
    for series in chosen:
        if (stands := kept.get(series.id)) is not None:
            yield SeriesShifts(
                series,
                last[series.id].shifts,
                num_points=stands.num_points,
                num_missing=stands.num_missing,
                num_segments=stands.num_segments,
            )
        else:
            shifts = next(changed)
            searches.append(_as_stored(shifts, bases[series.id]))
            if len(searches) == _BLOCK:
                store.record_searches(searches)
                searches = []
            yield shifts
    if searches:
        store.record_searches(searches)


def _searched(store: Store, chosen: Sequence[SeriesInfo], processes: int) -> Iterator[SeriesShifts]:
    """Search each series; in processes of their own where that takes longer than starting them."""
    if processes < 2 or sum(series.num_points for series in chosen) < _WORTH_PROCESSES:
        yield from map(find_shifts, queries.histories(store, chosen))
        return
    size = max(1, len(chosen) // (4 * processes))
    blocks = [chosen[start : start + size] for start in range(0, len(chosen), size)]
    # Forked, so that nothing is imported again; a fork shares no connection with its parent.
    ignore_interrupt = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    with ProcessPoolExecutor(processes, get_context("fork"), ignore_interrupt) as pool:
        for block_shifts in pool.map(partial(_search_block, store.engine_url), blocks):
            yield from block_shifts


def _search_block(url: str, block: Sequence[SeriesInfo]) -> list[SeriesShifts]:
    with Store.open(url, read_only=True) as store:
        return [find_shifts(history) for history in queries.histories(store, block)]


def _basis(series: SeriesInfo, stamp: str) -> str:
    """Digest of all that the level shifts of a series follow from."""
    facts = (RULES, algorithm_of(series), DRIFT_ALGORITHM, series.better, series.step, stamp)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _as_stored(shifts: SeriesShifts, basis: str) -> Search:
    detection = Detection(basis, shifts.num_points, shifts.num_missing, shifts.num_segments)
    return Search(shifts.series.id, shifts.shifts, algorithm_of(shifts.series), detection)


def _choose(
    store: Store, project: str | None, machine: str | None, search: str | None
) -> list[SeriesInfo]:
    projects = [info.name for info in queries.list_projects(store)]
    if project is not None and projects and project not in projects:
        raise UsageError(f"no project {project!r} in the store; {did_you_mean(project, projects)}")
    wanted = projects if project is None else [project]
    chosen = [
        series
        for name in wanted
        if machine is None or machine in queries.list_machines(store, name)
        for series in queries.list_series(store, name, machine=machine, search=search)
    ]
    if chosen:
        return chosen
    if any(queries.list_series(store, name, limit=1) for name in projects):
        asked = [("project", project), ("machine", machine), ("search", search)]
        given = " ".join(f"--{name} {value}" for name, value in asked if value is not None)
        raise UsageError(f"no series fits {given}; `tracker changepoints` alone looks at all")
    raise MeasurementError(
        "the store has no series; fill it with `tracker run` or `tracker ingest`"
    )
