"""A live gate: the runner measures, the store keeps every launch, the judge decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

from tracker.domain import Arm, Expectation
from tracker.expected import applicable, parse_message
from tracker.gate.alpha_check import alpha_warning
from tracker.gate.assembly import make_report, verdict_infos
from tracker.gate.listener import Listener
from tracker.gate.outcome import INTERRUPTED
from tracker.gate.policy import Policy
from tracker.gate.resume import Unfinished, find_unfinished, gate_lock, place_of
from tracker.gate.session import Session
from tracker.gate.stored import known_control
from tracker.measure.git import Commit
from tracker.measure.launch import LaunchResult, Runner, measuring_clock
from tracker.measure.project import unmeasured_changes
from tracker.measure.recorder import Recorder
from tracker.report import Report
from tracker.report.numbers import percent
from tracker.store import queries

__all__ = ["gate_commits"]


def gate_commits(
    recorder: Recorder,
    runner: Runner,
    base: Commit,
    head: Commit,
    policy: Policy,
    *,
    listener: Listener,
    seed: int = 0,
    fail_fast: bool = False,
    resume: bool = False,
    untrusted: Collection[str] = (),
) -> Report:
    """Measure interleaved pairs of two commits until decided; keep every launch and the verdict.

    Args:
        recorder: Of the project in the store.
        runner: Measures one commit.
        base: The commit that is good.
        head: The commit that is judged; may be `base` (an A/A run).
        policy: How strictly.
        listener: Receives the events, after the store has them.
        seed: Of the order of launches.
        fail_fast: Stop at the first regression.
        resume: Go on with the same gate where a process was cut off from it, with the seed it had;
            and leave this one open for that where it is interrupted undecided.
        untrusted: Full hashes of commits whose messages cannot excuse a change: what they expect
            is a warning. In CI those of the change itself.

    Returns:
        The report, its `exit_code` the verdict's.

    Raises:
        StoreError: Nothing could be kept.
    """
    store, project = recorder.store, recorder.project
    recorder.commits([base] if base.hash == head.hash else [base, head])
    warnings = unmeasured_changes(
        runner.project,
        head_is_measured=head.hash == runner.project.repository.resolve("HEAD"),
    )
    blocks = queries.calibration_blocks(store, project, machine=runner.machine)
    if warning := alpha_warning(blocks, policy.alpha):
        warnings.append(warning)
    expectations, misread = _expectations(recorder, runner, base, head, untrusted)
    described = {
        **policy.as_dict(),
        "expected": [
            {"metric": e.metric, "change": e.change, "because": e.because, "commit": e.commit}
            for e in expectations
        ],
        **place_of(runner.project),
    }
    earlier: Unfinished | None = None
    with ExitStack() as stack:
        if resume:
            earlier = find_unfinished(
                store, runner, project, base=base.hash, head=head.hash, wanted=described
            )
        if earlier is not None:
            gate_id, seed = earlier.gate_id, earlier.seed
            stack.enter_context(earlier.lock)
        else:
            gate_id = store.begin_gate(
                project,
                base=base.hash,
                head=head.hash,
                machine=runner.machine,
                policy={**described, "seed": seed},
            )
            stack.enter_context(gate_lock(runner.project.repository.root, gate_id))

        def measure(commit: str, _arm: Arm, bench: Sequence[str]) -> LaunchResult:
            return recorder.checked(runner.launch(commit, bench=bench or None))

        session = Session(
            measure,
            base.hash,
            head.hash,
            policy,
            record=partial(recorder.launch, source="gate", gate_id=gate_id),
            listener=listener,
            seed=seed,
            fail_fast=fail_fast,
            expectations=expectations,
            control=known_control(store, project, runner.machine),
            earlier=earlier.earlier if earlier is not None else None,
            clock=measuring_clock(runner),
        )
        waited = runner.waited
        session.run()
        session.course.waited = runner.waited - waited
        report = make_report(
            session.judge,
            session.course,
            project=project,
            machine=runner.machine,
            base=base.hash,
            head=head.hash,
            base_subject=base.subject,
            head_subject=head.subject,
            configuration=[("resumed gate", gate_id)] if earlier is not None else [],
            warnings=[*warnings, *misread],
            gate_id=gate_id,
        )
        if not (resume and report.exit_code == INTERRUPTED):
            store.finish_gate(
                gate_id, report.exit_code, verdict_infos(report, gate_id), report.pairs,
                outcome=report.outcome, course=session.course.as_dict(),
            )  # fmt: skip
    return report


def _expectations(
    recorder: Recorder, runner: Runner, base: Commit, head: Commit, untrusted: Collection[str]
) -> tuple[list[Expectation], list[str]]:
    """What is intended between the two commits, and what of their messages is not understood."""
    if base.hash == head.hash:
        return [], []
    messages = runner.project.repository.messages(base.hash, head.hash)
    stated: list[Expectation] = []
    warnings: list[str] = []
    for commit, message in messages:
        expectations, misread = parse_message(commit, message)
        warnings += misread
        if commit in untrusted:
            warnings += [
                f"commit {commit[:8]} expects {item.metric} {percent(item.change)}: not applied here, "
                "where a change cannot excuse itself; a maintainer can accept it"
                for item in expectations
            ]
            continue
        for item in expectations:  # the history's findings need it, too
            recorder.store.record_expectation(recorder.project, item)
        stated += expectations
    stored = queries.list_expectations(recorder.store, recorder.project)
    commits = [commit for commit, _ in messages]
    others = [item for item in stored if item not in stated]
    return stated + applicable(others, commits, datetime.now(UTC)), warnings
