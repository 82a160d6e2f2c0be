"""The pairs of traces of two commits that a gate, or an earlier explanation, left on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tracker.artifacts import fingerprint_of
from tracker.causes import cause_of, environment_changes
from tracker.domain import Arm, Fingerprint, GateLaunch, LaunchInfo
from tracker.explain.capture import Captured
from tracker.explain.explanation import Cause, from_document
from tracker.explain.trace import TraceError, read_trace
from tracker.load.profile import SUFFIX
from tracker.store import Store, queries

__all__ = ["stored_cause", "stored_traces"]

_TracePair = tuple[str, dict[Arm, Path]]  # of a suite


def stored_traces(
    store: Store, project: str, base: str, head: str, machine: str
) -> Captured | None:
    """Return the traces of the newest gate of two commits that wrote some, else of their explanation.

    A trace that is gone or cut off is among the problems; its pair does not count.

    Args:
        store: Where to look.
        project: Its name.
        base: Full hash.
        head: Full hash.
        machine: Where they were captured; the files are read here.

    Returns:
        None where no trace was ever written.
    """
    for gate in queries.gates_between(store, project, base, head):
        if gate.machine != machine:
            continue
        pairs = list(_pairs_of_gate(queries.gate_launches(store, project, gate_id=gate.id)))
        if pairs:
            return _read(pairs, f"gate {gate.id[:8]}")
    for kept in queries.list_explanations(store, project, head=head, base=base):
        if kept.machine != machine:
            continue
        pairs = [
            (suite.benchmark, {"base": Path(before), "head": Path(after)})
            for suite in from_document(kept.document).suites
            for before, after in suite.trace_pairs
        ]
        if pairs:
            return _read(pairs, f"the explanation of {kept.created_at:%Y-%m-%d %H:%M}")
    return None


def stored_cause(store: Store, project: str, base: str, head: str, machine: str) -> Cause | None:
    """Return what beside the code differs between the newest stored launches of two commits.

    Args:
        store, project, base, head, machine: As of `stored_traces`; both commits are in the store.

    Returns:
        None where nothing does, or nothing is known.
    """
    before, after = (
        _newest(
            launch
            for launch in queries.newest_launches(store, project, commits=[commit])
            if launch.machine == machine
        )
        for commit in (base, head)
    )
    for suite in sorted(before.keys() & after.keys()):
        changes = environment_changes(*(_fingerprint(one[suite]) for one in (before, after)))
        known = {name: ends for name, ends in changes.items() if None not in ends}
        if known:
            text = ", ".join(f"{name} from {was} to {now}" for name, (was, now) in known.items())
            return Cause(
                cause_of(known), f"stored launches of {suite} ran in different places: {text}"
            )
        versions = [_version(one[suite]) for one in (before, after)]
        if None not in versions and versions[0] != versions[1]:
            text = f"version {versions[0]} of {suite} measured BASE, version {versions[1]} HEAD"
            return Cause("suite", text)
    return None


def _pairs_of_gate(launches: Iterable[GateLaunch]) -> Iterator[_TracePair]:
    """Yield the pairs of which at least one launch wrote a trace beside its artifact."""
    arms: dict[tuple[str, int], dict[Arm, Path]] = {}
    for launch in launches:
        path = Path(launch.path).with_name(f"{launch.benchmark}{SUFFIX}")
        arms.setdefault((launch.benchmark, launch.pair), {})[launch.arm] = path
    for (benchmark, _), paths in sorted(arms.items()):
        if len(paths) == 2 and any(path.exists() for path in paths.values()):
            yield benchmark, paths


def _read(pairs: Iterable[_TracePair], source: str) -> Captured:
    captured = Captured(source=source)
    for benchmark, paths in pairs:
        try:
            pair = read_trace(paths["base"]), read_trace(paths["head"])
        except TraceError as error:
            earlier = captured.problems.get(benchmark)
            captured.problems[benchmark] = f"{earlier}; {error}" if earlier else str(error)
            continue
        captured.traces.setdefault(benchmark, []).append(pair)
    return captured


def _newest(launches: Iterable[LaunchInfo]) -> dict[str, LaunchInfo]:
    newest: dict[str, LaunchInfo] = {}
    for launch in launches:
        newest.setdefault(launch.benchmark, launch)
    return newest


def _fingerprint(launch: LaunchInfo) -> Fingerprint:
    facts = launch.header.get("fingerprint")
    return fingerprint_of(facts if isinstance(facts, dict) else {})


def _version(launch: LaunchInfo) -> object:
    scenario = launch.header.get("scenario")
    return scenario.get("version") if isinstance(scenario, dict) else None
