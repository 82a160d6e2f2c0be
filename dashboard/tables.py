"""Domain values to data frames: what the charts draw and the tables list. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from dashboard.groups import bare_name, label, metric_group, scenario, short_name, suite_of
from dashboard.units import Scale, direction, format_effect, scale_for
from tracker.domain import (
    AttemptInfo,
    CalibrationBlock,
    ComparisonRow,
    GateInfo,
    IngestProblemInfo,
    LevelShift,
    RevisionInfo,
    RunInfo,
    SeriesHistory,
    VerdictInfo,
)
from tracker.findings import Finding

__all__ = [
    "attempts_frame",
    "attempts_table",
    "calibrations_frame",
    "changes_frame",
    "commit_link",
    "compare_frame",
    "creep_budget_of",
    "fingerprints_frame",
    "history_frame",
    "history_table",
    "level_frame",
    "margins_of",
    "minutes_frame",
    "problems_frame",
    "revisions_frame",
    "runs_frame",
    "seen_by",
    "sort_key",
    "verdict_of",
    "verdicts_frame",
]


def commit_link(template: str | None, commit: str) -> str | None:
    """The web address of a commit, or None where the project has no template."""
    return template.replace("{commit}", commit) if template else None


def verdict_of(effect: float | None, better: str | None) -> str:
    """ "worse", "better" or "changed": the sense of a change, never its significance."""
    if effect is None or better is None or effect == 0:
        return "changed"
    return "worse" if (effect > 0) == (better == "lower") else "better"


def history_frame(
    history: SeriesHistory, scale: Scale, *, commit_url: str | None = None
) -> pd.DataFrame:
    """One row a revision, oldest first; `index` is its place, `segment` its environment.

    Missing values stay NaN, so that a line breaks there; infinite interval ends (asv writes
    them for one or two samples) count as unknown.
    """
    starts = {c.revision.id for c in history.fingerprint_changes}
    segment = 0
    rows: list[dict[str, Any]] = []
    for index, point in enumerate(history.points):
        segment += point.revision.id in starts
        ok = point.status == "ok" and point.value is not None and math.isfinite(point.value)
        value = scale(point.value) if ok and point.value is not None else math.nan
        low, high = (
            scale(end) if end is not None and math.isfinite(end) else math.nan
            for end in (point.ci_low, point.ci_high)
        )
        known = not (math.isnan(low) or math.isnan(high))
        rows.append(
            {
                "index": index,
                "revision_id": point.revision.id,
                "commit": point.revision.commit[:10],
                "date": point.revision.committed_at.strftime("%Y-%m-%d %H:%M"),
                "subject": point.revision.subject or "–",
                "value": value,
                "low": low,
                "high": high,
                "text": scale.text(point.value) if ok else "–",
                "interval": (
                    f"{scale.text(point.ci_low)} to {scale.text(point.ci_high)}" if known else "–"
                ),
                "status": point.status if ok or point.status != "ok" else "failed",
                "attempts": point.num_attempts,
                "segment": segment,
                "link": commit_link(commit_url, point.revision.commit),
            }
        )
    return pd.DataFrame(rows, columns=_HISTORY_COLUMNS)


_HISTORY_COLUMNS = [
    "index", "revision_id", "commit", "date", "subject", "value", "low", "high", "text",
    "interval", "status", "attempts", "segment", "link",
]  # fmt: skip


def history_table(history: SeriesHistory, *, commit_url: str | None = None) -> pd.DataFrame:
    """The points as a reader's table, newest first, values scaled, unit in the heading.

    A column without a single entry is left out.
    """
    scale = scale_for(history.series.unit, [p.value for p in history.points])
    frame = history_frame(history, scale, commit_url=commit_url)
    unit = f" ({scale.unit})" if scale.unit else ""
    table = pd.DataFrame(
        {
            "commit": frame["commit"],
            "committed": frame["date"],
            f"value{unit}": frame["value"],
            f"low{unit}": frame["low"],
            f"high{unit}": frame["high"],
            "status": frame["status"],
            "attempts": frame["attempts"],
            "subject": frame["subject"],
        }
    )
    if commit_url:
        table["link"] = frame["link"]
    empty = [name for name in table if table[name].isna().all() or (table[name] == "–").all()]
    table = table.drop(columns=empty)
    return table.iloc[::-1].reset_index(drop=True)


def attempts_frame(attempts: Iterable[AttemptInfo]) -> pd.DataFrame:
    """One row an attempt with a value, in the series' unit: what a chart marks as single launches."""
    rows = [
        {
            "revision_id": one.revision_id,
            "value": one.value,
            "source": one.source if one.arm is None else f"{one.source}, {one.arm}",
            "started": "–" if one.started_at is None else f"{one.started_at:%Y-%m-%d %H:%M}",
        }
        for one in attempts
        if one.value is not None and math.isfinite(one.value)
    ]
    return pd.DataFrame(rows, columns=["revision_id", "value", "source", "started"])


