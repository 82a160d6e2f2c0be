"""`tracker explain`: which place of a commit got slower, from interleaved pairs of traces."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from tracker.cli import Settings
from tracker.cli.lab import Lab, open_lab
from tracker.cli.options import LabOptions, lab_options
from tracker.cli.outputs import Outputs
from tracker.cli.project import stored_project, stored_ref
from tracker.domain import Arm
from tracker.errors import UsageError
from tracker.explain.after_gate import stored_explanation
from tracker.explain.deep import find_tool, with_counters
from tracker.explain.differences import LEAST_PAIRS
from tracker.explain.explanation import Explanation
from tracker.explain.run import explain_captured, explain_commits, keep
from tracker.explain.stored import stored_cause, stored_traces
from tracker.report.explanation import EXPLANATION_FORMATS, headline
from tracker.store import Store

__all__ = ["command"]


@click.command("explain")
@click.argument("base")
@click.argument("head")
@click.option(
    "--pairs",
    type=click.IntRange(min=1),
    default=LEAST_PAIRS,
    show_default=True,
    help=f"Pairs of launches; below {LEAST_PAIRS} nothing is called slower.",
)
@click.option("--seed", type=int, metavar="N", help="Seed for the launch order (default: random).")
@click.option(
    "--fresh",
    is_flag=True,
    help="Capture new traces, also where a gate left some (so does --bench).",
)
@click.option(
    "--deep",
    is_flag=True,
    help="Also read hardware counters of the kernels that differ (ncu, nsys).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(EXPLANATION_FORMATS)),
    default="text",
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the report to FILE."
)
@click.option(
    "--stored", is_flag=True, help="Print the explanation that the store holds; measure nothing."
)
@lab_options
@click.pass_obj
def command(
    settings: Settings,
    base: str,
    head: str,
    pairs: int,
    seed: int | None,
    fresh: bool,
    deep: bool,
    form: str,
    out: Path | None,
    stored: bool,
    lab: LabOptions,
) -> int:
    """Say which phase and which function or kernel of HEAD got slower than in BASE, and by how much.

    Reads the traces that a gate of the two commits, or an earlier explanation, left on this machine.
    Without any it launches both commits in interleaved pairs and traces each launch after its timed
    part. Calls are counted exactly; every difference of time has an interval over the pairs.

    Exits 0 where the traces were compared, whatever they show; 4 where nothing could be traced, 130
    when interrupted.
    """
    outputs = Outputs(form, out, ())
    if stored:
        result = _stored(settings.db, lab, base, head)
    else:
        with open_lab(settings.db, lab) as here:
            result = _explained(here, base, head, pairs, seed, fresh=fresh or bool(lab.bench))
            if deep:
                result = _with_counters(here, result)
            keep(here.recorder.store, here.recorder.project, result)
    summary = "; ".join(f"{suite.benchmark}: {headline(suite)}" for suite in result.suites)
    outputs.write(lambda name: EXPLANATION_FORMATS[name](result), summary)
    return 130 if result.interrupted else 0


def _explained(
    here: Lab, base: str, head: str, pairs: int, seed: int | None, *, fresh: bool
) -> Explanation:
    """Explain by the stored traces, if there are any and new ones are not asked for."""
    first, second = here.commit(base), here.commit(head)
    store, project, machine = here.recorder.store, here.recorder.project, here.runner.machine
    here.recorder.commits([first] if first.hash == second.hash else [first, second])
    warnings: list[str] = []
    if not fresh:
        captured = stored_traces(store, project, first.hash, second.hash, machine)
        if captured is not None and captured.traces:
            result = explain_captured(captured, here.repository, project, machine, first, second)
            cause = stored_cause(store, project, first.hash, second.hash, machine)
            return result if cause is None else replace(result, cause=cause)
        if captured is not None:
            reasons = "; ".join(captured.problems.values())
            warnings.append(
                f"captured anew, since no pair of {captured.source} can be read: {reasons}"
            )
    result = explain_commits(
        here.traced_runner(), project, first, second, pairs=pairs,
        seed=random.SystemRandom().randrange(2**31) if seed is None else seed,
        on_launch=_say, check=here.recorder.checked,
    )  # fmt: skip
    return replace(result, warnings=(*warnings, *result.warnings))


def _with_counters(here: Lab, result: Explanation) -> Explanation:
    commits = {"base": result.base, "head": result.head}
    suites = tuple(rf"^{re.escape(s.benchmark.partition('(')[0])}\." for s in result.suites)

    def launch(arm: Arm, prefix: Sequence[str]) -> None:
        here.profiled_runner(prefix).launch(commits[arm], bench=suites)

    with tempfile.TemporaryDirectory() as folder:
        return with_counters(result, find_tool(), launch, Path(folder))


def _stored(db: str, lab: LabOptions, base: str, head: str) -> Explanation:
    """Return the newest stored explanation of the two commits.

    Raises:
        UsageError: There is none.
    """
    with Store.open(db, read_only=True) as store:
        project = stored_project(store, None)
        kept = stored_explanation(store, project, stored_ref(base), stored_ref(head), lab.machine)
    if kept is not None:
        return kept
    where = f" on {lab.machine}" if lab.machine else ""
    raise UsageError(
        f"no explanation of {base} and {head}{where} in the store; "
        f"`tracker explain {base} {head}` makes one"
    )


def _say(pair: int, pairs: int, arm: Arm) -> None:
    click.echo(f"pair {pair} of {pairs}: tracing {arm}", err=True)
