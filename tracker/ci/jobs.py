"""The jobs themselves: judge a change, publish what a judging job left, record what was merged."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tracker.ci.comment import MARKER, comment_of, cut, junit_of
from tracker.ci.gate_run import INTERRUPTED, gate_environment, outcome_of, run_logged
from tracker.ci.github import GitHubJob, annotate, fenced_log, write_files
from tracker.ci.gitlab import GitLabJob
from tracker.ci.result import (
    CiResult,
    blocking_outcomes,
    conclusion_of,
    load_result,
    one_line,
    save_result,
)
from tracker.ci.rules import merge_base, rules_of_base
from tracker.errors import PacekeeperError, UsageError
from tracker.http_client import ApiError
from tracker.measure.git import Repository
from tracker.measure.project import load_project

__all__ = ["Surroundings", "gate_job", "publish_job", "record_job", "surroundings_of"]

REPORT_FILES = ("gate.md", "gate.json", "gate.xml", "gate.html")
# -P: a package `tracker` in the checkout must not take the place of the installed one.
TRACKER = (sys.executable, "-P", "-m", "tracker")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a job runs.

    Attributes:
        environ: Its environment.
        reports: Directory of reports.
        blocking: Outcomes that exit 1.
        start: Directory that it was called in.
        db: URL of the store; handed on in the environment, never as an argument.
        tracker: Command that starts the tracker.
        say: Prints a line into the log.
    """

    environ: Mapping[str, str]
    reports: Path
    blocking: frozenset[str]
    start: Path
    db: str
    tracker: Sequence[str] = TRACKER
    say: Callable[[str], None] = print


def surroundings_of(environ: Mapping[str, str], db: str) -> Surroundings:
    """Return where the job runs, from its environment.

    Raises:
        UsageError: PACEKEEPER_BLOCK_ON names no outcome.
    """
    return Surroundings(
        environ=environ,
        reports=Path(environ.get("PACEKEEPER_REPORTS") or "reports"),
        blocking=blocking_outcomes(environ.get("PACEKEEPER_BLOCK_ON")),
        start=Path.cwd(),
        db=db,
    )


def gate_job(
    here: Surroundings,
    target: str | None,
    head: str,
    options: Sequence[str] = (),
    *,
    policy: Path | None = None,
    config: Path | None = None,
    accept_expectations: bool = False,
    publish: bool = True,
) -> int:
    """Judge `head` against where it left `target`; publish the result; return the exit code.

    Args:
        here: Where the job runs.
        target: The branch that the change is to go to; None for the pull or merge request's.
        head: The commit to judge.
        options: More options of `tracker gate`.
        policy: As `rules_of_base` takes it.
        config: Likewise.
        accept_expectations: Apply the Perf-expect lines of the change's own commit messages.
        publish: Whether the CI system gets the result; otherwise only files are written.

    Raises:
        UsageError: There is no target.
        KeyboardInterrupt: The job was interrupted; that was published as far as possible.
    """
    here.reports.mkdir(parents=True, exist_ok=True)
    for name in (*REPORT_FILES, "gate.log", "comment.md"):
        (here.reports / name).unlink(missing_ok=True)
    # What is left behind where this process is killed.
    save_result(CiResult("infrastructure", "the job ended before the gate did"), here.reports)
    log = here.reports / "gate.log"
    platform = _Platform(here, publish)
    target = target or platform.target
    if target is None:
        raise UsageError("give TARGET: this is no job of a pull or merge request")
    code = 2
    base_hash = head_hash = ""
    try:
        repository = _repository(here.start, config, (target, head))
        head_hash = repository.resolve(head)
        platform.begin(head_hash)
        base_hash = merge_base(repository, target, head)
        code = _run_gate(
            here, repository, base_hash, head_hash, options, policy, config,
            accept_expectations or platform.accepts_expectations(), log,
        )  # fmt: skip
        result = outcome_of(code, here.reports / "gate.json", log, base=base_hash, head=head_hash)
    except PacekeeperError as error:
        line = f"error: {one_line(str(error))}"
        here.say(line)
        with log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        result = CiResult("infrastructure", one_line(str(error)), head_hash, base_hash)
    _write_files(here, result)
    platform.finish(result)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return result.exit_code(here.blocking)


