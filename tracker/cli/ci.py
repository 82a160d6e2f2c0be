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
    """Run the gate and record results in GitHub Actions, GitLab CI, Jenkins or any other CI system.

    Reports are written to the directory $PACEKEEPER_REPORTS (default: reports): gate.md, gate.json, gate.xml
    (JUnit), gate.html, gate.log, comment.md, outcome (one word) and ci.json.
    """


@command.command("gate", context_settings=_PASSED_ON)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[TARGET [HEAD]] [OPTION...]")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Policy file, read from the merge base (default: pacekeeper.toml).",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="asv's configuration, read from the merge base (default: asv.conf.json).",
)
@click.option(
    "--accept-expectations",
    is_flag=True,
    help="Apply the Perf-expect lines of the change, as the label perf-expected does.",
)
@click.option("--no-publish", is_flag=True, help="Write files only; send nothing to the CI system.")
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

    TARGET defaults to the target branch of the pull or merge request. Each OPTION is an option of
    `tracker gate`. Policy and suites come from the merge base. If a change edits them, the report
    lists the edits, and they apply to later changes.

    Exits 1 for the outcomes in $PACEKEEPER_BLOCK_ON (default: regression broken), 2 for wrong
    usage, else 0. An outcome that does not block is a warning in the log.
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
    """Measure BEFORE..HEAD, find level shifts and alert on new regressions.

    Without BEFORE, or where BEFORE is HEAD or no ancestor of it, HEAD alone is measured. Commits
    that the store has are skipped. Each OPTION is an option of `tracker run`. Exits with the code
    of the command that failed.
    """
    from tracker.ci.jobs import record_job, surroundings_of

    options = list(words)
    before = options.pop(0) if options and not options[0].startswith("-") else None
    return record_job(surroundings_of(os.environ, settings.db), before, options)


@command.command("publish")
@click.option(
    "--head", required=True, metavar="COMMIT", help="Full hash of the commit that the gate judged."
)
@click.option(
    "--pull", type=int, metavar="N", help="Number of the pull request (default: that of the event)."
)
@click.pass_obj
def publish(settings: Settings, head: str, pull: int | None) -> int:
    """Publish the reports of a gate that ran without a token, such as the gate of a fork's change.

    Exits with the code of that gate. If reports are missing or belong to another commit, the
    published outcome is "infrastructure".
    """
    from tracker.ci.jobs import publish_job, surroundings_of

    return publish_job(surroundings_of(os.environ, settings.db), head=head, pull=pull)


@command.command("authorize")
def authorize() -> int:
    """Decide whether a pull request's comment `/pacekeeper gate [COMMIT]` starts a gate (GitHub).

    It does if its author may write to the repository and the head commit has not changed since
    the comment. Writes the outputs allowed (true or false), reason, pull, head and target.
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
