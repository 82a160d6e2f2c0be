"""What executors of other machines share: an order as the nodes need it."""

from __future__ import annotations

import shlex
from dataclasses import replace

from tracker.execute.protocol import Order
from tracker.execute.settings import ExecutorSettings

__all__ = ["order_on_node"]

STORE = "PACEKEEPER_DB"


def order_on_node(order: Order, settings: ExecutorSettings) -> Order:
    """Return an order with the checkout, the program and the environment of the nodes.

    Args:
        order: As it would run here: `python -m tracker ...`.
        settings: Of the executor.
    """
    command = order.command
    if settings.command is not None:
        arguments = list(command)[list(command).index("tracker") + 1 :]
        command = [*shlex.split(settings.command), *arguments]
    environment = dict(order.environment)
    if not settings.pass_store:
        environment.pop(STORE, None)
    return replace(
        order,
        command=command,
        directory=settings.directory or order.directory,
        environment=environment,
    )
