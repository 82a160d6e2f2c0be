"""An executor whose nodes are a dictionary: tests say what becomes of each order."""

from __future__ import annotations

from tracker.errors import ExecutorError
from tracker.execute.protocol import Status


class FakeExecutor:
    """Keeps orders by name; `states` holds what it says of each, `problem` makes every call fail."""

    def __init__(self, name="local", machine="lab", slots=1):
        self.name, self.machine, self.slots = name, machine, slots
        self.orders, self.states, self.cancelled = {}, {}, []
        self.problem = None

    def submit(self, order):
        self._check()
        if order.name not in self.orders:
            self.orders[order.name] = order
            self.states[order.name] = Status("waiting", text="no node is free")
        return order.name

    def statuses(self, handles):
        self._check()
        return {handle: self.states.get(handle, Status("ended")) for handle in handles}

    def cancel(self, handle):
        self._check()
        self.cancelled.append(handle)

    def _check(self):
        if self.problem is not None:
            raise ExecutorError(f"executor {self.name}: {self.problem}")
