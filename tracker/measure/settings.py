"""`[measure]` of pacekeeper.toml: which runner measures a launch, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from tracker.errors import PolicyError, did_you_mean

__all__ = ["MeasureSettings", "RunnerName", "measure_settings"]

RunnerName = Literal["asv"]


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """How launches are measured.

    Attributes:
        runner: What measures a launch.
        build: Command that builds a commit in its worktree before it is measured; None for none.
        environment: Of several environments, the one that is measured: its name, or a part of it.
        keep_env: Environment variables that measured code sees although they look like secrets.
    """

    runner: RunnerName = "asv"
    build: str | None = None
    environment: str | None = None
    keep_env: tuple[str, ...] = ()


def measure_settings(table: Mapping[str, Any], *, source: str) -> MeasureSettings:
    """Check the table `[measure]` and return it as values.

    Args:
        table: As TOML gives it.
        source: What messages call it.

    Raises:
        PolicyError: An unknown key, or a value that it cannot have.
    """
    known = [item.name for item in fields(MeasureSettings)]
    for key in table:
        if key not in known:
            raise PolicyError(f"{source} has no key {key!r}; {did_you_mean(key, known)}")
    runner = table.get("runner", "asv")
    if runner not in get_args(RunnerName):
        names = ", ".join(get_args(RunnerName))
        raise PolicyError(f"{source} runner must be one of {names}, not {runner!r}")
    for key in ("build", "environment"):
        if key in table and not (isinstance(table[key], str) and table[key].strip()):
            raise PolicyError(f"{source} {key} must be a text, not {table[key]!r}")
    keep = table.get("keep_env", [])
    if not isinstance(keep, list) or not all(
        isinstance(name, str) and re.fullmatch(r"\w+", name) for name in keep
    ):
        raise PolicyError(f"{source} keep_env must be a list of names of environment variables")
    return MeasureSettings(
        runner=runner,
        build=table.get("build"),
        environment=table.get("environment"),
        keep_env=tuple(keep),
    )
