"""What a gate's outcome means to a CI system: one table, and the exit code that follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tracker.domain import Outcome
from tracker.errors import UsageError, did_you_mean

__all__ = [
    "DEFAULT_BLOCKING",
    "CiResult",
    "Conclusion",
    "blocking_outcomes",
    "conclusion_of",
    "load_result",
    "one_line",
    "save_result",
]

RESULT_FILE = "ci.json"
DEFAULT_BLOCKING = frozenset({"regression", "broken"})


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How the CI systems show an outcome.

    Attributes:
        title: Headline of the comment and the check.
        github: Conclusion of the check run. "neutral" decides nothing in either direction.
        gitlab: State of the commit status. GitLab has no neutral one; "canceled" is neither green
            nor an accusation.
        annotation: Level of the annotation in the log, or None.
    """

    title: str
    github: Literal["success", "failure", "neutral"]
    gitlab: Literal["success", "failed", "canceled"]
    annotation: Literal["error", "warning"] | None


_NOT_MEASURED = Conclusion(
    "Pacekeeper: the change was not judged", "neutral", "canceled", "warning"
)
_CONCLUSIONS: dict[Outcome, Conclusion] = {
    "pass": Conclusion("Pacekeeper: no slowdown", "success", "success", None),
    "improvement": Conclusion("Pacekeeper: faster than before", "success", "success", None),
    "regression": Conclusion("Pacekeeper: slower than before", "failure", "failed", "error"),
    "broken": Conclusion("Pacekeeper: a benchmark is broken", "failure", "failed", "error"),
    "inconclusive": Conclusion("Pacekeeper: undecided", "neutral", "canceled", "warning"),
    "invalid": _NOT_MEASURED,
    "infrastructure": _NOT_MEASURED,
}


@dataclass(frozen=True, slots=True)
class CiResult:
    """The end of one gate in CI.

    Attributes:
        outcome: In one word.
        reason: In one sentence, without line breaks.
        head: Full hash of the judged commit; empty where it is not known.
        base: Full hash of the merge base; empty where there is none.
    """

    outcome: Outcome
    reason: str
    head: str = ""
    base: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether the gate says anything about the change."""
        return self.outcome not in ("invalid", "infrastructure")

    def exit_code(self, blocking: Iterable[str]) -> int:
        """Return 1 where the outcome blocks, else 0; "infrastructure" stands for "invalid" too."""
        words = set(blocking)
        if "infrastructure" in words:
            words.add("invalid")
        return int(self.outcome in words)


def conclusion_of(result: CiResult, blocking: Iterable[str] = DEFAULT_BLOCKING) -> Conclusion:
    """Return how `result` is shown; a team that blocks on it sees a failure everywhere."""
    shown = _CONCLUSIONS[result.outcome]
    if result.exit_code(blocking):
        return replace(shown, github="failure", gitlab="failed", annotation="error")
    if shown.github == "failure":  # a team that does not block on it sees the word, not green
        return replace(shown, github="neutral", gitlab="canceled", annotation="warning")
    return shown


def blocking_outcomes(text: str | None) -> frozenset[str]:
    """Return the outcomes that exit 1.

    Args:
        text: The variable `PACEKEEPER_BLOCK_ON`: words between spaces or commas; None or empty
            for "regression broken". Whoever blocks on regressions blocks on what is broken.

    Raises:
        UsageError: A word is no outcome.
    """
    words = set((text or "").replace(",", " ").split())
    known = get_args(Outcome)
    for word in sorted(words):
        if word not in known:
            raise UsageError(
                f"PACEKEEPER_BLOCK_ON: no outcome {word!r}; {did_you_mean(word, known)}"
            )
    if not words:
        return DEFAULT_BLOCKING
    return frozenset(words | ({"broken"} if "regression" in words else set()))


def save_result(result: CiResult, directory: Path) -> None:
    """Write `outcome` (one word) and `ci.json` (all of it) into the directory of reports."""
    (directory / "outcome").write_text(result.outcome + "\n", encoding="utf-8")
    text = json.dumps(asdict(result), indent=2) + "\n"
    (directory / RESULT_FILE).write_text(text, encoding="utf-8")


def load_result(directory: Path) -> CiResult:
    """Return what `save_result` wrote; "infrastructure" with the reason where it cannot be read."""
    path = directory / RESULT_FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["outcome"] not in get_args(Outcome):
            raise ValueError(f"no outcome {content['outcome']!r}")
        return CiResult(
            outcome=content["outcome"],
            reason=one_line(str(content["reason"])),
            head=str(content["head"]),
            base=str(content["base"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"the gate left no readable {path}: {type(error).__name__}: {error}"
        return CiResult("infrastructure", one_line(reason))


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, as outputs and titles take it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
