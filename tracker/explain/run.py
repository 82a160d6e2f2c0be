"""Two commits in, what tells them apart out: environment, traces, changed code, analysis."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from tracker.causes import cause_of
from tracker.domain import ExplanationInfo
from tracker.errors import MeasurementError, UsageError
from tracker.explain.analysis import explain
from tracker.explain.capture import Captured, Check, OnLaunch, capture_pairs
from tracker.explain.changed import ChangedCode, changed_code
from tracker.explain.explanation import Cause, Explained, Explanation, to_document
from tracker.measure.git import Commit, Repository
from tracker.measure.launch import Runner
from tracker.store import Store

__all__ = ["explain_captured", "explain_commits", "keep"]


def explain_commits(
    runner: Runner, project: str, base: Commit, head: Commit, *, pairs: int, seed: int,
    bench: Sequence[str] | None = None, on_launch: OnLaunch | None = None, check: Check | None = None,
) -> Explanation:  # fmt: skip
    """Capture pairs of traces of two commits and explain each suite's difference.

    Args:
        runner: Its launches are asked for traces (`capture.PROFILE`).
        project: Name in the store.
        base: The commit that is good.
        head: The commit to explain; may be `base`.
        pairs: Of launches.
        seed: Of the order of launches.
        bench: Regular expressions of the benchmarks; None: the runner's own.
        on_launch, check: See `capture_pairs`.

    Raises:
        MeasurementError: Nothing was measured, another commit's code was, or no suite of either
            commit could be traced.
    """
    captured = capture_pairs(
        runner, base.hash, head.hash,
        pairs=pairs, seed=seed, bench=bench, on_launch=on_launch, check=check,
    )  # fmt: skip
    return explain_captured(
        captured, runner.project.repository, project, runner.machine, base, head
    )


def explain_captured(
    captured: Captured, repository: Repository, project: str, machine: str, base: Commit, head: Commit
) -> Explanation:  # fmt: skip
    """Explain each suite's difference by the traces that there are.

    Raises:
        MeasurementError: There are none, and nothing beside the code says why.
    """
    changed = code_between(repository, base.hash, head.hash)
    suites = [
        explain(*captured.arms(benchmark), changed=changed) for benchmark in sorted(captured.traces)
    ]
    warnings = [f"a pair was dropped: {complaint.text}" for complaint in captured.complaints]
    for benchmark, reason in sorted(captured.problems.items()):
        if benchmark in captured.traces:
            warnings.append(f"{benchmark}: a pair is missing: {reason}")
        else:
            suites.append(Explained(benchmark, problem=reason))
    cause = _cause(captured)
    if not captured.traces and cause.kind == "code" and not captured.interrupted:
        reasons = [f"{name}: {why}" for name, why in sorted(captured.problems.items())]
        reasons += [complaint.text for complaint in captured.complaints]
        raise MeasurementError(f"nothing to explain: {'; '.join(reasons) or 'no suite ran'}")
    return Explanation(
        project=project,
        machine=machine,
        base=base.hash,
        head=head.hash,
        base_subject=base.subject,
        head_subject=head.subject,
        cause=cause,
        suites=tuple(suites),
        changed=tuple(code.text for code in changed),
        warnings=tuple(dict.fromkeys(warnings)),
        source=captured.source,
        interrupted=captured.interrupted,
    )


def keep(store: Store, project: str, result: Explanation) -> None:
    """Keep an explanation in the store, in the place of an earlier one of the same commits."""
    store.record_explanation(
        project,
        ExplanationInfo(
            base=result.base,
            head=result.head,
            machine=result.machine,
            created_at=datetime.now(UTC),
            document=to_document(result),
        ),
    )


def code_between(repository: Repository, base: str, head: str) -> list[ChangedCode]:
    """Return what the head's files change; of a file that is not Python, that it changed."""
    if base == head:
        return []
    names = repository.run("diff", "--name-only", "-z", "--no-renames", base, head).split("\0")

    def text(commit: str, name: str) -> str | None:
        with contextlib.suppress(UsageError, UnicodeDecodeError):
            return repository.run("show", f"{commit}:{name}")
        return None

    return changed_code({name: (text(base, name), text(head, name)) for name in names if name})


def _cause(captured: Captured) -> Cause:
    """Say whether the pairs that were dropped point at something beside the code."""
    for complaint in captured.complaints:
        if complaint.kind == "device":
            return Cause("node", complaint.text)
    texts = [c.text for c in captured.complaints if c.kind == "fingerprint"]
    fields = [f for c in captured.complaints if c.kind == "fingerprint" for f in c.subject]
    kind = cause_of(fields)
    if kind != "code":
        return Cause(kind, texts[0])
    slowed = [c.text for c in captured.complaints if c.kind == "machine"]
    return Cause("node", slowed[0]) if slowed else Cause("code", "")
