"""`[executors]` of pacekeeper.toml: where jobs run.

::

    [executors.desk]                   # any name
    kind = "local"                     # this machine
    machine = "desk"                   # the machine class; default: the name of this machine

    [executors.h100]
    kind = "slurm"
    machine = "h100"                   # default: the executor's name
    partition = "gpu"
    constraint = "h100"
    gpus = 8                           # --gpus-per-node; the node is exclusive in any case
    time_limit = 240                   # minutes
    options = ["--account=perf"]       # further options of sbatch
    jobs = 2                           # at a time
    directory = "/srv/engine"          # the checkout on the nodes; default: as here
    command = "/opt/pacekeeper/bin/tracker"   # default: this interpreter with -m tracker
    pass_store = false                 # the nodes have PACEKEEPER_DB in their own environment

    [executors.a100]
    kind = "ray"                       # pip install 'pacekeeper[ray]'
    address = "http://ray-head:8265"   # of the dashboard, which takes jobs
    resource = "a100"                  # custom resource of the class' nodes; default: the machine's name
    num_gpus = 8                       # default: all of a node
    whole_node = true                  # all CPUs and GPUs of a node for one job
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from tracker.errors import PolicyError
from tracker.toml_table import AT_LEAST_0, Table

__all__ = ["ExecutorKind", "ExecutorSettings", "executor_settings"]

ExecutorKind = Literal["local", "slurm", "ray"]

_REMOTE = ("jobs", "directory", "command", "pass_store")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "local": (),
    "slurm": (*_REMOTE, "partition", "constraint", "gpus", "time_limit", "options"),
    "ray": (*_REMOTE, "address", "resource", "num_gpus", "whole_node"),
}


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """One table of `[executors]`; see the module for the keys.

    `machine` None: the name of this machine. Keys of another kind keep their defaults.
    """

    name: str
    kind: ExecutorKind
    machine: str | None = None
    jobs: int = 1
    directory: str | None = None
    command: str | None = None
    pass_store: bool = True
    partition: str | None = None
    constraint: str | None = None
    gpus: int | None = None
    time_limit: int | None = None
    options: tuple[str, ...] = ()
    address: str | None = None
    resource: str | None = None
    num_gpus: float | None = None
    whole_node: bool = True


def executor_settings(table: Table) -> tuple[ExecutorSettings, ...]:
    """Return what `[executors]` says; empty where there is no such table.

    Raises:
        PolicyError: A key that the kind does not have, one that is missing, a value that it cannot
            have, or two executors of one machine class.
    """
    listed = [
        _settings(name, table.table(name, f"{table.source[:-1]}.{name}]")) for name in table.content
    ]
    _require_own_machines(listed, table.source)
    return tuple(listed)


def _settings(name: str, table: Table) -> ExecutorSettings:
    kinds = get_args(ExecutorKind)
    given: dict[str, Any] = table.choice("kind", kinds)
    if not given:
        raise PolicyError(f"{table.source} kind is missing: one of {', '.join(kinds)}")
    kind = given["kind"]
    for key in table.content:
        if key not in ("kind", "machine", *_KEYS[kind]):
            users = [other for other in kinds if key in _KEYS[other]]
            if users:
                raise PolicyError(
                    f'{table.source} {key} is for the kind "{users[0]}", not for "{kind}"'
                )
    table.require_known(("kind", "machine", *_KEYS[kind]))
    for key in (
        "machine",
        "directory",
        "command",
        "partition",
        "constraint",
        "address",
        "resource",
    ):
        given |= table.text(key)
    given |= table.count("jobs") | table.count("gpus") | table.count("time_limit")
    given |= table.number("num_gpus", AT_LEAST_0, 1e4)
    given |= table.texts("options") | table.flag("pass_store") | table.flag("whole_node")
    _check(kind, given, table.source)
    if kind != "local":
        given.setdefault("machine", name)
    if kind == "ray":
        given.setdefault("resource", given["machine"])
    return ExecutorSettings(name=name, **given)


def _check(kind: str, given: Mapping[str, Any], source: str) -> None:
    if kind == "ray":
        if "address" not in given:
            raise PolicyError(
                f'{source} address is missing: that of the cluster\'s dashboard, as "http://HEAD:8265"'
            )
        parts = urlsplit(given["address"])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PolicyError(
                f"{source} address must be http://HOST:PORT, not {given['address']!r}"
            )
    for option in given.get("options", ()):
        if not option.startswith("-"):
            raise PolicyError(f"{source} options: {option!r} is no option; write --name=value")
    directory = given.get("directory")
    if directory is not None and not directory.startswith("/"):
        raise PolicyError(f"{source} directory must be an absolute path, not {directory!r}")


def _require_own_machines(listed: Sequence[ExecutorSettings], source: str) -> None:
    seen: dict[str | None, str] = {}
    for item in listed:
        other = seen.setdefault(item.machine, item.name)
        if other != item.name:
            shown = repr(item.machine) if item.machine is not None else "this machine's name"
            raise PolicyError(
                f"{source} {other} and {item.name} both have the machine {shown}: one executor for "
                "each machine class, whose results are judged together; give one of them another name"
            )
