"""What can go wrong, and the exit code each kind carries.

::

    PacekeeperError            5  internal
    ├── UsageError             2  the caller named something that is not there
    │   └── PolicyError        2  pacekeeper.toml or a policy file
    ├── MeasurementError       4  nothing was measured, or what was is not valid
    └── StoreError             5  the database cannot be opened, read or written
        └── SchemaError        5  its schema is newer, older or not ours

Exit codes are part of the public surface: 0 pass, 1 regression, 2 usage, 3 inconclusive,
4 measurement invalid, 5 store or internal error.
"""

__all__ = [
    "MeasurementError",
    "PacekeeperError",
    "PolicyError",
    "SchemaError",
    "StoreError",
    "UsageError",
]


class PacekeeperError(Exception):
    """Base of every error the command line turns into a message and an exit code."""

    exit_code = 5


class UsageError(PacekeeperError):
    """The caller named a commit, path, metric or option that does not exist."""

    exit_code = 2


class PolicyError(UsageError):
    """A policy file holds an unknown key or an impossible value."""


class MeasurementError(PacekeeperError):
    """Nothing could be measured, or what was measured is not a valid comparison."""

    exit_code = 4


class StoreError(PacekeeperError):
    """The database cannot be opened, read or written."""


class SchemaError(StoreError):
    """The database's schema is not the one this version reads."""
