"""What can go wrong, and the exit code each kind carries.

::

    PacekeeperError            5  internal
    ├── UsageError             2  the caller named something that is not there
    │   ├── PolicyError        2  pacekeeper.toml or a policy file
    │   └── RepeatedKeyError   2  an idempotency key of another request
    ├── MeasurementError       4  nothing was measured, or what was is not valid
    │   ├── ExecutorError      4  an executor cannot be reached, or refuses a job
    │   └── JobLostError       4  the job belongs to another attempt, was cancelled or has ended
    └── StoreError             5  the database cannot be opened, read or written
        └── SchemaError        5  its schema is newer, older or not ours

Exit codes are part of the public surface: 0 pass, 1 regression or broken, 2 usage, 3 inconclusive,
4 measurement invalid or nothing measured, 5 store or internal error, 130 ended by Ctrl-C.
"""

from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "ExecutorError",
    "JobLostError",
    "MeasurementError",
    "PacekeeperError",
    "PolicyError",
    "RepeatedKeyError",
    "SchemaError",
    "StoreError",
    "UsageError",
    "did_you_mean",
]


class PacekeeperError(Exception):
    """Base of every error the command line turns into a message and an exit code."""

    exit_code = 5


class UsageError(PacekeeperError):
    """The caller named a commit, path, metric or option that does not exist."""

    exit_code = 2


class PolicyError(UsageError):
    """A policy file holds an unknown key or an impossible value."""


class RepeatedKeyError(UsageError):
    """An idempotency key was used before, for a request that was not the same."""


class MeasurementError(PacekeeperError):
    """Nothing could be measured, or what was measured is not a valid comparison.

    Attributes:
        log: What the launch wrote, where there is one.
    """

    exit_code = 4

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


class ExecutorError(MeasurementError):
    """An executor (this machine, Ray, Slurm) cannot be reached, or refuses a job."""


class JobLostError(MeasurementError):
    """A job is no longer this process's: it was handed out again, was cancelled, or has ended."""


class StoreError(PacekeeperError):
    """The database cannot be opened, read or written."""


class SchemaError(StoreError):
    """The database's schema is not the one this version reads."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the mend of a name that is not there: the nearest that is, else all of them."""
    from difflib import get_close_matches

    names = list(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(names)}" if names else "there are none yet"
