"""What a change of the environment is a change of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from tracker.domain import Cause, Fingerprint

__all__ = ["cause_of", "environment_changes"]

# Where several changed at once, the first of these is named: the deeper one explains more.
_FIELDS: dict[Cause, frozenset[str]] = {
    "hardware": frozenset({"gpu_model", "gpu_count", "cpu", "num_cpu"}),
    "driver": frozenset({"driver", "cuda", "os"}),
    "node": frozenset({"clocks_policy", "threads", "gpus"}),
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


def environment_changes(base: Fingerprint, head: Fingerprint) -> dict[str, tuple[object, object]]:
    """Return what differs between two environments: field, requirement or variable to its two values."""
    before, after = (
        {
            **{f.name: getattr(one, f.name) for f in fields(Fingerprint) if f.name != "extra"},
            **dict(one.extra),
        }
        for one in (base, head)
    )
    return {
        name: (before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
