"""A policy tried on history: every stored gate replayed, and what would have come out otherwise."""

from __future__ import annotations

from tracker.gate.policy import Policy
from tracker.gate.replay import replay
from tracker.report.backtest import BackTest, Replayed
from tracker.store import Store, queries

__all__ = ["backtest"]


def backtest(store: Store, project: str, policy: Policy, *, machine: str | None = None) -> BackTest:
    """Replay every finished gate of a project whose measurement was valid.

    A policy is judged on the pairs that were measured: where it would have asked for more than
    there are, its verdict is inconclusive.

    Args:
        store: Read only.
        project: Its name.
        policy: What is tried.
        machine: Only gates of this machine.

    Raises:
        UsageError: No such project.
    """
    gates = [
        gate
        for gate in reversed(queries.list_gates(store, project, limit=None))
        if machine is None or gate.machine == machine
    ]
    valid = [gate for gate in gates if gate.is_valid]
    replayed = tuple(Replayed(gate, replay(store, gate, policy)) for gate in valid)
    return BackTest(project, policy.summary, replayed, len(gates) - len(valid))
