"""Options that several commands share; loads nothing that measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from tracker.cli.timespan import seconds
from tracker.gate.policy_file import check_patterns

__all__ = ["LabOptions", "lab_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabOptions:
    """What the command line says of the project at hand and of its measuring; see the options' help.

    Raises:
        UsageError: A pattern that is no regular expression.
    """

    bench: tuple[str, ...] = ()
    timeout: str | None = None
    policy_path: Path | None = None
    config: Path | None = None
    python: str | None = None
    machine: str | None = None
    environment: str | None = None

    def __post_init__(self) -> None:
        check_patterns(self.bench)

    @property
    def policy(self) -> dict[str, Any]:
        """The keys of the policy that they set."""
        bench = {"bench": self.bench} if self.bench else {}
        timeout = seconds("--timeout", self.timeout)
        return bench if timeout is None else bench | {"timeout": timeout}


def lab_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that are the fields of `LabOptions`; the command gets them as `lab`."""

    @wraps(command)
    def collected(*args: Any, **given: Any) -> Any:
        lab = LabOptions(**{item.name: given.pop(item.name) for item in fields(LabOptions)})
        return command(*args, lab=lab, **given)

    options = (
        click.option(
            "--bench", multiple=True, metavar="REGEX", help="Only these benchmarks; repeatable."
        ),
        click.option(
            "--timeout", metavar="TIME", help="Stop a launch that takes longer: 300, 5m, 2h."
        ),
        click.option(
            "--policy",
            "policy_path",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Policy file (default: pacekeeper.toml beside asv.conf.json).",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="asv's configuration (default: the nearest asv.conf.json).",
        ),
        click.option(
            "--python", metavar="PATH", help="Interpreter that runs the suites (default: this one)."
        ),
        click.option("--machine", metavar="NAME", help="Name of this machine (default: asv's)."),
        click.option(
            "--environment",
            metavar="NAME",
            help="Only this asv environment: its name or a part of it.",
        ),
    )
    shared: Callable[..., Any] = collected
    for option in reversed(options):  # decorators apply from the last one on
        shared = option(shared)
    return shared
