"""`[measure]` of pacekeeper.toml: which runner measures a launch, and how.

::

    [measure]
    runner = "asv"                     # or "command", "server"
    build = "make -j8"                 # run in the commit's worktree before it is measured
    environment = "py3.12"             # asv: of several environments the one to measure
    control = true                     # asv: measure the machine's noise around each launch
    device_hour = 2.5                  # price of one device for an hour, in any currency: cost_per_mtok
    keep_env = ["HF_TOKEN"]            # what looks like a secret and is needed all the same

    [measure]
    runner = "command"
    command = "./bench --json {out}"   # {out}: the file that it writes
    format = "hyperfine"               # else known by the file's content

    [measure]
    runner = "server"
    command = "./serve --port {port}"  # or url and deploy, for a server that others start
    ready = "/health"                  # answers 200 once the server takes requests
    ready_timeout = 300                # seconds
    model = "default"                  # else the only one that it serves
    api = "completions"                # or "chat"
    keep_up = false                    # true: servers stay up between launches, both arms' at once

    [measure.scenarios.chat]           # keys: tracker/load/spec.py
    requests = 32
    prompt = 64
    output = 32
    load = {concurrency = 4}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from tracker.errors import PolicyError, UsageError
from tracker.toml_table import Table

__all__ = ["MeasureSettings", "RunnerName", "measure_settings"]

RunnerName = Literal["asv", "command", "server"]
Api = Literal["completions", "chat"]

_FOR_ALL = ("runner", "build", "environment", "keep_env", "device_hour")
_FOR: dict[str, tuple[str, ...]] = {
    "asv": ("control",),
    "command": ("command", "format"),
    "server": (
        "command",
        "url",
        "deploy",
        "ready",
        "ready_timeout",
        "model",
        "api",
        "keep_up",
        "scenarios",
    ),
}


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """How launches are measured.

    Attributes:
        runner: What measures a launch.
        build: Command that builds a commit in its worktree before it is measured; None for none.
        environment: Of several environments, the one that is measured: its name, or a part of it.
        keep_env: Environment variables that measured code sees although they look like secrets.
        device_hour: Price of one device (GPU, or machine without one) for an hour; None: not stated.
        control: Whether the control workload runs around a launch whose suites run none.
        command: Shell command that measures a commit ({out}: the file it writes), or that serves
            it ({port}: where it listens). It runs in the commit's worktree.
        format: Name of the format of the file that the command writes; None: by its content.
        url: Of a server that `deploy` brings a commit to, instead of one that is started here.
        deploy: Shell command after which the server at `url` runs the commit; it runs in the
            commit's worktree, and {commit} is its full hash.
        ready: Path that answers 200 once the server takes requests.
        ready_timeout: Seconds until it must.
        model: The server's name of the model; None: the only one.
        api: Which endpoint the load goes to.
        keep_up: Keep servers between launches, those of both arms at once.
        scenarios: By name, each as `tracker.load.spec` reads it.
    """

    runner: RunnerName = "asv"
    build: str | None = None
    environment: str | None = None
    keep_env: tuple[str, ...] = ()
    device_hour: float | None = None
    control: bool = True
    command: str | None = None
    format: str | None = None
    url: str | None = None
    deploy: str | None = None
    ready: str = "/health"
    ready_timeout: float = 300.0
    model: str | None = None
    api: Api = "completions"
    keep_up: bool = False
    scenarios: Mapping[str, Any] = field(default_factory=dict)


def measure_settings(table: Table) -> MeasureSettings:
    """Return what the table `[measure]` says.

    Raises:
        PolicyError: An unknown key, a key of another runner, one that is missing, or a value that
            it cannot have.
    """
    table.require_known([item.name for item in fields(MeasureSettings)])
    given: dict[str, Any] = table.choice("runner", get_args(RunnerName))
    runner = given.get("runner", "asv")
    for key in table.content:
        if key not in (*_FOR_ALL, *_FOR[runner]):
            users = " and ".join(f'"{name}"' for name, keys in _FOR.items() if key in keys)
            raise PolicyError(f'{table.source} {key} is for the runner {users}, not for "{runner}"')
    for key in ("build", "environment", "command", "format", "url", "deploy", "ready", "model"):
        given |= table.text(key)
    given |= table.choice("api", get_args(Api)) | table.number("ready_timeout", 0.0, 1e6)
    given |= table.number("device_hour", 0.0, 1e6)
    given |= table.flag("control") | table.flag("keep_up") | table.texts("keep_env")
    for name in given.get("keep_env", ()):
        if not re.fullmatch(r"\w+", name):
            raise PolicyError(f"{table.source} keep_env: {name!r} names no environment variable")
    scenarios = table.table("scenarios", f"{table.source} scenarios")
    settings = MeasureSettings(**given, scenarios=scenarios.content)
    if runner == "command":
        _check_command(settings, table.source)
    elif runner == "server":
        _check_server(settings, table.source)
        _check_scenarios(scenarios, table.source)
    return settings


def _check_command(settings: MeasureSettings, source: str) -> None:
    if settings.command is None:
        raise PolicyError(
            f'{source} runner = "command" needs command = "CMD", which writes its results to {{out}}'
        )
    if "{out}" not in settings.command:
        raise PolicyError(
            f"{source} command must hold {{out}}, the file that it writes: {settings.command!r}"
        )
    if settings.format is not None:
        from tracker.readers import reader_named

        try:
            reader_named(settings.format)
        except UsageError as error:
            raise PolicyError(f"{source} format: {error}") from None


def _check_server(settings: MeasureSettings, source: str) -> None:
    if (settings.command is None) == (settings.url is None):
        raise PolicyError(
            f'{source} runner = "server" needs command = "CMD", which serves a commit on {{port}}, '
            'or url = "URL" with deploy = "CMD"'
        )
    if settings.command is not None:
        if "{port}" not in settings.command:
            raise PolicyError(
                f"{source} command must hold {{port}}, where the server listens: "
                f"{settings.command!r}"
            )
        if settings.deploy is not None:
            raise PolicyError(f"{source} deploy belongs to url, and command stands in its place")
    else:
        _check_url(settings, source)
    if not settings.ready.startswith("/"):
        raise PolicyError(f"{source} ready must be a path such as /health, not {settings.ready!r}")


def _check_scenarios(scenarios: Table, source: str) -> None:
    from tracker.load.spec import scenario_of

    if not scenarios.content:
        raise PolicyError(f"{source} needs a scenario: a table [measure.scenarios.NAME]")
    for name in scenarios.content:
        content = scenarios.table(name, f"{scenarios.source} {name}").content
        try:
            scenario_of(name, content)
        except UsageError as error:
            raise PolicyError(f"{source} {error}") from None


def _check_url(settings: MeasureSettings, source: str) -> None:
    parts = urlsplit(settings.url or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PolicyError(f"{source} url must be http://HOST:PORT, not {settings.url!r}")
    if settings.deploy is None:
        raise PolicyError(
            f'{source} url needs deploy = "CMD", which brings a commit to that server; without it '
            "both commits of a gate would be measured on one server"
        )
    if settings.keep_up:
        raise PolicyError(f"{source} keep_up is for servers that are started here, not for url")
