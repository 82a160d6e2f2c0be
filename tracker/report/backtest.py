"""The outcomes of stored gates under another policy, as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tracker.domain import GateInfo
from tracker.report.columns import aligned
from tracker.report.model import Report
from tracker.report.numbers import some_of

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
        return some_of(names)


@dataclass(frozen=True, slots=True)
class BackTest:
    """A policy tried on every stored gate with a valid measurement, oldest first."""

    project: str
    policy: str
    gates: tuple[Replayed, ...]
    left_out: int  # unfinished or invalid ones

    def changed(self, how: str, *, aa: bool = False) -> tuple[Replayed, ...]:
        """Return the gates that would have been "blocked" or "freed", A/A gates or the others."""
        return tuple(row for row in self.gates if row.change == how and row.is_aa is aa)

    @property
    def summary(self) -> str:
        """The outcome in one sentence."""
        false_then = sum(row.is_aa and row.gate.exit_code == 1 for row in self.gates)
        false_now = sum(row.is_aa and row.report.exit_code == 1 for row in self.gates)
        num_aa = sum(row.is_aa for row in self.gates)
        text = (
            f"{len(self.gates)} gates: {len(self.changed('blocked'))} that passed would be blocked, "
            f"{len(self.changed('freed'))} that were blocked would pass"
        )
        if num_aa:
            text += f"; of {num_aa} A/A gates {false_then} were regressions, {false_now} would be"
        return text


def _text(result: BackTest) -> str:
    lines = [f"project: {result.project}", f"policy: {result.policy}", ""]
    lines += [*aligned([_HEADER, *map(_cells, result.gates)]), ""]
    if result.left_out:
        lines.append(f"{result.left_out} gates without a valid measurement are left out")
    lines.append(result.summary)
    return "\n".join(lines) + "\n"


def _markdown(result: BackTest) -> str:
    lines = [f"### {result.summary}", ""]
    shown = [row for row in result.gates if row.change]
    if shown:
        lines += ["| " + " | ".join(_HEADER) + " |", "|" + "---|" * len(_HEADER)]
        for row in shown:
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in _cells(row)) + " |")
        lines.append("")
    return "\n".join([*lines, f"<sub>policy {result.policy}</sub>"]) + "\n"


def _json(result: BackTest) -> str:
    document = {
        "format": 1,
        "project": result.project,
        "policy": result.policy,
        "summary": result.summary,
        "left_out": result.left_out,
        "gates": [
            {
                "gate_id": row.gate.id,
                "machine": row.gate.machine,
                "started_at": row.gate.started_at.isoformat(),
                "base": row.gate.base.commit,
                "head": row.gate.head.commit,
                "then": row.then,
                "now": row.now,
                "change": row.change or None,
                "is_aa": row.is_aa,
                "blocking": [row.metric for row in row.report.worst_first if row.blocks],
            }
            for row in result.gates
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_HEADER = ("gate", "of", "base", "head", "then", "now", "", "metrics")


def _cells(row: Replayed) -> tuple[str, ...]:
    gate = row.gate
    head = "itself" if row.is_aa else gate.head.commit[:8]
    started = f"{gate.started_at:%Y-%m-%d %H:%M}"
    why = row.why if row.change else ""
    return (
        gate.id[:8],
        started,
        gate.base.commit[:8],
        head,
        row.then,
        row.now,
        row.change,
        why,
    )


BACKTEST_FORMATS: dict[str, Callable[[BackTest], str]] = {
    "text": _text,
    "markdown": _markdown,
    "json": _json,
}
