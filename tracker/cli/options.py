"""Options that several commands share; loads nothing that measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["lab_options"]

F = TypeVar("F", bound=Callable[..., Any])


def lab_options(command: F) -> F:
    """Add what `tracker.cli.lab.open_lab` is told: policy, configuration, interpreter, machine."""
    options = (
        click.option(
            "--policy",
            "policy_path",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Else pacekeeper.toml beside asv.conf.json.",
        ),
        click.option(
            "--config", type=click.Path(path_type=Path), metavar="FILE", help="asv.conf.json."
        ),
        click.option(
            "--python", metavar="PATH", help="Interpreter that runs the suites; else this one."
        ),
        click.option("--machine", metavar="NAME", help="Name of this machine; else asv's."),
        click.option(
            "--environment",
            metavar="NAME",
            help="Only this one of the environments that asv builds: its name, or a part of it.",
        ),
    )
    for option in reversed(options):  # decorators apply from the last one on
        command = option(command)
    return command