def attempts_table(attempts: Iterable[AttemptInfo], scale: Scale) -> pd.DataFrame:
    """The attempts at one commit for a reader, in the order given."""
    return pd.DataFrame(
        [
            {
                "value": scale.text(one.value),
                "status": one.status,
                "started": "–" if one.started_at is None else f"{one.started_at:%Y-%m-%d %H:%M}",
                "source": one.source,
                "gate": "–"
                if one.gate_id is None
                else f"{one.gate_id[:8]} {one.arm or ''}".strip(),
                "environment": one.environment,
                "run": one.run_id,
                "file": one.path,
            }
            for one in attempts
        ]
    )


def level_frame(history: SeriesHistory, scale: Scale) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Level lines (start, stop, level, end) and shift marks (edge, level, before, …), scaled.

    A level reaches to the next shift or change of environment, whichever is first. A drift goes from
    its `level` to its `end`, where its mark is; other levels end as they began. A shift whose
    revision is not among the points is left out.
    """
    places = {p.revision.id: i for i, p in enumerate(history.points)}
    breaks = sorted(
        places[c.revision.id] for c in history.fingerprint_changes if c.revision.id in places
    )
    # A drift is stored under the second commit of its level.
    shifts = sorted(
        (
            (places[s.revision.id] - (s.drift_commits is not None), s)
            for s in history.shifts
            if s.revision.id in places
        ),
        key=lambda pair: pair[0],
    )
    lines: list[dict[str, float]] = []
    marks: list[dict[str, Any]] = []
    edges = [place for place, _ in shifts]
    for i, (place, shift) in enumerate(shifts):
        before, after = scale(shift.before), scale(shift.after)
        start = max([0, *(b for b in breaks if b < place), *edges[:i]])
        stop = min([len(places), *(b for b in breaks if b > place), *edges[i + 1 :]])
        if shift.drift_commits is not None:
            lines.append({"start": place - 0.5, "stop": stop - 0.5, "level": before, "end": after})
            marks.append(_mark(shift, stop, scale) | {"before": after})
            continue
        if i == 0 or start != edges[i - 1]:
            lines.append(
                {"start": start - 0.5, "stop": place - 0.5, "level": before, "end": before}
            )
        if place < stop:  # else a drift begins with the level
            lines.append({"start": place - 0.5, "stop": stop - 0.5, "level": after, "end": after})
        marks.append(_mark(shift, place, scale))
    return pd.DataFrame(lines), pd.DataFrame(marks)


def _mark(shift: LevelShift, place: int, scale: Scale) -> dict[str, Any]:
    return {
        "edge": place - 0.5,
        "level": scale(shift.after),
        "before": scale(shift.before),
        "effect": format_effect(shift.effect)
        + (" drift" if shift.drift_commits is not None else ""),
        "levels": scale.change(shift.before, shift.after),
        "verdict": {True: "worse", False: "better", None: "changed"}[shift.worse],
        "sense": "up" if shift.after >= shift.before else "down",
        "commit": shift.revision.commit[:10],
        "date": shift.revision.committed_at.strftime("%Y-%m-%d %H:%M"),
        "subject": shift.revision.subject or "–",
    }


def sort_key(row: ComparisonRow) -> tuple[int, float, str]:
    """Worst first; then unknown directions by size; then what is not beyond noise; then the rest."""
    name = label(row.series)
    if row.base is not None and row.head is not None and row.noise != "beyond":
        return (3, -abs(row.effect or 0.0), name)
    if row.effect is None:
        appeared = row.base == 0 and (row.head or 0) != 0 and row.series.better == "lower"
        return (0, float("-inf"), name) if appeared else (4, 0.0, name)
    if row.series.better is None:
        return (2, -abs(row.effect), name)
    badness = row.effect if row.series.better == "lower" else -row.effect
    return (1, -badness, name)


def compare_frame(rows: Iterable[ComparisonRow]) -> pd.DataFrame:
    """One row a series in the order given: texts for reading, `percent` for sorting."""
    table = []
    for row in rows:
        scale = scale_for(row.series.unit, [row.base, row.head])
        effect = row.effect
        table.append(
            {
                "metric": short_name(row.series),
                "base": _side(row.base, row.base_status, scale),
                "head": _side(row.head, row.head_status, scale),
                "change": _change(row),
                "percent": None if effect is None else 100 * effect,
                "noise": _noise(row),
                "verdict": verdict_of(effect, row.series.better)
                if row.noise == "beyond"
                else "changed",
                "direction": direction(row.series.better),
                "suite": scenario(row.series),
                "attempts": f"{len(row.base_values)} / {len(row.head_values)}",
                "machine": row.series.machine,
                "environment": row.series.environment,
                "group": metric_group(row.series),
            }
        )
    return pd.DataFrame(table, columns=_COMPARE_COLUMNS)


_COMPARE_COLUMNS = [
    "metric", "base", "head", "change", "percent", "noise", "verdict", "direction", "suite", "attempts",
    "machine", "environment", "group",
]  # fmt: skip


def _side(value: float | None, status: str | None, scale: Scale) -> str:
    if value is not None:
        return scale.text(value)
    return "not measured" if status is None else status


def _noise(row: ComparisonRow) -> str:
    if row.base is None or row.head is None:
        return "–"
    visible = "" if row.visible is None else f" (±{100 * row.visible:.1f} %)"
    return f"{row.noise}{visible}"


def _change(row: ComparisonRow) -> str:
    if row.effect is not None:
        return format_effect(row.effect)
    if row.base is not None and row.head is not None and row.base == row.head:
        return "0 %"
    return "from zero" if row.base == 0 and row.head is not None else "–"


def verdicts_frame(gate: GateInfo) -> pd.DataFrame:
    """One row a metric of a gate: verdict, values, effect with its interval, smallest visible."""
    rows = []
    for v in gate.verdicts:
        scale = scale_for(v.unit, [v.base, v.head])
        rows.append(
            {
                "metric": bare_name(v.metric),
                "verdict": v.status,
                "base": scale.text(v.base),
                "head": scale.text(v.head),
                "effect": format_effect(v.effect),
                "interval": (
                    "–"
                    if v.low is None or v.high is None
                    else f"{format_effect(v.low)} to {format_effect(v.high)}"
                ),
                "could see": _could_see(seen_by(gate, v)),
                "pairs": v.pairs,
                "direction": direction(v.better),
                "reason": v.reason or "–",
                "suite": suite_of(v.metric),
            }
        )
    return pd.DataFrame(rows)


def _could_see(sees: float | None) -> str:
    return "–" if sees is None else format_effect(abs(sees))


def seen_by(gate: GateInfo, verdict: VerdictInfo) -> float | None:
    """The smallest slowdown that did not hide behind a verdict; None where it is not known.

    A few pairs may exclude the change that a gate has to see (`detect`) while they are too few to call
    any: then that is what a pass has seen. An exact metric sees every change.
    """
    if verdict.mde is None and verdict.status == "pass" and verdict.kind != "exact":
        return _setting(gate, verdict.metric, "detect")
    return verdict.mde


def margins_of(gate: GateInfo) -> dict[str, float]:
    """The margin each verdict was judged by, as far as the gate's policy says.

    An exact metric has a step, no margin.
    """
    margins = {
        v.metric: _setting(gate, v.metric, "margin") for v in gate.verdicts if v.kind != "exact"
    }
    return {metric: margin for metric, margin in margins.items() if margin is not None}


def creep_budget_of(gates: Iterable[GateInfo], metric: str) -> float | None:
    """The slowdown since a release that the newest gate's policy allows a metric; None: no gate says."""
    gate = next((gate for gate in gates if "creep_budget" in gate.policy), None)
    budget = None if gate is None else gate.policy["creep_budget"]
    if gate is None or not isinstance(budget, int | float):
        return None
    return max(float(budget), _setting(gate, metric, "margin") or 0.0)


