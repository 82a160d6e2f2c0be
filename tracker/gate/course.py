"""What happened in a gate beside its pairs. The store keeps it, so that a replay says the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tracker.report import Missing

__all__ = ["Course"]


@dataclass(slots=True)
class Course:
    """Facts of a measurement that its valid pairs do not hold.

    Attributes:
        missing: Metrics that a launch failed to give, each with where and why.
        warnings: Sentences.
        invalid: Why the measurement as a whole decides nothing; empty when it is valid.
        infrastructure: Why nothing could be measured, where that is not HEAD's doing.
        stopped: Why no more pairs were measured.
        dropped: Pairs dropped.
        moved: Those of them that were dropped because the machine's speed changed.
        attempts: Pairs begun in this process.
        seconds: Wall time, without `waited`.
        waited: Seconds in which another measurement had the machine.
        interrupted: Whether Ctrl-C ended it.
        creep: Tag of the release and id of the gate that measured HEAD against it; None: none did.
    """

    missing: list[Missing] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    infrastructure: list[str] = field(default_factory=list)
    stopped: str = ""
    dropped: int = 0
    moved: int = 0
    attempts: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    interrupted: bool = False
    creep: tuple[str, str] | None = None

    def failing(self, *where: Literal["base", "head", "both"]) -> frozenset[str]:
        """Return the voting metrics that fail in `where`, or anywhere if that is not given."""
        return frozenset(
            m.metric for m in self.missing if m.fails and (not where or m.where in where)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Course:
        """Return what `as_dict` gave, out of the store; keys of another version count for nothing."""
        known = {key: stored[key] for key in cls.__dataclass_fields__ if key in stored}
        creep = known.get("creep")
        known |= {
            "missing": [
                Missing(**{**item, "log": tuple(item["log"])}) for item in known.get("missing", ())
            ],
            "creep": (creep[0], creep[1]) if creep else None,
        }
        return cls(**known)
