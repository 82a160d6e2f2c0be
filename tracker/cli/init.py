"""`tracker init`: write the files that a repository needs to be measured and judged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracker.errors import UsageError

if TYPE_CHECKING:
    from tracker.init.pipelines import Ci
    from tracker.init.shapes import Shape
    from tracker.measure.git import Repository

__all__ = ["command"]


@click.command("init")
@click.option(
    "--asv",
    is_flag=True,
    help="Measure a Python package with asv suites; they are created if missing.",
)
@click.option(
    "--command",
    "measured",
    metavar="CMD",
    help="Measure a program that writes its results to {out}.",
)
@click.option(
    "--server", metavar="CMD", help="Measure an OpenAI-compatible server; CMD starts it on {port}."
)
@click.option(
    "--url",
    metavar="URL",
    help="Measure an OpenAI-compatible server that already runs; needs --deploy.",
)
@click.option("--deploy", metavar="CMD", help="With --url: deploys {commit} to that server.")
@click.option(
    "--build", metavar="CMD", help="Command to run in the worktree of each commit before measuring."
)
@click.option("--format", "form", metavar="NAME", help="With --command: format of the result file.")
@click.option(
    "--ci", type=click.Choice(["github", "gitlab", "jenkins"]), help="Write the pipeline as well."
)
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Show every file in full; write nothing.")
def command(
    asv: bool,
    measured: str | None,
    server: str | None,
    url: str | None,
    deploy: str | None,
    build: str | None,
    form: str | None,
    ci: Ci | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Write missing files: pacekeeper.toml, a first suite, .gitignore lines, a CI pipeline.

    Give one of --asv, --command, --server and --url. The files are shown before you confirm. An
    existing file is not changed. CMD runs in a shell in the worktree of each commit.

    Afterwards `tracker gate HEAD~1 HEAD` measures and judges the last commit.
    """
    from tracker.init.pipelines import pipeline
    from tracker.init.plan import plan, write
    from tracker.init.shapes import Asv
    from tracker.measure.git import Repository

    shapes = [name for name, given in (("--asv", asv), ("--command", measured is not None),
              ("--server", server is not None), ("--url", url is not None)) if given]  # fmt: skip
    if len(shapes) != 1:
        given = " and ".join(shapes) or "none"
        raise UsageError(f"give one of --asv, --command, --server and --url; given: {given}")
    for option, value, wanted in (
        ("--deploy", deploy, "--url"), ("--format", form, "--command"),
    ):  # fmt: skip
        if value is not None and shapes != [wanted]:
            raise UsageError(f"{option} is for {wanted}, not for {shapes[0]}")
    if asv and build is not None:
        raise UsageError(
            "--build is for --command, --server and --url; state it in pacekeeper.toml"
        )
    if url is not None and deploy is None:
        raise UsageError(
            "--url needs --deploy 'CMD', which brings a commit to that server; without it both "
            "commits of a gate would be measured on one server"
        )
    repository = Repository.find(Path.cwd())
    repository.resolve("HEAD")
    shape = _shape(repository, measured, server, url, deploy, build, form)
    files = shape.files()
    _check(files["pacekeeper.toml"])
    by_hand: list[str] = []
    if ci is not None:
        branch = _branch(repository)
        pipelines, todo = pipeline(ci, branch=branch, installs_project=isinstance(shape, Asv))
        files |= pipelines
        by_hand.append(todo)
    root = repository.root
    planned = plan(root, files)
    for file in planned:
        verb = {"write": "write", "append": "append to", "keep": "keep"}[file.action]
        click.echo(f"{verb} {file.path}" + (" (it is there)" if file.action == "keep" else ""))
        if dry_run or (file.path == "pacekeeper.toml" and file.action == "write"):
            click.echo("".join(f"    {line}\n" for line in file.text.splitlines()))
        if file.action == "keep" and file.path in (
            "pacekeeper.toml",
            ".gitlab-ci.yml",
            "Jenkinsfile",
        ):
            by_hand.append(f"{file.path} exists: take over by hand what --dry-run shows for it")
    if dry_run:
        return
    if all(file.action == "keep" for file in planned):
        click.echo("nothing is missing")
    else:
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(
                    "nothing is written without a yes: give --yes, or --dry-run to see all"
                )
            click.confirm(f"Write this to {root}?", abort=True)
        write(root, planned)
    for todo in by_hand:
        click.echo(f"by hand: {todo}")
    click.echo("next: git add and commit, then: tracker doctor; tracker gate HEAD~1 HEAD")


def _shape(
    repository: Repository,
    measured: str | None,
    server: str | None,
    url: str | None,
    deploy: str | None,
    build: str | None,
    form: str | None,
) -> Shape:
    from tracker.init.shapes import Asv, Command, Server, Suites, package_of
    from tracker.measure.project import CONFIG_NAMES

    root = repository.root
    if measured is not None:
        return Command(root.name, measured, build, form)
    if server is not None or url is not None:
        return Server(root.name, server, url, deploy, build)
    if any((root / name).is_file() for name in CONFIG_NAMES):
        return Asv(root.name)
    package = package_of(root, root.name)
    existing = root / "benchmarks"
    own = existing.exists() and not (existing / "__init__.py").is_file()
    folder = "asv_benchmarks" if own else "benchmarks"  # scripts there are no suites
    return Asv(root.name, Suites(package, folder, _branch(repository)))


def _check(settings: str) -> None:
    """Refuse before anything is written what pacekeeper.toml would be refused for."""
    import tomllib

    from tracker.gate.policy_file import parse_policy

    parse_policy(tomllib.loads(settings), "pacekeeper.toml as it would be written")


def _branch(repository: Repository) -> str:
    return repository.branch() or "main"