def _setting(gate: GateInfo, metric: str, name: str) -> float | None:
    """What the gate's policy says for a metric: the common setting, or that of the last rule that matches.

    The policy holds, under `metrics`, a mapping of patterns to rules.
    """
    setting = gate.policy.get(name)
    rules = gate.policy.get("metrics")
    for pattern, rule in rules.items() if isinstance(rules, Mapping) else ():
        own = rule.get(name) if isinstance(rule, Mapping) else None
        if own is not None and re.search(pattern, metric):
            setting = own
    return float(setting) if isinstance(setting, int | float) else None


def problems_frame(problems: Iterable[IngestProblemInfo]) -> pd.DataFrame:
    """One row a thing that could not be read."""
    return pd.DataFrame(
        [
            {
                "file": p.path,
                "benchmark": p.benchmark or "–",
                "reason": p.reason,
                "seen": p.seen_at.strftime("%Y-%m-%d %H:%M"),
            }
            for p in problems
        ]
    )


def calibrations_frame(blocks: Iterable[CalibrationBlock]) -> pd.DataFrame:
    """One row a block of A/A gates."""
    return pd.DataFrame(
        [
            {
                "began": block.started_at.strftime("%Y-%m-%d %H:%M"),
                "machine": block.machine,
                "commit": str(block.policy.get("commit", "–"))[:10],
                "alpha": block.policy.get("alpha"),
                "A/A gates": block.gates,
                "false alarms": block.false_blocks,
            }
            for block in blocks
        ]
    )


