"""A calibration as text, Markdown and JSON. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from tracker.calibrate import Calibration, MetricNoise
from tracker.gate.alpha_check import remedy
from tracker.report.columns import aligned
from tracker.report.numbers import percent

__all__ = ["CALIBRATION_FORMATS"]

_HEADER = ("metric", "noise floor", "pair noise", "sees", "false", "undecided", "gates")


def _text(result: Calibration) -> str:
    lines = [f"{name}: {value}" for name, value in _heading(result)]
    if result.metrics:
        rows = [_HEADER, *map(_cells, result.metrics)]
        lines += ["", *aligned(rows, right=range(1, len(_HEADER))), ""]
    lines += [f"warning: {warning}" for warning in _warnings(result)]
    lines.append(f"{_headline(result)} (exit {result.exit_code})")
    return "\n".join(lines) + "\n"


def _markdown(result: Calibration) -> str:
    out = [f"### {_headline(result)}", ""]
    out += [f"- {name}: {value}" for name, value in _heading(result)]
    out += [f"- warning: {warning}" for warning in _warnings(result)]
    if result.metrics:
        out += ["", f"| {' | '.join(_HEADER)} |", "|---" + "|--:" * (len(_HEADER) - 1) + "|"]
        for name, *rest in map(_cells, result.metrics):
            out.append(f"| `{name}` | {' | '.join(rest)} |")
    return "\n".join(out) + "\n"


def _json(result: Calibration) -> str:
    document = {
        "format": 1,
        "project": result.project,
        "machine": result.machine,
        "commit": result.commit.hash,
        "alpha": result.policy.alpha,
        "wanted": result.wanted,
        "gates": len(result.gates),
        "false_blocks": result.false_blocks,
        "rate_low": result.lowest_rate,
        "rate_high": result.highest_rate,
        "broken": result.refuted,
        "alpha_to_try": result.alpha_to_try,
        "to_confirm": result.to_confirm,
        "pooled": {"gates": result.pooled[0], "false_blocks": result.pooled[1]},
        "invalid": [headline for _, headline in result.uncounted],
        "uncounted": dict(_uncounted(result)),
        "unsteady": result.unsteady,
        "stopped": result.stopped,
        "exit_code": result.exit_code,
        "metrics": [
            {
                "metric": row.metric,
                "noise_floor": row.noise.floor if row.noise else None,
                "pair_noise": row.noise.pair if row.noise else None,
                "pairs": row.noise.pairs if row.noise else None,
                "mde": row.mde,
                "false": row.called,
                "undecided": row.undecided,
                "gates": row.gates,
            }
            for row in result.metrics
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


CALIBRATION_FORMATS: dict[str, Callable[[Calibration], str]] = {
    "text": _text,
    "markdown": _markdown,
    "json": _json,
}


def _heading(result: Calibration) -> list[tuple[str, str]]:
    lines = [
        ("project", result.project),
        ("machine", result.machine),
        ("commit", f"{result.commit.short} {result.commit.subject}"),
        ("policy", result.policy.summary),
    ]
    if result.pooled[0] > len(result.gates):
        gates, false_blocks = result.pooled
        lines.append(
            ("all commits", f"{false_blocks} of {gates} A/A gates with this alpha on this machine")
        )
    return lines


def _headline(result: Calibration) -> str:
    others = "".join(f"; {number} ended as {word}" for word, number in _uncounted(result))
    if not result.gates:
        return f"INVALID: no A/A gate gave a valid measurement{others}"
    rate = (
        f"{result.false_blocks} of {len(result.gates)} A/A gates called a regression; the rate is "
    )
    alpha = result.policy.alpha
    if result.refuted:
        return (
            f"REFUTED: {rate}at least {result.lowest_rate:.1%} (95 %), alpha promises {alpha:g}; "
            f"{remedy(result.alpha_to_try)}{others}"
        )
    rate += f"at most {result.highest_rate:.1%} (95 %)"
    if result.broken:
        return f"UNSTABLE: a benchmark fails at random, which blocks good commits{others}; {rate}"
    if result.highest_rate <= alpha:
        return f"CONFIRMED: {rate}, within alpha {alpha:g}{others}"
    confirm = f"{result.to_confirm} without a block would confirm alpha {alpha:g}"
    return f"NOT REFUTED: {rate}; {confirm}{others}"


def _uncounted(result: Calibration) -> list[tuple[str, int]]:
    """The outcomes of the gates that are not counted, each with its number."""
    return sorted(Counter(outcome for outcome, _ in result.uncounted).items())


def _warnings(result: Calibration) -> list[str]:
    warnings = [f"a gate is not counted: {headline}" for _, headline in result.uncounted]
    if len(result.gates) < result.wanted:
        warnings.append(f"{len(result.gates)} of {result.wanted} gates; {result.stopped}")
    if result.unsteady:
        names = ", ".join(result.unsteady)
        warnings.append(f"declared exact, yet they differ between launches of one commit: {names}")
    return warnings


def _cells(row: MetricNoise) -> tuple[str, ...]:
    noise = row.noise
    return (
        row.metric,
        percent(noise.floor, signed=False) if noise else "-",
        percent(noise.pair, signed=False) if noise else "-",
        percent(row.mde, signed=False) if row.mde is not None else "-",
        str(row.called),
        str(row.undecided),
        str(row.gates),
    )
