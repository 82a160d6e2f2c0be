"""`tracker gate`: two commits in, a verdict out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live

from tracker.cli import Settings
from tracker.cli.gate_options import GateOptions
from tracker.cli.options import lab_options
from tracker.cli.outputs import Outputs
from tracker.errors import PacekeeperError, UsageError
from tracker.gate.policy import Policy
from tracker.gate.policy_file import load_policy
from tracker.report import FORMATS, Report, render
from tracker.report.environments import merged

if TYPE_CHECKING:
    from tracker.cli.lab import Lab
    from tracker.gate.listener import Listener
    from tracker.measure.git import Commit
    from tracker.store import Store

__all__ = ["command"]


@click.command("gate")
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option("--stored", is_flag=True, help="Judge the stored pairs; measure nothing.")
@click.option(
    "--all",
    "all_metrics",
    is_flag=True,
    help="Also list the metrics that need no attention. With --stored and no commits: every gate.",
)
@click.option(
    "--max-pairs", type=click.IntRange(min=1), metavar="N", help="Measure at most N pairs."
)
@click.option(
    "--budget", metavar="TIME", help="Start no pair that is expected to exceed TIME: 300, 5m, 2h."
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first regression or broken limit.")
@click.option("--fresh", is_flag=True, help="Do not resume a gate that was interrupted.")
@click.option(
    "--explain", is_flag=True, help="Say which places a regression comes from: seven more pairs."
)
@click.option("--creep", is_flag=True, help="Also measure HEAD against the last release.")
@click.option(
    "--ignore-messages",
    is_flag=True,
    help="Do not apply the Perf-expect lines of commit messages; warn of each.",
)
@click.option(
    "--seed",
    type=int,
    metavar="N",
    help="Seed for the launch order (default: random). Disables resume.",
)
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the report to FILE."
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write FILE, in the format of its suffix: .txt, .md, .json, .xml (JUnit), .html; repeatable.",
)
@click.option(
    "--note", "notes", multiple=True, metavar="TEXT", help="Add TEXT to the warnings; repeatable."
)
@lab_options
@click.option(
    "--project", metavar="NAME", help="Name in the store (default: pacekeeper.toml's or asv's)."
)
@click.option("--gate", "gate_id", metavar="ID", help="With --stored: this gate, not the newest.")
@click.pass_obj
def command(settings: Settings, /, **given: Any) -> int:
    """Measure interleaved pairs of BASE and HEAD until decided; exit with the verdict.

    BASE and HEAD are commits as git names them. Each launch is stored at once, and a gate that was
    killed is resumed. With the same commit twice (an A/A gate) every regression is a false alarm.

    --stored measures nothing: it judges the stored pairs by today's policy, or by --policy FILE.
    Without BASE and HEAD it judges every stored gate and lists the outcomes that would change.

    Exit codes: 0 pass; 1 a voting metric regressed, HEAD breaks an absolute limit, or HEAD fails a
    benchmark that BASE runs; 3 a voting metric is undecided and the policy blocks on that; 4 the
    measurement is not valid or a benchmark cannot be measured; 130 Ctrl-C before the decision.
    """
    options = GateOptions(**given)
    outputs = options.outputs
    if options.commits is None:
        return _back_test(settings.db, options, outputs)
    report = (_judge_stored if options.stored else _measure)(settings.db, options, *options.commits)
    report = replace(report, warnings=(*options.notes, *report.warnings))
    outputs.write(
        lambda form: render(report, form, every_metric=options.all_metrics),
        f"{report.headline} (exit {report.exit_code})",
    )
    return report.exit_code


def _measure(db: str, options: GateOptions, base: str, head: str) -> Report:
    from tracker.cli.lab import open_lab

    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    with open_lab(db, options.lab, name=options.project, **options.policy) as lab:
        reports: dict[str, Report] = {}
        for name, part in lab.environments().items():
            reports[name] = _measure_in(part, options, lab.commit(base), lab.commit(head), seed)
            if reports[name].interrupted:
                break
        return merged(reports)


def _measure_in(lab: Lab, options: GateOptions, base: Commit, head: Commit, seed: int) -> Report:
    """Gate two commits in one environment."""
    from tracker.gate.creep import with_creep
    from tracker.gate.environment import with_environment
    from tracker.gate.measured import gate_commits
    from tracker.gate.tails import with_tails

    store = lab.recorder.store
    messages = lab.repository.messages(base.hash, head.hash) if options.ignore_messages else []
    with _progress() as listener:

        def measure(start: Commit, policy: Policy, *, fail_fast: bool = False) -> Report:
            return gate_commits(
                lab.recorder, lab.runner, start, head, policy,
                listener=listener, seed=seed, fail_fast=fail_fast,
                resume=not options.fresh and options.seed is None,
                untrusted=[commit for commit, _ in messages],
            )  # fmt: skip

        report = with_tails(measure(base, lab.policy, fail_fast=options.fail_fast), store)
        report = with_creep(
            report, lab.recorder, lab.runner, base, head, lab.policy,
            measure=measure, force=options.creep,
        )  # fmt: skip
    _alert(store, report, lab.policy, lab.repository.is_ancestor)
    if options.explain and not report.interrupted:
        from tracker.explain.after_gate import with_explanation

        report = with_explanation(report, lab.traced_runner(), lab.recorder, base, head, seed=seed)
    return with_environment(report, store)


@contextmanager
def _progress() -> Iterator[Listener]:
    """A live table on a terminal, else a line for each pair."""
    from tracker.gate.progress import LiveProgress, PlainProgress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    with Live(console=console, transient=True) as live:
        yield LiveProgress(console, live)


def _alert(
    store: Store, report: Report, policy: Policy, is_ancestor: Callable[[str, str], bool]
) -> None:
    """Open and send the alert of what blocked, close what is mended; the verdict stands anyway."""
    from tracker.alerts import alert_for_gate
    from tracker.store import queries

    if report.base == report.head:
        return  # the same commit twice measures the gate, not the commit
    against_release = report.creep.gate_id if report.creep is not None else None
    for gate_id in filter(None, (report.gate_id, against_release)):
        try:
            gate = queries.get_gate(store, gate_id)
            alert_for_gate(store, gate, policy.alerts, is_ancestor=is_ancestor)
        except PacekeeperError as error:
            click.echo(f"warning: no alert was opened: {error}", err=True)


def _judge_stored(db: str, options: GateOptions, base: str, head: str) -> Report:
    from tracker.cli.project import stored_project, stored_ref
    from tracker.gate.replay import gate_stored
    from tracker.store import Store
    from tracker.stored_report import with_stored_context

    policy, name = _policy_of_store(options)
    with Store.open(db, read_only=True) as store:
        report = gate_stored(
            store, stored_project(store, name), stored_ref(base), stored_ref(head), policy,
            machine=options.lab.machine, gate_id=options.gate_id,
        )  # fmt: skip
        return with_stored_context(report, store)


def _back_test(db: str, options: GateOptions, outputs: Outputs) -> int:
    """Print the outcome of every stored gate under the policy; return 4 where there is no gate."""
    from tracker.cli.project import stored_project
    from tracker.gate.backtest import backtest
    from tracker.report.backtest import BACKTEST_FORMATS
    from tracker.store import Store

    for form in outputs.forms:
        if form not in BACKTEST_FORMATS:
            raise UsageError(
                f"every stored gate is printed as {', '.join(BACKTEST_FORMATS)}, not as {form}"
            )
    policy, name = _policy_of_store(options)
    with Store.open(db, read_only=True) as store:
        result = backtest(store, stored_project(store, name), policy, machine=options.lab.machine)
    outputs.write(lambda form: BACKTEST_FORMATS[form](result), result.summary)
    return 0 if result.gates else 4


def _policy_of_store(options: GateOptions) -> tuple[Policy, str | None]:
    """The policy for stored gates, and the name of their project where it is known.

    A store is read outside of any asv project as well; the current directory is as good then.
    """
    from tracker.measure.project import load_project

    home = name = None
    try:
        project = load_project(options.lab.config)
    except UsageError:
        if options.lab.config is not None:
            raise
    else:
        home = project.config_path.parent
        name = None if options.lab.config is None else project.name
    policy = replace(load_policy(options.lab.policy_path, start=home), **options.policy)
    return policy, options.project or policy.name or name
