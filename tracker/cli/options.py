"""Options that several commands share; loads nothing that measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["lab_options"]

F = TypeVar("F", bound=Callable[..., Any])


def lab_options(command: F) -> F:
    """Add the options of `tracker.cli.lab.open_lab`: policy, configuration, interpreter, machine."""
    options = (
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
    for option in reversed(options):  # decorators apply from the last one on
        command = option(command)
    return command
