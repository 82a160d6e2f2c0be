"""Several engines of one model behind one queue.

Each engine steps in a thread of its own: the device, and on a CPU the products, compute without Python's lock.
A request is checked, numbered and given its seed once, before it is routed (``routing.py``), so its tokens
do not depend on where it runs::

    submit ─► intake ─► queue ─► route ─┬─► engine 0 ─┐
                                        └─► engine 1 ─┴─► step: the tokens of those that have finished one
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from inference.config import EngineConfig, SamplingParams
from inference.engine import LLM
from inference.errors import ConfigError
from inference.intake import Prompt
from inference.request import Request, RequestOutput, TokenEvent
from inference.routing import PrefixMemory, route

if TYPE_CHECKING:
    from inference.tokenizer import Message

__all__ = ["Replicas", "open_engine"]


@dataclass(slots=True)
class _Entry:
    """A request until its output is collected."""

    request: Request
    text: bool
    replica: int | None = None  # None: in the queue


class Replicas:
    """As ``LLM`` to its callers, with ``submit``, ``step`` and ``generate``. Not thread-safe.

    Args:
        model: As ``LLM`` takes it.
        config: Of each engine, with their number; on CUDA each has a device of its own.

    Raises:
        ConfigError: More replicas than CUDA devices.
    """

    def __init__(self, model: str | Path, config: EngineConfig) -> None:
        import torch

        from inference.runner import device_of

        self.config = config
        count = config.replicas
        devices: list[torch.device] = [device_of(self.config)] * count
        if devices[0].type == "cuda":
            if torch.cuda.device_count() < count:
                raise ConfigError(
                    f"EngineConfig.replicas is {count}, and torch finds "
                    f"{torch.cuda.device_count()} CUDA devices"
                )
            devices = [torch.device("cuda", i) for i in range(count)]
        self._threads = [ThreadPoolExecutor(1, initializer=_use, initargs=(d,)) for d in devices]
        own = replace(config, replicas=1)
        self._engines = [thread.submit(LLM, model, own).result() for thread in self._threads]
        self._memory = PrefixMemory(
            count,
            block_size=self.config.block_size,
            capacity=self._engines[0].occupancy()["num_blocks"],
        )
        self._entries: dict[int, _Entry] = {}
        self._queue: deque[_Entry] = deque()
        self._assigned: list[list[_Entry]] = [[] for _ in range(count)]  # to be handed over
        self._loads = [0] * count
        self._steps: dict[int, Future[list[TokenEvent]]] = {}
        self._events: list[TokenEvent] = []
        self.model = self._engines[0].model
        self.max_model_len = self._engines[0].max_model_len

    def submit(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        add_special_tokens: bool = True,
        text: bool = False,
    ) -> int:
        """As of ``LLM``."""
        submitted = time.perf_counter_ns()
        (request,) = self._engines[0].admit([prompt], params, submitted, add_special_tokens)
        return self._queue_up(request, text)

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        add_special_tokens: bool = True,
    ) -> list[RequestOutput]:
        """As of ``LLM``."""
        submitted = time.perf_counter_ns()
        requests = self._engines[0].admit(prompts, params, submitted, add_special_tokens)
        for request in requests:
            self._queue_up(request, text=False)
        own = {request.request_id for request in requests}
        kept: list[TokenEvent] = []  # of others
        try:
            while any(not request.finished for request in requests):
                kept += [event for event in self.step() if event.request not in own]
        except BaseException:
            self._drop(own)
            raise
        finally:
            self._events += kept
        return [self.output(request.request_id) for request in requests]

    def step(self) -> list[TokenEvent]:
        """Step every idle engine that has something to do; return the tokens of those that finish first.

        Raises:
            Exception: What a model raised, as of ``LLM.step``; the other engines go on.
        """
        self._route()
        for i, engine in enumerate(self._engines):
            if i not in self._steps:
                self._hand_over(i)
                if engine.has_unfinished():
                    self._steps[i] = self._threads[i].submit(engine.step)
        if self._steps and not self._events:
            wait(self._steps.values(), return_when=FIRST_COMPLETED)
        for i in [i for i, step in self._steps.items() if step.done()]:
            self._finish_step(i)
        events, self._events = self._events, []
        return events

    def abort(self, request_id: int) -> bool:
        """As of ``LLM``."""
        entry = self._entries.get(request_id)
        if entry is None:
            return self._engines[0].abort(request_id)  # raises RequestNotFound
        engine = self._engine_of(entry)
        self._settle()
        return engine.abort(request_id)

    def output(self, request_id: int) -> RequestOutput:
        """As of ``LLM``."""
        entry = self._entries.get(request_id)
        if entry is None:
            return self._engines[0].output(request_id)  # raises RequestNotFound
        if entry.replica is None or entry in self._assigned[entry.replica]:
            return self._engines[0].output_of(entry.request)
        output = self._engine_of(entry).output(request_id)
        if output.finish_reason is not None:
            del self._entries[request_id]
        return output

    def has_unfinished(self) -> bool:
        """As of ``LLM``."""
        waiting = self._queue or self._events or self._steps or any(self._assigned)
        return bool(waiting) or any(engine.has_unfinished() for engine in self._engines)

    def occupancy(self) -> dict[str, int]:
        """As of ``LLM``, of all engines together; a request in the queue is waiting."""
        total = Counter[str]()
        for engine in self._engines:
            total.update(engine.occupancy())
        # Ended, but their last token is not handed over yet.
        total["running"] += sum(event.finish_reason is not None for event in self._events)
        total["waiting"] += len(self._queue) + sum(map(len, self._assigned))
        return dict(total)

    def counters(self) -> dict[str, int]:
        """As of ``LLM``, of all engines together."""
        total = Counter[str]()
        for engine in self._engines:
            total.update(engine.counters())
        return dict(total)

    def reset_counters(self) -> None:
        """As of ``LLM``."""
        for engine in self._engines:
            engine.reset_counters()

    def step_seconds(self) -> dict[str, float]:
        """As of ``LLM``, of all engines together: they step at the same time."""
        each = [engine.step_seconds() for engine in self._engines]
        return {kind: sum(seconds[kind] for seconds in each) for kind in each[0]}

    def describe(self) -> dict[str, Any]:
        """As of ``LLM``, of the first engine, with the number of them as ``replicas``."""
        return {**self._engines[0].describe(), "replicas": len(self._engines)}

    def chat_prompt(self, messages: Sequence[Message]) -> list[int]:
        """As of ``LLM``."""
        return self._engines[0].chat_prompt(messages)

    def warm_up(self) -> None:
        """As of ``LLM``."""
        for thread, engine in zip(self._threads, self._engines, strict=True):
            thread.submit(engine.warm_up).result()

    def check_integrity(self) -> None:
        """As of ``LLM``."""
        for engine in self._engines:
            engine.check_integrity()

    def close(self) -> None:
        """As of ``LLM``."""
        wait(self._steps.values())
        self._steps.clear()
        for thread, engine in zip(self._threads, self._engines, strict=True):
            engine.close()
            thread.shutdown()

    def __enter__(self) -> Replicas:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _drop(self, request_ids: set[int]) -> None:
        """Abort what is left of these requests and forget them all, whatever the steps under way yield."""
        wait(self._steps.values())
        for step in self._steps.values():
            if step.exception() is None:
                self._events += [e for e in step.result() if e.request not in request_ids]
        self._steps.clear()
        self._queue = deque(e for e in self._queue if e.request.request_id not in request_ids)
        for request_id in request_ids:
            entry = self._entries.pop(request_id)
            if entry.replica is None:
                continue
            if entry in self._assigned[entry.replica]:
                self._assigned[entry.replica].remove(entry)
                continue
            engine = self._engines[entry.replica]
            engine.abort(request_id)
            engine.output(request_id)
        self._settle()

    def _queue_up(self, request: Request, text: bool) -> int:
        entry = _Entry(request, text)
        self._entries[request.request_id] = entry
        self._queue.append(entry)
        return request.request_id

    def _route(self) -> None:
        """Assign requests from the front of the queue while seats last."""
        while self._queue:
            tokens = self._queue[0].request.tokens
            replica = route(
                self._loads, self._memory.shared(tokens), seats=self.config.max_num_seqs
            )
            if replica is None:
                return
            entry = self._queue.popleft()
            entry.replica = replica
            self._memory.note(replica, tokens)
            self._assigned[replica].append(entry)
            self._loads[replica] += 1

    def _hand_over(self, replica: int) -> None:
        for entry in self._assigned[replica]:
            self._engines[replica].enqueue(entry.request, text=entry.text)
        self._assigned[replica].clear()

    def _engine_of(self, entry: _Entry) -> LLM:
        """Return the engine that has the request, between two of its steps."""
        if entry.replica is None:
            self._queue.remove(entry)
            entry.replica = 0  # to be ended there: it has no seat
            self._assigned[0].append(entry)
            self._loads[0] += 1
        if entry.replica in self._steps:
            wait([self._steps[entry.replica]])
            self._finish_step(entry.replica)
        self._hand_over(entry.replica)
        return self._engines[entry.replica]

    def _finish_step(self, replica: int) -> None:
        step = self._steps.pop(replica)
        self._settle()
        self._events += step.result()

    def _settle(self) -> None:
        """Count anew what each idle engine has."""
        for i, engine in enumerate(self._engines):
            if i not in self._steps:
                busy = engine.occupancy()
                self._loads[i] = busy["running"] + busy["waiting"] + len(self._assigned[i])


def open_engine(model: str | Path, config: EngineConfig | None = None) -> LLM | Replicas:
    """Return an engine, or the replicas that ``config.replicas`` asks for; errors as of both."""
    config = config or EngineConfig()
    return LLM(model, config) if config.replicas == 1 else Replicas(model, config)


def _use(device: Any) -> None:
    """Make a CUDA device the current one of this thread."""
    if device.type == "cuda":
        import torch

        torch.cuda.set_device(device)
