"""A reason against comparing a pair of launches, and the artifacts in which reasons are looked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tracker.domain import Launch
from tracker.measure.launch import LaunchResult

__all__ = ["Complaint", "by_scenario", "mapping"]

ComplaintKind = Literal[
    "code",
    "work",
    "fingerprint",
    "errors",
    "launch fails",
    "fails",
    "machine",
    "node",
    "device",
]


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a pair cannot be used.

    Attributes:
        kind: What sort of reason; "machine" and "node" come and go, the others are expected to
            persist.
        subject: What it is about: scenarios, metrics, fields.
        text: A sentence for the report.
    """

    kind: ComplaintKind
    subject: tuple[str, ...]
    text: str

    @property
    def persists(self) -> bool:
        return self.kind not in ("machine", "node")

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        return (self.kind, self.subject)


def by_scenario(base: LaunchResult, head: LaunchResult) -> dict[str, tuple[Launch, Launch]]:
    """Return the artifacts of base and head of each scenario that both ran."""
    of_base, of_head = (
        {header.benchmark: header for header in launch.launches} for launch in (base, head)
    )
    return {
        name: (of_base[name], of_head[name]) for name in sorted(of_base.keys() & of_head.keys())
    }


def mapping(value: object) -> Mapping[str, object]:
    """Return a part of a header that should be an object; an empty one where it is not."""
    return value if isinstance(value, dict) else {}
