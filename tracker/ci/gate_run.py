"""`tracker gate` as a process of its own, and its outcome: a killed gate is no pass."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, get_args

from tracker.ci.result import CiResult, one_line
from tracker.domain import Outcome
from tracker.gate.outcome import INTERRUPTED, exit_code_of

__all__ = ["INTERRUPTED", "gate_environment", "outcome_of", "run_logged"]

_GRACE = 60.0  # seconds that an interrupted gate gets to end its launches
_DRAIN = 5.0  # seconds that its last lines get to arrive

# What measured code could speak to the CI system with, or in the job's name.
_HIDDEN = re.compile(
    r"(GITHUB|GH|GH_ENTERPRISE|GITLAB|PACEKEEPER_GITLAB)_TOKEN"
    r"|CI_(\w+_)?(TOKEN|PASSWORD|JWT|JWT_V\d|REPOSITORY_URL)"
    r"|GITHUB_(OUTPUT|ENV|PATH|STATE|STEP_SUMMARY)|ACTIONS_\w+"
)
# Each outcome's exit codes of `tracker gate`; a report that contradicts them is not believed.
_CODES: dict[Outcome, set[int]] = {
    word: {exit_code_of(word, undecided_blocks=blocks) for blocks in (False, True)}
    for word in get_args(Outcome)
}
_LAST_WORD = re.compile(
    r"(?:[A-Z][A-Z ]+: |[Ee]rror: ).*"  # a headline of the report, or an error message
)


def gate_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the gate's environment: without the CI system's tokens and the files that carry outputs.

    Which of the user's own secrets measured code sees is the runner's to decide.
    """
    return {name: value for name, value in environ.items() if not _HIDDEN.fullmatch(name)}


def run_logged(
    command: Sequence[str], log: Path, *, environ: Mapping[str, str], cwd: Path | None = None
) -> int:
    """Run `command`, its output on ours and in `log`; return its exit code as a shell gives it.

    An interruption (Ctrl-C, SIGTERM) ends the command as well and gives `INTERRUPTED`; so do the
    signals themselves. A command that a signal killed gives 128 plus its number.
    """
    with log.open("ab") as file:
        try:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=cwd,
            )
        except OSError as error:
            _write(file, f"error: {command[0]} cannot be started: {error.strerror}\n".encode())
            return 127
        # Not read here: a process that the command leaves behind may hold the pipe for ever.
        reader = threading.Thread(target=_copy, args=(process.stdout, file), daemon=True)
        reader.start()
        try:
            code = process.wait()
        except KeyboardInterrupt:
            _end(process)
            code = INTERRUPTED
        reader.join(_DRAIN)
    return 128 - code if code < 0 else code


def _copy(output: IO[bytes], log: IO[bytes]) -> None:
    with (
        output,
        suppress(ValueError),
    ):  # the log is closed: the command ended, what it left behind did not
        for line in output:
            _write(log, line)


def _write(log: IO[bytes], line: bytes) -> None:
    log.write(line)
    log.flush()
    sys.stdout.write(line.decode("utf-8", "replace"))
    sys.stdout.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def outcome_of(code: int, report: Path, log: Path, *, base: str, head: str) -> CiResult:
    """Return the gate's result, from its exit code and its JSON report together.

    Only a report of these commits whose outcome fits the exit code is believed; all else is
    "infrastructure", with the reason.

    Args:
        code: Exit code of `tracker gate`.
        report: Its JSON report.
        log: Its output; the last word of it is the reason where there is no report.
        base: Full hash of the commit it had to judge against.
        head: Full hash of the commit it had to judge.
    """

    def infrastructure(why: str) -> CiResult:
        return CiResult("infrastructure", one_line(f"{why} (exit code {code})"), head, base)

    if code in (INTERRUPTED, 128 + signal.SIGTERM):
        return infrastructure("the gate was interrupted before it had a verdict")
    if code > 128:
        return infrastructure(f"the gate was killed by signal {code - 128}")
    if code not in {known for codes in _CODES.values() for known in codes}:
        return infrastructure(_last_word(log) or "tracker gate failed")
    try:
        content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        outcome: Any = content["outcome"]
        commits = (content["base"]["commit"], content["head"]["commit"])
        headline = one_line(str(content["headline"]))
    except FileNotFoundError:
        return infrastructure(_last_word(log) or "tracker gate left no report")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return infrastructure(f"the report cannot be read: {type(error).__name__}: {error}")
    if outcome not in get_args(Outcome) or code not in _CODES[outcome]:
        return infrastructure(f"the report says {outcome!r}, which contradicts the exit code")
    if commits != (base, head):
        return infrastructure("the report is of other commits")
    return CiResult(outcome, headline, head, base)


def _last_word(log: Path) -> str | None:
    """The last line of the log that is a headline or an error."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    words = [match[0] for line in lines if (match := _LAST_WORD.fullmatch(line.strip()))]
    return words[-1] if words else None
