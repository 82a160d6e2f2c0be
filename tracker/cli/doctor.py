"""`tracker doctor`: checks whether machine, project and store are fit to measure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from tracker.cli import Settings
from tracker.doctor import Finding, examine, examine_quarantine
from tracker.errors import PacekeeperError, StoreError, UsageError
from tracker.fingerprint import read_gpus

__all__ = ["command"]

_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command("doctor")
@click.option(
    "--python", metavar="PATH", help="Interpreter that runs the suites (default: this one)."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="asv's configuration (default: the nearest asv.conf.json).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--release", metavar="GPU", help="Let the launches of this GPU (a UUID) count again.")
@click.option("--because", metavar="TEXT", default="", help="With --release: what was repaired.")
@click.pass_obj
def command(
    settings: Settings, python: str | None, config: Path | None, as_json: bool,
    release: str | None, because: str,
) -> int:  # fmt: skip
    """Check whether this machine is fit to measure, and say how to fix what is not.

    A GPU that reached less than half of its clock under load is in quarantine: its launches do not
    count. It stays there until --release.

    Exits 4 if a measurement could not work, else 0. A cause of noise is only a warning.
    """
    if release is not None:
        return _release(settings.db, release, because)
    findings = [*examine(python), *_project(config), *_store(settings.db)]
    failed = any(finding.status == "fail" for finding in findings)
    if as_json:
        document = {"fit": not failed, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(document, indent=2))
    else:
        _print(findings)
    return 4 if failed else 0


def _project(config: Path | None) -> Iterator[Finding]:
    from tracker.gate.policy_file import load_policy
    from tracker.measure.project import load_project, unmeasured_changes

    try:
        project = load_project(config)
    except PacekeeperError as error:
        yield Finding("project", "fail", str(error))
        return
    yield Finding("project", "ok", f"{project.name} ({project.config_path})")
    try:
        head = project.repository.resolve("HEAD")
    except PacekeeperError as error:
        yield Finding("git", "fail", str(error), "commit something: commits are what is measured")
    else:
        shallow = project.repository.is_shallow()
        yield Finding(
            "git",
            "warn" if shallow else "ok",
            f"{project.repository.root} at {head[:8]}" + (", a shallow clone" if shallow else ""),
            "git fetch --unshallow, to measure older commits" if shallow else "",
        )
        for warning in unmeasured_changes(project, head_is_measured=True):
            yield Finding("git", "warn", warning, "commit first")
    try:
        load_policy(start=project.config_path.parent)
    except PacekeeperError as error:
        yield Finding("policy", "fail", str(error))


def _store(url: str) -> Iterator[Finding]:
    from tracker.store import Store, queries

    try:
        with Store.open(url, read_only=True) as store:
            yield Finding("store", "ok", store.url)
            here = {gpu.uuid for gpu in read_gpus().gpus}
            yield from examine_quarantine(queries.quarantined_gpus(store).values(), here)
    except StoreError as error:
        if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
            yield Finding("store", "warn", str(error), "the first `tracker run` makes it")
        else:
            yield Finding("store", "fail", str(error))
    except PacekeeperError as error:
        yield Finding("store", "fail", str(error))


def _release(url: str, gpu: str, because: str) -> int:
    """End a GPU's quarantine.

    Raises:
        UsageError: It is in none.
    """
    from tracker.store import Store, queries

    with Store.open(url) as store:
        if not store.release_gpu(gpu, because):
            known = ", ".join(queries.quarantined_gpus(store)) or "none"
            raise UsageError(f"GPU {gpu!r} is not in quarantine; those that are: {known}")
    click.echo(f"GPU {gpu} is released: its launches count again")
    return 0


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    width = max(len(finding.area) for finding in findings)
    for finding in findings:
        line = Text.assemble(
            (f"{finding.status:4}", _STYLE[finding.status]),
            f"  {finding.area:{width}}  {finding.detail}",
        )
        if finding.advice and finding.status != "ok":
            line.append(f"\n      {'':{width}}  → {finding.advice}", style="dim")
        console.print(line, soft_wrap=True)
