"""The pairs of the good commit with others that the store holds, of one machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tracker.domain import GateInfo, PairedValues, SeriesInfo
from tracker.gate.control import controls_of
from tracker.gate.stored import stored_controls
from tracker.measure.git import Commit
from tracker.store import Store, queries

__all__ = ["StoredPair", "StoredPairs"]


class StoredPair(NamedTuple):
    """A valid pair: the metric's values, and the times of its control by name."""

    base: float
    head: float
    controls: Mapping[str, tuple[float, float]]


class StoredPairs:
    """Pairs of the good commit with any other, from valid gates.

    Args:
        store: Where they are.
        project: Its name.
        machine: Where they were measured.
        good: The base of every pair.
        ignore: Commits whose gates that are in the store now do not count.
    """

    def __init__(
        self, store: Store, project: str, machine: str, good: Commit, ignore: Sequence[Commit] = ()
    ) -> None:
        self._store = store
        self._project = project
        self._machine = machine
        self._good = good
        self._ignored: set[str] = set()
        self._ignored = {gate.id for commit in ignore for gate in self._gates(commit)}

    def valid(self, head: Commit) -> list[GateInfo]:
        """Return the gates of `head` with a valid measurement, newest first."""
        return [gate for gate in self._gates(head) if gate.is_valid]

    def series(self, head: Commit, metric: str) -> SeriesInfo:
        """Return the series of `metric` in a gate that judged it."""
        *_, (newest, _) = self._values(head, metric)
        return newest.series

    def pairs(self, head: Commit, metric: str) -> list[StoredPair]:
        """Return the pairs of `metric` in the valid gates of `head`, oldest first."""
        pairs = []
        for values, gate in self._values(head, metric):
            times = stored_controls(self._store, self._project, gate.id)
            for number, (base, after) in zip(values.numbers, values.pairs, strict=True):
                own = controls_of({metric: values.series.benchmark}, times.get(number, {}))
                pairs.append(StoredPair(base, after, own.get(metric, {})))
        return pairs

    def failed(self, head: Commit) -> bool:
        """Whether the newest finished gate of `head` was invalid."""
        finished = [gate for gate in self._gates(head) if gate.exit_code is not None]
        return bool(finished) and not finished[0].is_valid

    def _values(self, head: Commit, metric: str) -> Iterator[tuple[PairedValues, GateInfo]]:
        for gate in reversed(self.valid(head)):
            values = queries.paired_values(
                self._store, self._project, self._good.hash, head.hash,
                gate_id=gate.id, machine=self._machine,
            )  # fmt: skip
            if metric in values and values[metric].pairs:
                yield values[metric], gate

    def _gates(self, head: Commit) -> list[GateInfo]:
        """Return the gates of `head` against the good commit, newest first."""
        gates = queries.gates_between(self._store, self._project, self._good.hash, head.hash)
        return [
            gate for gate in gates if gate.machine == self._machine and gate.id not in self._ignored
        ]
