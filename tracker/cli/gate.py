"""`tracker gate`: two commits in, a verdict out."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live

from tracker.cli import Settings
from tracker.cli.options import lab_options
from tracker.cli.timespan import seconds
from tracker.errors import PacekeeperError, UsageError
from tracker.gate.policy import Policy
from tracker.gate.policy_file import check_patterns, load_policy
from tracker.report import FORMATS, Report, render
from tracker.report.environments import merged

if TYPE_CHECKING:
    from tracker.gate.listener import Listener
    from tracker.store import Store

__all__ = ["command"]


@click.command("gate")
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option("--stored", is_flag=True, help="Judge the pairs the store holds; measure nothing.")
@click.option(
    "--all",
    "all_of_them",
    is_flag=True,
    help="List the unchanged metrics, too. With --stored and no commits: every gate.",
)
@click.option("--bench", multiple=True, metavar="REGEX", help="Only these benchmarks; repeatable.")
@click.option("--max-pairs", type=click.IntRange(min=1), metavar="N", help="No more pairs than N.")
@click.option(
    "--budget", metavar="TIME", help="Start no pair that is expected to exceed TIME: 300, 5m, 2h."
)
@click.option("--timeout", metavar="TIME", help="Stop a launch that takes longer.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first regression or broken limit.")
@click.option("--fresh", is_flag=True, help="Do not resume a gate that was interrupted.")
@click.option("--creep", is_flag=True, help="Measure HEAD against the last release as well.")
@click.option(
    "--ignore-messages",
    is_flag=True,
    help="Apply no Perf-expect line of a commit's message; warn of each instead.",
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
    "--project", metavar="NAME", help="Name in the store; else pacekeeper.toml's or asv's."
)
@click.option("--gate", "gate_id", metavar="ID", help="With --stored: this gate, not the newest.")
@click.pass_obj
def command(
    settings: Settings,
    base: str | None,
    head: str | None,
    stored: bool,
    all_of_them: bool,
    bench: tuple[str, ...],
    max_pairs: int | None,
    budget: str | None,
    timeout: str | None,
    fail_fast: bool,
    fresh: bool,
    creep: bool,
    ignore_messages: bool,
    seed: int | None,
    form: str,
    out: Path | None,
    reports: tuple[Path, ...],
    notes: tuple[str, ...],
    policy_path: Path | None,
    config: Path | None,
    python: str | None,
    machine: str | None,
    environment: str | None,
    project: str | None,
    gate_id: str | None,
) -> int:
    """Measure interleaved pairs of BASE and HEAD until decided; exit with the verdict.

    BASE and HEAD are anything git takes for a commit. Each launch is in the store as soon as it
    is done: a gate that was killed goes on where it was. The same commit twice is an A/A run: it
    shows how often the gate cries wolf.

    With --stored the pairs in the store are judged by the policy of today, or by --policy FILE;
    without BASE and HEAD those of every gate, and what would have come out otherwise.

    Exits 0 for a pass, 1 where a metric that votes is a regression, HEAD breaks an absolute limit
    or fails a benchmark that BASE runs, 3 where a metric is undecided and the policy blocks on
    that, 4 where the measurement is not valid (the commits work differently) or a benchmark cannot
    be measured, 130 where Ctrl-C ends it undecided.
    """
    if stored:
        _refuse(
            "measures, and --stored does not; leave one out",
            python=python, seed=seed, fail_fast=fail_fast, fresh=fresh, creep=creep,
            ignore_messages=ignore_messages, environment=environment,
        )  # fmt: skip
    else:
        _refuse("needs --stored", gate=gate_id)
    if out is not None:
        _check_writable("--out", out)
    forms = {path: _form_of(path) for path in reports}
    adjust = {
        "bench": bench or None,
        "max_pairs": max_pairs,
        "budget": seconds("--budget", budget),
        "timeout": seconds("--timeout", timeout),
    }
    given: dict[str, Any] = {key: value for key, value in adjust.items() if value is not None}
    check_patterns(bench)
    if stored:
        home, its_name = _home(config)
        policy = replace(load_policy(policy_path, start=home), **given)
        name = project or policy.name or its_name
        if base is None and head is None:
            return _back_test(settings, name, policy, machine, form, out, reports)
    if base is None or head is None:
        raise UsageError("Missing argument: give BASE and HEAD, or --stored for every stored gate")
    if stored:
        report = _judge_stored(settings, name, base, head, policy, machine, gate_id)
    else:
        report = _measure(
            settings, base, head, {**given, "name": project}, policy_path, config, python, machine,
            environment, seed, fail_fast, fresh, creep, ignore_messages,
        )  # fmt: skip
    report = replace(report, warnings=(*notes, *report.warnings))
    for path, its_form in forms.items():
        path.write_text(render(report, its_form, every_metric=all_of_them), encoding="utf-8")
    text = render(report, form, every_metric=all_of_them)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(f"{report.headline} (exit {report.exit_code})", err=True)
    return report.exit_code


def _refuse(why: str, **options: object) -> None:
    """Raise a UsageError for the first option that was given, rather than ignore it."""
    for name, value in options.items():
        if value is not None and value is not False:
            raise UsageError(f"--{name.replace('_', '-')} {why}")


def _measure(
    settings: Settings,
    base: str,
    head: str,
    given: dict[str, Any],
    policy_path: Path | None,
    config: Path | None,
    python: str | None,
    machine: str | None,
    environment: str | None,
    seed: int | None,
    fail_fast: bool,
    fresh: bool,
    creep: bool,
    ignore_messages: bool,
) -> Report:
    from tracker.cli.lab import open_lab
    from tracker.gate.creep import with_creep
    from tracker.gate.environment import with_environment
    from tracker.gate.measured import gate_commits
    from tracker.gate.tails import with_tails

    with open_lab(
        settings.db, config=config, policy_path=policy_path, given=given, python=python,
        machine=machine, environment=environment,
    ) as lab:  # fmt: skip
        first, second = lab.commit(base), lab.commit(head)
        store = lab.recorder.store
        order = random.SystemRandom().randrange(2**31) if seed is None else seed
        resume = not fresh and seed is None
        messages = lab.repository.messages(first.hash, second.hash) if ignore_messages else []
        untrusted = [commit for commit, _ in messages]
        reports: dict[str, Report] = {}
        for name, part in lab.environments().items():
            with _progress() as listener:
                report = gate_commits(
                    part.recorder, part.runner, first, second, part.policy,
                    listener=listener, seed=order, fail_fast=fail_fast, resume=resume,
                    untrusted=untrusted,
                )  # fmt: skip
                report = with_creep(
                    with_tails(report, store), part.recorder, part.runner, first, second,
                    part.policy, listener=listener, seed=order, resume=resume, force=creep,
                    untrusted=untrusted,
                )  # fmt: skip
            _alert(store, report, part.policy)
            reports[name] = with_environment(report, store)
            if report.stopped == "interrupted":
                break
        return merged(reports)


@contextmanager
def _progress() -> Iterator[Listener]:
    """A table that moves where somebody looks, else a line a pair."""
    from tracker.gate.progress import LiveProgress, PlainProgress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    with Live(console=console, transient=True) as live:
        yield LiveProgress(console, live)


def _alert(store: Store, report: Report, policy: Policy) -> None:
    """Open and send the alert of a regression; whatever fails there, the verdict stands."""
    from tracker.alerts import alert_for_gate
    from tracker.store import queries

    if report.base == report.head:
        return  # the same commit twice measures the gate, not the commit
    against_release = report.creep.gate_id if report.creep is not None else None
    for gate_id in filter(None, (report.gate_id, against_release)):
        try:
            alert_for_gate(store, queries.get_gate(store, gate_id), policy.alerts)
        except PacekeeperError as error:
            click.echo(f"warning: no alert was opened: {error}", err=True)


def _judge_stored(
    settings: Settings,
    project: str | None,
    base: str,
    head: str,
    policy: Policy,
    machine: str | None,
    gate_id: str | None,
) -> Report:
    from tracker.cli.project import stored_project, stored_ref
    from tracker.gate.environment import with_environment
    from tracker.gate.replay import gate_stored
    from tracker.gate.tails import with_tails
    from tracker.store import Store

    with Store.open(settings.db, read_only=True) as store:
        name = stored_project(store, project)
        report = gate_stored(
            store, name, stored_ref(base), stored_ref(head), policy,
            machine=machine, gate_id=gate_id,
        )  # fmt: skip
        return with_environment(with_tails(report, store), store)


def _back_test(
    settings: Settings,
    project: str | None,
    policy: Policy,
    machine: str | None,
    form: str,
    out: Path | None,
    reports: tuple[Path, ...],
) -> int:
    """Say what `policy` would have said of every stored gate; 4 where there is none to try it on."""
    from tracker.cli.project import stored_project
    from tracker.gate.backtest import backtest
    from tracker.report.backtest import BACKTEST_FORMATS
    from tracker.store import Store

    wanted = {path: _form_of(path) for path in reports}
    for name in (form, *wanted.values()):
        if name not in BACKTEST_FORMATS:
            raise UsageError(
                f"every stored gate is printed as {', '.join(BACKTEST_FORMATS)}, not as {name}"
            )
    with Store.open(settings.db, read_only=True) as store:
        found = backtest(store, stored_project(store, project), policy, machine=machine)
    for path, its_form in wanted.items():
        path.write_text(BACKTEST_FORMATS[its_form](found), encoding="utf-8")
    text = BACKTEST_FORMATS[form](found)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(found.summary, err=True)
    return 0 if found.gates else 4


def _home(config: Path | None) -> tuple[Path | None, str | None]:
    """Where the policy of stored gates lies, and the project's name where `config` tells it.

    A store is read outside of any asv project as well; the current directory is as good then.
    """
    from tracker.measure.project import load_project

    try:
        found = load_project(config)
    except UsageError:
        if config is not None:
            raise
        return None, None
    return found.config_path.parent, None if config is None else found.name


def _check_writable(option: str, path: Path) -> None:
    """Refuse before measuring what could not be written after it."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: no such directory")
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a directory; name a file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"{option} {path}: cannot be written")


_SUFFIXES = {
    ".txt": "text",
    ".md": "markdown",
    ".json": "json",
    ".xml": "junit",
    ".html": "html",
}


def _form_of(path: Path) -> str:
    _check_writable("--report", path)
    form = _SUFFIXES.get(path.suffix)
    if form is None:
        raise UsageError(f"--report {path}: its suffix must be one of {', '.join(_SUFFIXES)}")
    return form