def changes_frame(finding: Finding, scope: Mapping[str, str]) -> pd.DataFrame:
    """One row a series that moved, worst first, with a link to its page.

    Args:
        finding: What moved at one commit on one machine.
        scope: Query parameters that every link keeps.
    """
    rows = []
    for change in finding.changes:
        shift = change.shift
        scale = scale_for(change.series.unit, [shift.before, shift.after])
        rows.append(
            {
                "series": f"/series?{urlencode({**scope, 'series': change.series.id})}",
                "metric": label(change.series),
                "environment": change.series.environment,
                "change": format_effect(shift.effect),
                "from → to": scale.change(shift.before, shift.after),
                "sense": change.direction,
                "kind": "level shift" if shift.drift_commits is None else "drift",
                "now": "recovered" if shift.recovered else "still there",
                "cause": shift.cause,
                "paired run": change.confirmation or "–",
            }
        )
    return pd.DataFrame(rows)


def revisions_frame(revisions: Iterable[RevisionInfo], commit_url: str | None) -> pd.DataFrame:
    """One row a commit; the link only where the project has a template."""
    rows = []
    for revision in revisions:
        link = commit_link(commit_url, revision.commit)
        rows.append(
            {
                "commit": revision.commit[:10],
                "committed": revision.committed_at.strftime("%Y-%m-%d %H:%M"),
                "subject": revision.subject or "–",
                "author": revision.author or "–",
                **({"link": link} if link else {}),
            }
        )
    return pd.DataFrame(rows)


def runs_frame(runs: Iterable[RunInfo]) -> pd.DataFrame:
    """One row a run, in the order given."""
    return pd.DataFrame(
        [
            {
                "recorded": run.recorded_at.strftime("%Y-%m-%d %H:%M"),
                "source": run.source,
                "commit": run.revision.commit[:10],
                "machine": run.machine,
                "environment": run.environment,
                "results": run.num_results,
                "not ok": run.num_failed,
                "minutes": None if run.seconds is None else round(run.seconds / 60, 1),
                "gate": "–"
                if run.gate_id is None
                else f"{run.gate_id[:8]} {run.arm or ''}".strip(),
                "subject": run.revision.subject or "–",
                "file": run.path,
            }
            for run in runs
        ]
    ).dropna(axis="columns", how="all")


def fingerprints_frame(runs: Iterable[RunInfo]) -> pd.DataFrame:
    """One row an environment that the runs were measured in, newest first; unknown facts are "–"."""
    prints = {(run.machine, run.fingerprint): run for run in reversed(list(runs))}
    rows = [
        {"machine": machine, "last run": run.recorded_at.strftime("%Y-%m-%d %H:%M"), **dict(facts)}
        for (machine, facts), run in reversed(prints.items())
        if facts
    ]
    return pd.DataFrame(rows).fillna("–")


def minutes_frame(gates: Iterable[GateInfo]) -> pd.DataFrame:
    """One row a day and machine, newest first: gates, their pairs and the minutes they took."""
    days: dict[tuple[str, str], list[GateInfo]] = {}
    for gate in gates:
        days.setdefault((gate.started_at.strftime("%Y-%m-%d"), gate.machine), []).append(gate)
    rows = []
    for (day, machine), of_day in sorted(days.items(), reverse=True):
        ended = [g.finished_at - g.started_at for g in of_day if g.finished_at is not None]
        minutes = sum(time.total_seconds() for time in ended) / 60
        rows.append(
            {
                "day": day,
                "machine": machine,
                "gates": len(of_day),
                "pairs": sum(gate.pairs for gate in of_day),
                "minutes": round(minutes, 1),
                "minutes a gate": round(minutes / len(ended), 1) if ended else None,
            }
        )
    return pd.DataFrame(rows)
