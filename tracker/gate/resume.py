"""Resuming a gate whose process was killed: its pairs are in the store.

A gate is resumed in the same checkout only, with the same policy, expectations and suites, so
that its pairs are of one kind. The process that measures a gate holds its lock, and the kernel
releases the lock when that process dies: no process measures a gate whose lock is free.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tracker.domain import GateInfo
from tracker.gate.policy import identity_of
from tracker.gate.session import Earlier
from tracker.gate.stored import measured_before
from tracker.measure.launch import Runner
from tracker.measure.project import MeasuredProject
from tracker.measure.worktree import locked, state_dir
from tracker.store import Store, queries

__all__ = ["Unfinished", "find_unfinished", "gate_lock", "place_of", "seed_of"]


@contextmanager
def gate_lock(root: Path, gate_id: str) -> Iterator[None]:
    """Hold the lock of a gate.

    Raises:
        BlockingIOError: Another process measures this gate.
    """
    folder = state_dir(root) / "gates"
    folder.mkdir(exist_ok=True)
    path = folder / f"{gate_id}.lock"
    with locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A gate to resume; closing `lock` gives its lock back."""

    gate_id: str
    seed: int
    earlier: Earlier
    lock: ExitStack


def place_of(project: MeasuredProject) -> dict[str, object]:
    """Return where and with which suites a gate is measured, as the store keeps it."""
    digest = hashlib.sha256()
    suites = project.benchmark_dir
    for file in sorted(suites.rglob("*.py")) if suites is not None else ():
        digest.update(str(file.relative_to(suites or file)).encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return {
        "checkout": f"{platform.node()}:{project.repository.root}",
        "suites": digest.hexdigest(),
    }


def find_unfinished(
    store: Store,
    runner: Runner,
    project: str,
    *,
    base: str,
    head: str,
    wanted: Mapping[str, object],
) -> Unfinished | None:
    """Return the newest gate of this kind that has pairs and no process, locked; None: there is none.

    Args:
        store: Where to look.
        runner: Of the machine and the checkout.
        project: Its name.
        base: Full hash.
        head: Full hash.
        wanted: The policy and what else is stored with it; see `identity_of`.
    """
    identity = identity_of(wanted)
    for gate in queries.gates_between(store, project, base, head):
        if gate.exit_code is not None or gate.machine != runner.machine:
            continue
        if identity_of(gate.policy) != identity:
            continue
        if not queries.gate_pairs(store, gate.id).pairs:
            continue  # perhaps just begun: another process may be about to take its lock
        lock = ExitStack()
        try:
            lock.enter_context(gate_lock(runner.project.repository.root, gate.id))
        except BlockingIOError:
            continue
        # Its process may have finished it before the lock was free.
        if queries.get_gate(store, gate.id).exit_code is None:
            return Unfinished(gate.id, seed_of(gate), measured_before(store, gate), lock)
        lock.close()
    return None


def seed_of(gate: GateInfo) -> int:
    """Return the seed that a gate was begun with."""
    seed = gate.policy.get("seed")
    return seed if isinstance(seed, int) else 0
