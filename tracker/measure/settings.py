"""`[measure]` of pacekeeper.toml: which runner measures a launch, and how.

::

    [measure]
    runner = "asv"                     # or "command", "server"
    build = "make -j8"                 # run in the commit's worktree before it is measured
    environment = "py3.12"             # asv: of several environments the one to measure
    control = true                     # asv: measure the machine's noise around each launch
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

from tracker.errors import PolicyError, UsageError, did_you_mean

__all__ = ["MeasureSettings", "RunnerName", "measure_settings"]

RunnerName = Literal["asv", "command", "server"]
Api = Literal["completions", "chat"]

_FOR_ALL = ("runner", "build", "environment", "keep_env")
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


def measure_settings(table: Mapping[str, Any], *, source: str) -> MeasureSettings:
    """Check the table `[measure]` and return it as values.

    Args:
        table: As TOML gives it.
        source: What messages call it.

    Raises:
        PolicyError: An unknown key, a key of another runner, one that is missing, or a value that
            it cannot have.
    """
    known = [item.name for item in fields(MeasureSettings)]
    for key in table:
        if key not in known:
            raise PolicyError(f"{source} has no key {key!r}; {did_you_mean(key, known)}")
    runner = _choice(table, "runner", get_args(RunnerName), "asv", source)
    for key in table:
        if key not in (*_FOR_ALL, *_FOR[runner]):
            users = " and ".join(f'"{name}"' for name, keys in _FOR.items() if key in keys)
            raise PolicyError(f'{source} {key} is for the runner {users}, not for "{runner}"')
    for key in ("build", "environment", "command", "format", "url", "deploy", "ready", "model"):
        if key in table and not (isinstance(table[key], str) and table[key].strip()):
            raise PolicyError(f"{source} {key} must be a text, not {table[key]!r}")
    keep = table.get("keep_env", [])
    if not isinstance(keep, list) or not all(
        isinstance(name, str) and re.fullmatch(r"\w+", name) for name in keep
    ):
        raise PolicyError(f"{source} keep_env must be a list of names of environment variables")
    if not isinstance(table.get("control", True), bool):
        raise PolicyError(f"{source} control must be true or false, not {table['control']!r}")
    settings = MeasureSettings(**{**table, "runner": runner, "keep_env": tuple(keep)})
    if runner == "command":
        _check_command(settings, source)
    elif runner == "server":
        _check_server(settings, source)
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
    limit = settings.ready_timeout
    if not isinstance(limit, int | float) or isinstance(limit, bool) or not 0 < limit < 1e6:
        raise PolicyError(f"{source} ready_timeout must be seconds above 0, not {limit!r}")
    if not isinstance(settings.keep_up, bool):
        raise PolicyError(f"{source} keep_up must be true or false, not {settings.keep_up!r}")
    if settings.api not in get_args(Api):
        raise PolicyError(
            f"{source} api must be one of {', '.join(get_args(Api))}, not {settings.api!r}"
        )
    if not isinstance(settings.scenarios, dict) or not settings.scenarios:
        raise PolicyError(f"{source} needs a scenario: a table [measure.scenarios.NAME]")
    from tracker.load.spec import scenario_of

    for name, table in settings.scenarios.items():
        if not isinstance(table, dict):
            raise PolicyError(f"{source} scenarios.{name} must be a table")
        try:
            scenario_of(name, table)
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


def _choice(
    table: Mapping[str, Any], key: str, choices: tuple[str, ...], default: str, source: str
) -> Any:
    value = table.get(key, default)
    if value not in choices:
        raise PolicyError(f"{source} {key} must be one of {', '.join(choices)}, not {value!r}")
    return value
