"""What the service knows of an executor: hand over an order, ask for its state, cancel it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

__all__ = ["Executor", "Order", "State", "Status"]

State = Literal["waiting", "running", "ended"]


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt of a job, as a command line.

    Attributes:
        name: Unique for the attempt, the same however often it is handed over.
        command: Program and arguments.
        environment: What it needs beside the environment of the node. It may hold secrets, so it
            stands in no argument and no file of a script.
        directory: Where it runs: a checkout of the project.
        log: File for what it prints; None where the engine keeps that itself.
        avoid: Names of nodes that get no job.
    """

    name: str
    command: Sequence[str]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)
    log: str | None = None
    avoid: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """What an engine says of an order. `ended` says nothing of success: the job's own row does.

    Attributes:
        state: `waiting` for a node, `running` on one, or `ended`, however it ended.
        node: Where it runs, as far as the engine knows.
        text: Why it waits, or how it ended, in the engine's words.
    """

    state: State
    node: str | None = None
    text: str = ""


class Executor(Protocol):
    """Runs orders on the nodes of one machine class.

    Attributes:
        name: In pacekeeper.toml.
        machine: The machine class: the name that all its results carry.
        slots: Orders that it takes at a time.

    Every method raises `ExecutorError` where the engine cannot be reached or refuses; the message
    names the executor and the mend.
    """

    @property
    def name(self) -> str: ...
    @property
    def machine(self) -> str: ...
    @property
    def slots(self) -> int: ...

    def submit(self, order: Order) -> str:
        """Hand an order over and return its handle; an order of this name that is there stays alone."""
        ...

    def statuses(self, handles: Collection[str]) -> Mapping[str, Status]:
        """Return the state of each handle; one that the engine does not know has ended."""
        ...

    def cancel(self, handle: str) -> None:
        """End an order and all that it started; one that has ended already is left alone."""
        ...
