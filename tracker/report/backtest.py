"""What another policy would have said of the gates that a store holds, as text, Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tracker.domain import GateInfo
from tracker.report.model import Report

__all__ = ["BACKTEST_FORMATS", "BackTest", "Replayed"]

_BLOCKS = (1, 3)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One stored gate, and its report under the policy that is tried."""

    gate: GateInfo
    report: Report

    @property
    def then(self) -> str:
        """The outcome of the time in one word."""
        return self.gate.outcome or "unfinished"

    @property
    def now(self) -> str:
        return self.report.outcome

    @property
    def is_aa(self) -> bool:
        """Whether both commits are one, so that blocking it is a false alarm."""
        return self.gate.base.commit == self.gate.head.commit

    @property
    def change(self) -> str:
        """ "blocked" or "freed" where the policy would have decided otherwise, else ""."""
        was, would = self.gate.exit_code in _BLOCKS, self.report.exit_code in _BLOCKS
        if was == would:
            return ""
        return "blocked" if would else "freed"

    @property
    def why(self) -> str:
        """The metrics that made the difference, the first three."""
        if self.change == "blocked":
            names = [row.metric for row in self.report.worst_first if row.blocks]
            names = names or [row.metric for row in self.report.undecided]
        else:
            names = [v.metric for v in self.gate.verdicts if v.status == "regression"]
        shown = ", ".join(names[:3])
        return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


@dataclass(frozen=True, slots=True)
class BackTest:
    """A policy tried on every stored gate with a valid measurement, oldest first."""

    project: str
    policy: str
    gates: tuple[Replayed, ...]
    left_out: int  # unfinished or invalid ones

    def changed(self, how: str, *, aa: bool = False) -> tuple[Replayed, ...]:
        """Return the gates that would have been "blocked" or "freed", A/A gates or the others."""
        return tuple(one for one in self.gates if one.change == how and one.is_aa is aa)

    @property
    def summary(self) -> str:
        """The outcome in one sentence."""
        false_then = sum(one.is_aa and one.gate.exit_code == 1 for one in self.gates)
        false_now = sum(one.is_aa and one.report.exit_code == 1 for one in self.gates)
        num_aa = sum(one.is_aa for one in self.gates)
        text = (
            f"{len(self.gates)} gates: {len(self.changed('blocked'))} that passed would be blocked, "
            f"{len(self.changed('freed'))} that were blocked would pass"
        )
        if num_aa:
            text += f"; of {num_aa} A/A gates {false_then} were regressions, {false_now} would be"
        return text


def _text(found: BackTest) -> str:
    lines = [f"project: {found.project}", f"policy: {found.policy}", ""]
    table = [_HEADER, *(_cells(one) for one in found.gates)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(_HEADER))]
    for cells in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    lines.append("")
    if found.left_out:
        lines.append(f"{found.left_out} gates without a valid measurement are left out")
    lines.append(found.summary)
    return "\n".join(lines) + "\n"


def _markdown(found: BackTest) -> str:
    lines = [f"### {found.summary}", ""]
    shown = [one for one in found.gates if one.change]
    if shown:
        lines += ["| " + " | ".join(_HEADER) + " |", "|" + "---|" * len(_HEADER)]
        for one in shown:
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in _cells(one)) + " |")
        lines.append("")
    return "\n".join([*lines, f"<sub>policy {found.policy}</sub>"]) + "\n"


def _json(found: BackTest) -> str:
    document = {
        "format": 1,
        "project": found.project,
        "policy": found.policy,
        "summary": found.summary,
        "left_out": found.left_out,
        "gates": [
            {
                "gate_id": one.gate.id,
                "machine": one.gate.machine,
                "started_at": one.gate.started_at.isoformat(),
                "base": one.gate.base.commit,
                "head": one.gate.head.commit,
                "then": one.then,
                "now": one.now,
                "change": one.change or None,
                "is_aa": one.is_aa,
                "blocking": [row.metric for row in one.report.worst_first if row.blocks],
            }
            for one in found.gates
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_HEADER = ("gate", "of", "base", "head", "then", "now", "", "metrics")


def _cells(one: Replayed) -> tuple[str, ...]:
    gate = one.gate
    head = "itself" if one.is_aa else gate.head.commit[:8]
    started = f"{gate.started_at:%Y-%m-%d %H:%M}"
    why = one.why if one.change else ""
    return (gate.id[:8], started, gate.base.commit[:8], head, one.then, one.now, one.change, why)


BACKTEST_FORMATS: dict[str, Callable[[BackTest], str]] = {
    "text": _text,
    "markdown": _markdown,
    "json": _json,
}
