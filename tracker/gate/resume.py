"""Resuming a gate whose process was killed: its pairs are in the store.

A gate is resumed in the same checkout only, with the same policy, expectations and suites, so
that its pairs are of one kind. The process that measures a gate holds its lock, and the kernel
releases the lock when that process dies: no process measures a gate whose lock is free.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tracker.domain import GateInfo
from tracker.gate.policy import identity_of
from tracker.gate.session import Earlier
from tracker.gate.stored import measured_before
from tracker.measure.launch import Runner
from tracker.measure.project import MeasuredProject
from tracker.measure.worktree import state_dir
from tracker.store import Store, queries

__all__ = ["Claim", "Unfinished", "find_unfinished", "place_of", "seed_of"]


class Claim:
    """The lock of a gate while the context is open.

    Args:
        path: Of the lock file.
        handle: An open file that holds the lock.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle = handle

    @classmethod
    def of(cls, root: Path, gate_id: str) -> Self:
        """Return the claim on a gate; raise `BlockingIOError` where another process has it."""
        folder = state_dir(root) / "gates"
        folder.mkdir(exist_ok=True)
        path = folder / f"{gate_id}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise
        return cls(path, handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the lock back."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A gate to resume, with its lock."""

    gate_id: str
    seed: int
    earlier: Earlier
    claim: Claim


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
    """Return the newest gate of this kind that has pairs and no process, claimed; None: there is none.

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
            continue  # perhaps just begun: its lock is not to be touched
        try:
            claim = Claim.of(runner.project.repository.root, gate.id)
        except BlockingIOError:
            continue
        # Its process may have finished it between the look and the claim.
        if queries.get_gate(store, gate.id).exit_code is None:
            return Unfinished(gate.id, seed_of(gate), measured_before(store, gate), claim)
        claim.release()
    return None


def seed_of(gate: GateInfo) -> int:
    """Return the seed that a gate was begun with."""
    seed = gate.policy.get("seed")
    return seed if isinstance(seed, int) else 0