def publish_job(here: Surroundings, *, head: str, pull: int | None = None) -> int:
    """Tell the CI system what a gate job without a token left in the reports; return its exit code.

    Args:
        here: Where the job runs.
        head: Full hash that the gate was asked to judge. The reports come from a job that ran the
            change's own code: they cannot choose another commit.
        pull: Number of the pull request, where the event does not carry it.
    """
    result = load_result(here.reports)
    if result.head not in ("", head):
        reason = f"the reports are of {result.head[:8]}, not of {head[:8]}"
        result = CiResult("infrastructure", one_line(reason))
    result = replace(result, head=head)
    try:
        comment = (here.reports / "comment.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        comment = ""
    if not result.is_judged or not comment.startswith(MARKER):
        comment = comment_of(result, None)
    _Platform(here, publish=True, pull=pull).finish(result, cut(comment))
    return result.exit_code(here.blocking)


def record_job(here: Surroundings, before: str | None, options: Sequence[str] = ()) -> int:
    """Measure what came to the branch, find level shifts, alert on what is new; return the exit code.

    Args:
        here: Where the job runs.
        before: The branch's head before; its commits up to HEAD are measured. HEAD alone where it
            is None, HEAD itself or no ancestor of it (a branch's first push, a forced one).
        options: More options of `tracker run`.
    """
    repository = _repository(here.start, None, ("HEAD",))
    commits = "HEAD"
    if before:
        try:
            first = repository.resolve(before)
        except UsageError:
            first = repository.resolve("HEAD")
        if first != repository.resolve("HEAD") and repository.is_ancestor(first, "HEAD"):
            commits = f"{first}..HEAD"
    here.reports.mkdir(parents=True, exist_ok=True)
    log = here.reports / "record.log"
    log.unlink(missing_ok=True)
    for command in (["run", commits, *options], ["changepoints", "--alert"]):
        with fenced_log(here.environ):
            code = run_logged(
                [*here.tracker, *command], log, environ=_environ(here), cwd=here.start
            )
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            if here.environ.get("GITHUB_ACTIONS"):
                what = f"tracker {command[0]} failed with exit code {code}"
                here.say(annotate("error", "Pacekeeper: nothing was recorded", what))
            return code
    return 0


def _run_gate(
    here: Surroundings,
    repository: Repository,
    base: str,
    head: str,
    options: Sequence[str],
    policy: Path | None,
    config: Path | None,
    accept_expectations: bool,
    log: Path,
) -> int:
    """Run `tracker gate` with the base's rules; return its exit code."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pacekeeper-ci-")))
        rules = stack.enter_context(
            rules_of_base(
                repository, base, start=here.start, scratch=scratch, policy=policy, config=config
            )
        )
        command = [*here.tracker, "gate", base, head]
        command += ["--policy", str(rules.policy)] if rules.policy is not None else []
        command += ["--config", str(rules.config)] if rules.config is not None else []
        command += ["--project", rules.project] if rules.project is not None else []
        command += [] if accept_expectations else ["--ignore-messages"]
        for notice in rules.notices:
            command += ["--note", one_line(notice)]
        for name in REPORT_FILES:
            command += ["--report", str((here.reports / name).resolve())]
        with fenced_log(here.environ):
            return run_logged([*command, *options], log, environ=_environ(here), cwd=here.start)


def _environ(here: Surroundings) -> dict[str, str]:
    return gate_environment(here.environ) | {"PACEKEEPER_DB": here.db}


def _repository(start: Path, config: Path | None, refs: Sequence[str]) -> Repository:
    """The repository whose commits are measured: this one, or the one that its suites are for.

    The checkout's own configuration is asked last: a change may have edited it.
    """
    here = Repository.find(start)
    try:
        for ref in refs:
            here.resolve(ref)
    except UsageError:
        with suppress(UsageError):
            return load_project(config).repository
    return here


def _write_files(here: Surroundings, result: CiResult) -> None:
    save_result(result, here.reports)
    report = here.reports / "gate.md"
    comment = comment_of(result, report.read_text(encoding="utf-8") if report.exists() else None)
    (here.reports / "comment.md").write_text(comment, encoding="utf-8")
    if not result.is_judged:
        report.write_text(comment.removeprefix(MARKER).lstrip(), encoding="utf-8")
    junit = here.reports / "gate.xml"
    if result.outcome == "infrastructure" or not junit.exists():
        junit.write_text(junit_of(result), encoding="utf-8")


class _Platform:
    """The CI systems of this job; what cannot be published to one is a warning in the log."""

    def __init__(self, here: Surroundings, publish: bool, pull: int | None = None) -> None:
        self._here = here
        self._check: int | None = None
        self._github: GitHubJob | None = None
        self._gitlab: GitLabJob | None = None
        self._publish = publish
        try:
            self._github = GitHubJob.of(here.environ, pull=pull)
            self._gitlab = GitLabJob.of(here.environ)
        except PacekeeperError as error:
            self._warn([str(error)])
        self.jobs = [job for job in (self._github, self._gitlab) if job is not None]

    @property
    def target(self) -> str | None:
        return next((job.target for job in self.jobs if job.target), None) or (
            f"origin/{self._here.environ['CHANGE_TARGET']}"  # Jenkins
            if self._here.environ.get("CHANGE_TARGET")
            else None
        )

    def accepts_expectations(self) -> bool:
        try:
            return any(job.accepts_expectations() for job in self.jobs)
        except ApiError as error:
            self._warn([f"the labels could not be read, so none is taken for set: {error}"])
            return False

    def begin(self, head: str) -> None:
        if not self._publish:
            return
        try:
            if self._github is not None:
                self._check = self._github.begin(head)
            if self._gitlab is not None:
                self._gitlab.begin(head)
        except ApiError as error:
            self._warn([f"the verdict could not be announced: {error}"])

    def finish(self, result: CiResult, comment: str | None = None) -> None:
        here = self._here
        shown = conclusion_of(result, here.blocking)
        if comment is None:
            comment = (here.reports / "comment.md").read_text(encoding="utf-8")
        if self._github is not None:
            if shown.annotation is not None:
                here.say(annotate(shown.annotation, shown.title, result.reason))
            outputs = {
                "outcome": result.outcome, "conclusion": shown.github, "title": shown.title,
                "reason": result.reason,
            }  # fmt: skip
            write_files(here.environ, outputs, comment.removeprefix(MARKER).lstrip())
        here.say(f"pacekeeper: {result.outcome}: {result.reason}")
        if not self._publish:
            return
        if self._github is not None:
            self._warn(self._github.finish(self._check, result, shown, comment))
        if self._gitlab is not None:
            self._warn(self._gitlab.finish(result, shown, comment))

    def _warn(self, problems: Iterable[str]) -> None:
        for problem in problems:
            line = one_line(problem)
            in_github = bool(self._here.environ.get("GITHUB_ACTIONS"))
            self._here.say(
                annotate("warning", "Pacekeeper: not published", line)
                if in_github
                else f"warning: {line}"
            )
