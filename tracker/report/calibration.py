"""A calibration as text, Markdown and JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable

from tracker.calibrate import Calibration, MetricNoise
from tracker.gate.promise import remedy
from tracker.report.numbers import count_of, percent

__all__ = ["CALIBRATION_FORMATS"]

_HEADER = ("metric", "noise floor", "pair noise", "sees", "false", "undecided", "gates")


def _text(found: Calibration) -> str:
    lines = [f"{name}: {value}" for name, value in _heading(found)]
    body = [_cells(one) for one in found.metrics]
    if body:
        widths = [max(len(line[i]) for line in (_HEADER, *body)) for i in range(len(_HEADER))]
        lines.append("")
        for cells in (_HEADER, *body):
            first, *rest = (
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
            )
            lines.append("  ".join([first, *rest]))
        lines.append("")
    lines += [f"warning: {one}" for one in _warnings(found)]
    lines.append(f"{_headline(found)} (exit {found.exit_code})")
    return "\n".join(lines) + "\n"


def _markdown(found: Calibration) -> str:
    out = [f"### {_headline(found)}", ""]
    out += [f"- {name}: {value}" for name, value in _heading(found)]
    out += [f"- warning: {one}" for one in _warnings(found)]
    if found.metrics:
        out += ["", f"| {' | '.join(_HEADER)} |", "|---" + "|--:" * (len(_HEADER) - 1) + "|"]
        for one in found.metrics:
            name, *rest = _cells(one)
            out.append(f"| `{name}` | {' | '.join(rest)} |")
    return "\n".join(out) + "\n"


def _json(found: Calibration) -> str:
    document = {
        "format": 1,
        "project": found.project,
        "machine": found.machine,
        "commit": found.commit.hash,
        "alpha": found.policy.alpha,
        "wanted": found.wanted,
        "gates": len(found.gates),
        "false_blocks": found.false_blocks,
        "rate_low": found.lowest_rate,
        "rate_high": found.highest_rate,
        "broken": found.broken,
        "alpha_to_try": found.alpha_to_try,
        "to_confirm": found.to_confirm,
        "pooled": {"gates": found.pooled[0], "false_blocks": found.pooled[1]},
        "invalid": found.invalid,
        "unsteady": found.unsteady,
        "stopped": found.stopped,
        "exit_code": found.exit_code,
        "metrics": [
            {
                "metric": one.metric,
                "noise_floor": one.noise.floor if one.noise else None,
                "pair_noise": one.noise.pair if one.noise else None,
                "pairs": one.noise.pairs if one.noise else None,
                "mde": one.mde,
                "false": one.called,
                "undecided": one.undecided,
                "gates": one.gates,
            }
            for one in found.metrics
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


CALIBRATION_FORMATS: dict[str, Callable[[Calibration], str]] = {
    "text": _text,
    "markdown": _markdown,
    "json": _json,
}


def _heading(found: Calibration) -> list[tuple[str, str]]:
    policy = found.policy
    lines = [
        ("project", found.project),
        ("machine", found.machine),
        ("commit", f"{found.commit.short} {found.commit.subject}"),
        (
            "policy",
            f"alpha {policy.alpha:g}, margin {policy.margin:.1%}, detect {policy.detect:.1%}, "
            f"at most {count_of(policy.max_pairs, 'pair')}",
        ),
    ]
    if found.pooled[0] > len(found.gates):
        gates, false_blocks = found.pooled
        lines.append(
            ("all commits", f"{false_blocks} of {gates} A/A gates with this alpha on this machine")
        )
    return lines


def _headline(found: Calibration) -> str:
    if not found.gates:
        return "INVALID: no A/A gate was measured"
    said = f"{found.false_blocks} of {len(found.gates)} A/A gates called a regression; the rate is "
    alpha = found.policy.alpha
    if found.broken:
        return (
            f"BROKEN: {said}at least {found.lowest_rate:.1%} (95 %), alpha promises {alpha:g}; "
            f"{remedy(found.alpha_to_try)}"
        )
    said += f"at most {found.highest_rate:.1%} (95 %)"
    if found.highest_rate <= alpha:
        return f"CONFIRMED: {said}, within alpha {alpha:g}"
    return f"NOT REFUTED: {said}; {found.to_confirm} without a block would confirm alpha {alpha:g}"


def _warnings(found: Calibration) -> list[str]:
    warnings = [f"a gate was invalid and does not count: {one}" for one in found.invalid]
    if len(found.gates) < found.wanted:
        warnings.append(f"{len(found.gates)} of {found.wanted} gates; {found.stopped}")
    if found.unsteady:
        names = ", ".join(found.unsteady)
        warnings.append(f"declared exact, yet they differ between launches of one commit: {names}")
    return warnings


def _cells(one: MetricNoise) -> tuple[str, ...]:
    noise = one.noise
    return (
        one.metric,
        percent(noise.floor, signed=False) if noise else "-",
        percent(noise.pair, signed=False) if noise else "-",
        percent(one.mde, signed=False) if one.mde is not None else "-",
        str(one.called),
        str(one.undecided),
        str(one.gates),
    )
