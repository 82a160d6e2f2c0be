"""The A/A gates that the store holds, and the blocks in which they are counted.

A block holds the gates of one commit under one policy on one machine. The newest block marked
`fresh` is where counting begins: the machine is not what it was before.
"""

from __future__ import annotations

from datetime import datetime

from tracker.calibrate.result import Calibration
from tracker.domain import CalibrationBlock, GateInfo
from tracker.gate.policy import identity_of
from tracker.store import Store, queries

__all__ = ["blocks_of", "gates_of", "newest_block", "record_block"]


def blocks_of(store: Store, calibration: Calibration) -> list[CalibrationBlock]:
    """Return the blocks of the machine, newest first."""
    return queries.calibration_blocks(store, calibration.project, machine=calibration.machine)


def _block_policy(calibration: Calibration) -> dict[str, object]:
    """The policy as the store keeps it, with the commit."""
    return {**calibration.policy.as_dict(), "commit": calibration.commit.hash}


def newest_block(store: Store, calibration: Calibration) -> CalibrationBlock | None:
    """Return the newest block of the commit, policy and machine."""
    wanted = identity_of(_block_policy(calibration))
    return next(
        (
            block
            for block in blocks_of(store, calibration)
            if identity_of({k: v for k, v in block.policy.items() if k != "fresh"}) == wanted
        ),
        None,
    )


def gates_of(store: Store, calibration: Calibration, since: datetime | None) -> list[GateInfo]:
    """Return the valid A/A gates of the commit on the machine under the policy, oldest first."""
    policy = calibration.policy.as_dict()
    wanted = identity_of(policy)
    commit = calibration.commit.hash
    return [
        gate
        for gate in reversed(queries.gates_between(store, calibration.project, commit, commit))
        if gate.machine == calibration.machine
        and gate.is_valid
        and (since is None or gate.started_at >= since)
        and identity_of({k: v for k, v in gate.policy.items() if k in policy}) == wanted
    ]


def record_block(store: Store, calibration: Calibration, fresh: bool) -> None:
    """Store how many gates and false blocks there are by now."""
    store.record_calibration(
        calibration.project,
        CalibrationBlock(
            machine=calibration.machine,
            started_at=calibration.gates[0].started_at,
            gates=len(calibration.gates),
            false_blocks=calibration.false_blocks,
            policy=_block_policy(calibration) | ({"fresh": True} if fresh else {}),
        ),
    )
