"""Ray as an executor: its jobs API, which outlives the service and every other client."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from tracker.errors import ExecutorError
from tracker.execute.protocol import Order, State, Status
from tracker.execute.remote import order_on_node
from tracker.execute.settings import ExecutorSettings

__all__ = ["RayExecutor"]

T = TypeVar("T")
_STATES: Mapping[str, State] = {"PENDING": "waiting", "RUNNING": "running"}
_NODE_ID = "ray.io/node-id"  # a label that Ray gives every node


class RayExecutor:
    """Runs orders as Ray jobs on nodes with the custom resource of the machine class.

    An order takes all of the resource that a node has, so that a node runs one at a time, and
    all of its processors and GPUs unless `whole_node = false`.

    Args:
        settings: Of pacekeeper.toml.

    Raises:
        ExecutorError: Ray is not installed.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        try:
            from ray.job_submission import JobSubmissionClient
            from ray.util.state import list_nodes
        except ImportError as error:
            raise ExecutorError(
                f"executor {settings.name}: Ray is not installed here ({error}); "
                "pip install 'pacekeeper[ray]'"
            ) from None
        self._settings = settings
        self._connect, self._list_nodes = JobSubmissionClient, list_nodes
        self._connected: Any = None
        self.name = settings.name
        self.machine = settings.machine or settings.name
        self.slots = settings.jobs

    def submit(self, order: Order) -> str:
        order = order_on_node(order, self._settings)
        if self._details(order.name) is not None:
            return order.name  # the service was cut off before it noted that
        listed = self._nodes()
        if unknown := sorted(set(order.avoid) - {_name(node) for node in listed}):
            raise ExecutorError(
                f"executor {self.name}: {', '.join(unknown)} is quarantined, and Ray has no node of that "
                "name; start nodes with ray start --node-name $(hostname), or release it"
            )
        nodes = [node for node in listed if self._is_member(node)]
        avoided = [node["node_id"] for node in nodes if _name(node) in order.avoid]
        usable = [node["resources_total"] for node in nodes if node["node_id"] not in avoided]
        if not usable:
            raise ExecutorError(
                f"executor {self.name}: no node with the resource {self._settings.resource!r} is "
                f"alive{' and not quarantined' if avoided else ''}; start one with ray start "
                f"--resources '{{\"{self._settings.resource}\": 1}}'"
            )
        selector = {_NODE_ID: f"!in({','.join(avoided)})"} if avoided else None
        self._call(
            lambda client: client.submit_job(
                entrypoint=_entrypoint(order),
                submission_id=order.name,
                runtime_env={"env_vars": dict(order.environment)},
                entrypoint_label_selector=selector,
                **self._wanted(usable),
            )
        )
        return order.name

    def _wanted(self, nodes: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        """Return what an order takes of a node: what each of the class' nodes has."""
        settings = self._settings
        resource = str(settings.resource)
        wanted: dict[str, Any] = {
            "entrypoint_resources": {resource: min(node[resource] for node in nodes)}
        }
        if settings.whole_node:
            wanted["entrypoint_num_cpus"] = min(node.get("CPU", 0.0) for node in nodes)
            wanted["entrypoint_num_gpus"] = min(node.get("GPU", 0.0) for node in nodes)
        if settings.num_gpus is not None:
            wanted["entrypoint_num_gpus"] = settings.num_gpus
        return wanted

    def statuses(self, handles: Collection[str]) -> Mapping[str, Status]:
        if not handles:
            return {}
        names = {node["node_id"]: _name(node) for node in self._nodes()}
        return {handle: self._status(handle, names) for handle in handles}

    def _status(self, handle: str, names: Mapping[str, str]) -> Status:
        details = self._details(handle)
        if details is None:
            return Status("ended", text="Ray does not know it")
        state = str(getattr(details.status, "value", details.status))
        node = names.get(details.driver_node_id or "")
        message = " ".join((details.message or "").split())[:300]
        return Status(_STATES.get(state, "ended"), node, f"Ray: {state}: {message}")

    def cancel(self, handle: str) -> None:
        if self._details(handle) is not None:
            self._call(lambda client: client.stop_job(handle))

    def _details(self, handle: str) -> Any:
        """Return what Ray knows of a job; None where it knows none of this name."""
        listed = self._call(lambda client: client.list_jobs())
        return next((item for item in listed if item.submission_id == handle), None)

    def _is_member(self, node: Mapping[str, Any]) -> bool:
        """Whether a node is alive and of the machine class."""
        return node["state"] == "ALIVE" and bool(
            node["resources_total"].get(self._settings.resource)
        )

    def _nodes(self) -> list[dict[str, Any]]:
        address = self._settings.address
        return self._guarded(
            lambda: [asdict(node) for node in self._list_nodes(address=address, limit=10_000)]
        )

    def _call(self, ask: Callable[[Any], T]) -> T:
        def connected() -> T:
            if self._connected is None:
                self._connected = self._connect(self._settings.address)
            return ask(self._connected)

        return self._guarded(connected)

    def _guarded(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (
            Exception
        ) as error:  # Ray names no common base: RuntimeError, ConnectionError, its own
            self._connected = None
            text = (str(error).strip().splitlines() or [repr(error)])[0]
            raise ExecutorError(
                f"executor {self.name}: Ray at {self._settings.address}: {text}; does its dashboard run?"
            ) from error


def _name(node: Mapping[str, Any]) -> str:
    return str(node.get("node_name") or node.get("node_ip") or node["node_id"])


def _entrypoint(order: Order) -> str:
    """Return the shell command, which runs in the checkout."""
    return f"cd {shlex.quote(order.directory)} && exec {shlex.join(order.command)}"
