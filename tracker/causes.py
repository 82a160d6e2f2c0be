"""What a change of the environment is a change of. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tracker.domain import Cause

__all__ = ["cause_of"]

# Where several changed at once, the first of these is named: the deeper one explains more.
_FIELDS: dict[Cause, frozenset[str]] = {
    "hardware": frozenset({"gpu_model", "gpu_count", "cpu", "num_cpu"}),
    "driver": frozenset({"driver", "cuda", "os"}),
    "node": frozenset({"clocks_policy", "threads"}),
    "measuring tool": frozenset({"asv", "asv_runner"}),
}


def cause_of(fields: Iterable[str]) -> Cause:
    """Return what the changed fields of a fingerprint belong to; a dependency if to nothing else.

    Args:
        fields: Names of `tracker.domain.Fingerprint`, or of a requirement or variable in its
            `extra`; none at all: the code.
    """
    changed = frozenset(fields)
    if not changed:
        return "code"
    for cause, names in _FIELDS.items():
        if changed & names:
            return cause
    return "dependency"
