"""The options of `tracker gate` as one value, checked before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.cli.options import LabOptions
from tracker.cli.outputs import Outputs
from tracker.cli.timespan import seconds
from tracker.errors import UsageError

__all__ = ["GateOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """What `tracker gate` was asked for; the names are those of the command line.

    Raises:
        UsageError: Options that contradict each other, or a value that means nothing.
    """

    base: str | None
    head: str | None
    stored: bool
    all_metrics: bool
    max_pairs: int | None
    budget: str | None
    fail_fast: bool
    fresh: bool
    creep: bool
    explain: bool
    ignore_messages: bool
    seed: int | None
    form: str
    out: Path | None
    reports: tuple[Path, ...]
    notes: tuple[str, ...]
    lab: LabOptions
    project: str | None
    gate_id: str | None

    def __post_init__(self) -> None:
        if self.stored:
            measuring = {
                "python": self.lab.python, "environment": self.lab.environment, "seed": self.seed,
                "fail-fast": self.fail_fast, "fresh": self.fresh, "creep": self.creep,
                "explain": self.explain,
                "ignore-messages": self.ignore_messages,
            }  # fmt: skip
            for option, value in measuring.items():
                if value is not None and value is not False:  # a seed may be 0
                    raise UsageError(f"--{option} measures, and --stored does not; leave one out")
        elif self.gate_id is not None:
            raise UsageError("--gate needs --stored")
        every_gate = self.stored and self.base is None
        if not every_gate and (self.base is None or self.head is None):
            raise UsageError(
                "Missing argument: give BASE and HEAD, or --stored for every stored gate"
            )

    @property
    def commits(self) -> tuple[str, str] | None:
        """BASE and HEAD; None: every stored gate."""
        return None if self.base is None or self.head is None else (self.base, self.head)

    @property
    def outputs(self) -> Outputs:
        return Outputs(self.form, self.out, self.reports)

    @property
    def policy(self) -> dict[str, Any]:
        """The keys of the policy that the command line sets."""
        keys = {"max_pairs": self.max_pairs, "budget": seconds("--budget", self.budget)}
        return self.lab.policy | {key: value for key, value in keys.items() if value is not None}
