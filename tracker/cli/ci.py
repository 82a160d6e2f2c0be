"""`tracker ci`: what a CI job calls."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tracker.cli import Settings

__all__ = ["command"]

_PASSED_ON = {"ignore_unknown_options": True}


@click.group("ci")
def command() -> None:
    """Judge and record in GitHub Actions, GitLab CI, Jenkins or anywhere.

    Reports go into the directory $PACEKEEPER_REPORTS (reports): gate.md, gate.json, gate.xml
    (JUnit), gate.html, gate.log, comment.md, outcome (one word) and ci.json.
    """


@command.command("gate", context_settings=_PASSED_ON)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[TARGET [HEAD]] [OPTION...]")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Else pacekeeper.toml; one of the repository is read from the merge base.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="asv.conf.json; one of the repository is read from the merge base.",
)
@click.option(
    "--accept-expectations",
    is_flag=True,
    help="Apply the change's own Perf-expect lines; so does the label perf-expected.",
)
@click.option("--no-publish", is_flag=True, help="Write files only; tell the CI system nothing.")
@click.pass_obj
def gate(
    settings: Settings,
    words: tuple[str, ...],
    policy: Path | None,
    config: Path | None,
    accept_expectations: bool,
    no_publish: bool,
) -> int:
    """Judge HEAD (default: HEAD) against the commit at which it left TARGET.

    TARGET is the pull or merge request's target branch unless given. Every OPTION is one of
    `tracker gate`. Policy and suites are those of the merge base: what a change edits of them is
    listed in the report and judges later changes.

    Exits 1 for the outcomes in $PACEKEEPER_BLOCK_ON (default: regression broken), 2 for wrong
    usage, else 0. An outcome that does not block is a warning in the log, never a silent pass.
    """
    from tracker.ci.jobs import gate_job, surroundings_of

    refs: list[str] = []
    options = list(words)
    while options and len(refs) < 2 and not options[0].startswith("-"):
        refs.append(options.pop(0))
    target, head = (*refs, None, None)[:2]
    return gate_job(
        surroundings_of(os.environ, settings.db), target, head or "HEAD", options,
        policy=policy, config=config, accept_expectations=accept_expectations,
        publish=not no_publish,
    )  # fmt: skip


@command.command("record", context_settings=_PASSED_ON)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[BEFORE] [OPTION...]")
@click.pass_obj
def record(settings: Settings, words: tuple[str, ...]) -> int:
    """Measure BEFORE..HEAD, find level shifts, alert on what is new.

    HEAD alone where BEFORE is not given, is HEAD, or is no ancestor of it. Commits that the store
    has are skipped. Every OPTION is one of `tracker run`. Exits as the command that failed.
    """
    from tracker.ci.jobs import record_job, surroundings_of

    options = list(words)
    before = options.pop(0) if options and not options[0].startswith("-") else None
    return record_job(surroundings_of(os.environ, settings.db), before, options)


@command.command("publish")
@click.option("--head", required=True, metavar="COMMIT", help="Full hash that was to be judged.")
@click.option("--pull", type=int, metavar="N", help="Pull request; else the event's.")
@click.pass_obj
def publish(settings: Settings, head: str, pull: int | None) -> int:
    """Publish the reports of a gate that ran without a token, as for a change from a fork.

    Exits as that gate. Reports that are missing or of another commit are published as
    "infrastructure".
    """
    from tracker.ci.jobs import publish_job, surroundings_of

    return publish_job(surroundings_of(os.environ, settings.db), head=head, pull=pull)


@command.command("authorize")
def authorize() -> int:
    """Decide whether a pull request's comment `/pacekeeper gate [COMMIT]` starts a gate (GitHub).

    It does where its author may write to the repository and the head commit is the one they saw.
    Writes the outputs allowed (true or false), reason, pull, head, target.
    """
    from tracker.ci.github import GitHubJob, permit_of, write_files
    from tracker.errors import UsageError

    job = GitHubJob.of(os.environ)
    if job is None:
        raise UsageError("tracker ci authorize works in GitHub Actions only")
    permit = permit_of(job)
    write_files(
        os.environ,
        {
            "allowed": str(permit.allowed).lower(), "reason": permit.reason,
            "pull": str(permit.pull or ""), "head": permit.head, "target": permit.target,
        },
    )  # fmt: skip
    click.echo(f"{'allowed' if permit.allowed else 'not allowed'}: {permit.reason}")
    return 0
