"""The engine as its callers see it: submit, step, collect.

A step is four lines: schedule, execute, complete, emit. ``generate`` and ``stream`` are loops
around it; a load generator drives ``submit`` and ``step`` itself. Not thread-safe.

torch is imported when an engine is made, not when this module is: tools that only name these
types start fast.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from inference.blocks import BlockManager
from inference.config import EngineConfig, SamplingParams
from inference.counters import Counter, Counters
from inference.delivery import Delivery
from inference.drafts import Drafter, DraftModel, PromptLookups
from inference.errors import (
    ConfigError,
    EngineClosed,
    PromptError,
    RequestFailed,
    RequestNotFound,
)
from inference.host_tier import HostTier
from inference.intake import Intake, Prompt
from inference.parallel import COMMUNICATION
from inference.pipeline import Pipeline
from inference.request import FinishReason, Request, RequestOutput, Timing, TokenEvent
from inference.response_cache import ResponseCache
from inference.roofline import CostModel
from inference.scheduler import Scheduler
from inference.static_batches import StaticScheduler
from inference.work import Traffic, WorkCounters

if TYPE_CHECKING:
    from inference.parallel.group import Group
    from inference.parallel.ranks import Ranks
    from inference.runner import ModelRunner
    from inference.tokenizer import Message

__all__ = ["LLM"]

_SIZES = (
    ("weights", Counter("weight_bytes", "size of the weights", "num_bytes", reset=None)),
    ("cache", Counter("kv_cache_bytes", "size of the KV cache", "num_bytes", reset=None)),
)


class LLM:
    """A model ready to generate.

    Args:
        model: Preset name (dummy weights), checkpoint directory, or ``.gguf`` file.
        config: How to run it; the defaults if None.

    Raises:
        ConfigError: Unknown preset.
        CheckpointError: The checkpoint is missing, incomplete or not supported.
        BackendUnavailable: No such device, or an op lacks the backend asked for.
    """

    def __init__(self, model: str | Path, config: EngineConfig | None = None) -> None:
        # The heavy imports, put off until there is something to run.
        from inference.graphs import DecodeGraphs

        self.config = config or EngineConfig()
        if self.config.replicas > 1:
            raise ConfigError(
                f"EngineConfig.replicas is {self.config.replicas}, and LLM is one engine; use "
                "open_engine"
            )
        self._group: Group | None = None  # of ranks, where several devices share the model
        runner = self._load(model)
        self._runner: ModelRunner | None = runner
        weights, ops = runner.weights, runner.ops
        self._work = WorkCounters(
            CostModel(
                self.model,
                weight_itemsize=runner.dtype.itemsize,
                kv_itemsize=runner.kv_row_bytes / self.model.head_dim,
                weight_bytes=(
                    weights.body_bytes_read * self.config.num_ranks,
                    weights.head_bytes_read * self.config.tensor_parallel,
                ),
            )
        )
        host = HostTier(runner.num_host_blocks) if runner.num_host_blocks else None
        self._blocks = BlockManager(
            runner.num_blocks,
            self.config.block_size,
            enable_prefix_sharing=self.config.enable_prefix_sharing,
            host=host,
        )
        held = self.config.response_cache_tokens
        self._responses = None if held is None else ResponseCache(held)
        self._drafter = self._make_drafter(model)
        self._scheduler: Scheduler | StaticScheduler
        if self.config.batching == "continuous":
            self._scheduler = Scheduler(self.config, self._blocks, self._drafter)
        else:
            self._scheduler = StaticScheduler(self.config, self._blocks)
        self._requests: dict[int, Request] = {}
        self._default_inbox: deque[TokenEvent] = deque()
        self._delivery = Delivery(
            eos_token_ids=self.model.eos_token_ids,
            tokenizer=self._tokenizer,
            finish=self._finish,
        )
        self._intake = Intake(
            model=self.model,
            tokenizer=self._tokenizer,
            blocks=self._blocks,
            max_model_len=self.max_model_len,
            seed=self.config.seed,
        )
        self._traffic = Traffic()
        self._dead: str | None = None  # what ended this process's use of the device
        self._pipeline = Pipeline(
            self._scheduler,
            self._delivery,
            self._work,
            self._finish,
            overlap=runner.overlap,
            host=host,
        )
        self._counters = Counters()
        for owner in (self._work, self._traffic, self._delivery, self._scheduler, self._blocks):
            self._counters.register(owner, owner.COUNTERS)
        self._counters.register(ops.calls, ops.counters())
        self._counters.register(runner.graphs, DecodeGraphs.COUNTERS)
        self._counters.register(self._group, COMMUNICATION)
        self._counters.register(host, HostTier.COUNTERS)
        self._counters.register(self._responses, ResponseCache.COUNTERS)
        for part, size in _SIZES:
            self._counters.register(getattr(runner, part), [size])

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        add_special_tokens: bool = True,
    ) -> list[RequestOutput]:
        """Run prompts to their ends.

        Args:
            prompts: Texts, or lists of token ids.
            params: One for all, or one for each; the defaults if None.
            add_special_tokens: Whether a prompt given as text gets the special tokens that the
                tokenizer adds (a beginning of sequence, as a rule); off for a text that has them.

        Returns:
            One output per prompt, in the order of the prompts.

        Raises:
            PromptError: A prompt cannot be run; nothing was started.
            CacheTooSmall: A prompt with its output exceeds the cache; nothing was started.
        """
        submitted = time.perf_counter_ns()
        requests = self.admit(prompts, params, submitted, add_special_tokens)
        inbox: deque[TokenEvent] = deque()
        for request in requests:
            self.enqueue(request, inbox)
        try:
            for request in requests:
                while not request.finished:
                    self._advance()
                    inbox.clear()
        except BaseException:
            self._drop(requests)
            raise
        return [self.output(request.request_id) for request in requests]

    def stream(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        add_special_tokens: bool = True,
    ) -> Iterator[TokenEvent]:
        """Yield each token as it is made, with the text it adds; arguments and errors as of ``generate``.

        Prompts are checked, and their clocks started, by this call; they run as the result is
        iterated. Closing it early aborts what is left.

        Yields:
            Events whose ``request`` is the position in ``prompts``.

        Raises:
            RequestFailed: Once all have ended, if some did so with ``finish_reason`` ``"error"``.
        """
        submitted = time.perf_counter_ns()
        return self._stream(self.admit(prompts, params, submitted, add_special_tokens))

    def chat(
        self,
        messages: Sequence[Message] | Sequence[Sequence[Message]],
        params: SamplingParams | Sequence[SamplingParams] | None = None,
    ) -> list[RequestOutput]:
        """Answer chats, each laid out by the checkpoint's own template; errors as of ``generate``.

        Args:
            messages: One chat (``[{"role": "user", "content": "..."}, ...]``), or a list of them.
            params: One for all, or one for each; the defaults if None.

        Returns:
            One output per chat, in their order.

        Raises:
            PromptError: There is no tokenizer or no chat template, or the template refuses a chat.
        """
        return self.generate([self.chat_prompt(chat) for chat in _chats(messages)], params)

    def chat_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens that ``chat`` would give the model, up to where its answer begins.

        Raises:
            PromptError: There is no tokenizer or no chat template, or the template refuses.
        """
        if self._tokenizer is None:
            raise PromptError(f"a chat needs a tokenizer, and {self.model.name} has none")
        return self._tokenizer.chat(messages)

    def submit(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        add_special_tokens: bool = True,
        text: bool = False,
    ) -> int:
        """Queue one prompt and return its request id; errors as of ``generate``.

        Args:
            prompt: Text, or a list of token ids.
            params: The defaults if None.
            add_special_tokens: As of ``generate``.
            text: Whether its events of ``step`` carry text.
        """
        submitted = time.perf_counter_ns()
        (request,) = self.admit([prompt], params, submitted, add_special_tokens)
        self.enqueue(request, text=text)
        return request.request_id

    def step(self) -> list[TokenEvent]:
        """Run one step and return the tokens it made for submitted requests.

        Where steps overlap, this enqueues one step and hands over the tokens of the one before.

        Returns:
            Events whose ``request`` is the request id; empty after a step of prompt chunks only,
            or when there is nothing to do.
        """
        self._advance()
        events = list(self._default_inbox)
        self._default_inbox.clear()
        return events

    def abort(self, request_id: int) -> bool:
        """End a request now, with ``finish_reason`` ``"abort"``; its output stays to be collected.

        Returns:
            False if it had already ended.

        Raises:
            RequestNotFound: Never submitted, or already collected.
        """
        request = self._request(request_id)
        if request.finished:
            return False
        self._finish(request, "abort")
        return True

    def has_unfinished(self) -> bool:
        """Whether ``step`` still has something to do or to hand over."""
        return self._scheduler.has_unfinished() or bool(self._default_inbox)

    def output(self, request_id: int) -> RequestOutput:
        """Return the output of a request so far; once it has ended, this also forgets it.

        Raises:
            RequestNotFound: Never submitted, or already collected.
        """
        request = self._request(request_id)
        output = self.output_of(request)
        if request.finished:
            del self._requests[request_id]
            self._delivery.forget(request)
        return output

    def output_of(self, request: Request) -> RequestOutput:
        """Return the output of an admitted request so far."""
        scheduled = request.scheduled_ns
        tokens = request.output_tokens
        num_tokens = len(tokens)
        return RequestOutput(
            request_id=request.request_id,
            token_ids=tokens,
            text=self._delivery.text(request),
            finish_reason=request.finish_reason,
            timing=Timing(
                submitted=request.submitted_ns / 1e9,
                scheduled=None if scheduled is None else scheduled / 1e9,
                token_times=tuple(t / 1e9 for t in request.token_times_ns),
            ),
            num_prompt_tokens=request.num_prompt,
            num_cached_tokens=request.num_cached,
            error=request.error,
            logprobs=None if request.params.logprobs is None else request.logprobs[:num_tokens],
        )

    def counters(self) -> dict[str, int]:
        """Return the exact counters, cumulative since the start or ``reset_counters``.

        ``docs/metrics.md`` lists them; each is declared beside what counts it (``inference.counters``).
        """
        self._live_runner()
        return self._counters.read()

    def occupancy(self) -> dict[str, int]:
        """Return what is in flight now.

        ``running`` and ``waiting`` requests; ``blocks_used`` of ``num_blocks`` in the KV cache.
        """
        states = [request.state for request in self._requests.values()]
        return {
            "running": states.count("running"),
            "waiting": states.count("waiting"),
            "blocks_used": self._blocks.num_used,
            "num_blocks": self._blocks.num_blocks,
        }

    def reset_counters(self) -> None:
        """Start every cumulative counter anew; ``peak_blocks_used`` from the blocks in use."""
        self._live_runner()
        self._counters.reset()
        self._pipeline.reset_times()
        if self._group is not None:
            self._group.reset_seconds()

    def step_seconds(self) -> dict[str, float]:
        """Return the seconds spent in steps since the start or ``reset_counters``, by kind.

        ``prefill``: steps with at least one prompt token; ``decode``: all others. Where steps
        overlap, a step lasts from the end of the one before to its own, the caller's time between
        them included.
        """
        self._live_runner()
        return self._pipeline.step_seconds()

    def communication_seconds(self) -> float:
        """Return the seconds in collectives since the start or ``reset_counters``; 0 on one device.

        Waits for slower ranks are part of them. Over the sum of ``step_seconds``: the share of
        communication.
        """
        self._live_runner()
        return 0.0 if self._group is None else self._group.seconds()

    def describe(self) -> dict[str, Any]:
        """Return what runs: model, device, and the backend of each op.

        ``fallback`` says why ops are NumPy's that would be compiled; None where that is not so.
        """
        import torch

        runner = self._live_runner()
        return {
            "model": self.model.name,
            "family": self.model.family,
            "parameters": self.model.num_parameters,
            "dtype": str(runner.dtype).removeprefix("torch."),
            "kv_dtype": str(runner.kv_dtype).removeprefix("torch."),
            "device": str(runner.device),
            "tensor_parallel": self.config.tensor_parallel,
            "pipeline_parallel": self.config.pipeline_parallel,
            "backends": dict(runner.ops.backends),
            "fallback": self._fallback,
            "overlap": runner.overlap,
            "cuda_graphs": runner.graphs is not None,
            "graph_failure": None if runner.graphs is None else runner.graphs.failure,
            "block_size": self.config.block_size,
            "num_blocks": runner.num_blocks,
            "max_model_len": self.max_model_len,
            "vocab_size": self.model.vocab_size,
            "has_tokenizer": self._tokenizer is not None,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def warm_up(self) -> None:
        """Compile and capture what decoding steps need, so that no request waits for it.

        Does nothing where there are no CUDA graphs. A capture that fails is no error: see
        ``describe()["graph_failure"]``.
        """
        self._live_runner().warm_up()

    def close(self) -> None:
        """Free weights and cache; every later call raises EngineClosed. May be repeated."""
        if self._runner is not None:
            self._runner.close()
        self._runner = None
        if self._drafter is not None:
            self._drafter.close()
        self._counters.clear()  # the weights and the cache are owners

    def __enter__(self) -> LLM:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check_integrity(self) -> None:
        """Recount the blocks of every live request; raises AssertionError on a mismatch."""
        self._scheduler.check_integrity()

    def _load(self, source: str | Path) -> ModelRunner:
        """Load the model and return what runs it: on this device, or on several."""
        import torch

        from inference.checkpoint import describe_source, load_for_engine
        from inference.ops import OPS, OpSet
        from inference.runner import ModelRunner, backend_of, device_of, dtype_of

        config = self.config
        if config.num_threads is not None:
            torch.set_num_threads(config.num_threads)
        device = device_of(config)
        dtype = dtype_of(config, device)
        # Before the weights, which may take minutes to load.
        backend, self._fallback = backend_of(config, device, dtype)
        ops = OpSet(OPS, backend=backend, device=device.type)
        if ops.on_arrays:
            from inference.ops.numpy_ops import limit_threads

            limit_threads(torch.get_num_threads())
        with ExitStack() as undo:
            ranks: Ranks | None = None
            if config.num_ranks > 1:
                from inference.parallel.part import check_divides
                from inference.parallel.ranks import Ranks

                check_divides(describe_source(source), config)
                ranks = Ranks(source, config, device=device, dtype=dtype, backend=backend)
                undo.callback(ranks.close)
                self._group = ranks.group
            self.model, weights, self._tokenizer = load_for_engine(
                source, config, ops, dtype=dtype, device=device, group=self._group
            )
            self.max_model_len = config.max_model_len or self.model.max_position
            if self.max_model_len > self.model.max_position:
                raise ConfigError(
                    f"EngineConfig.max_model_len is {self.max_model_len}, but {self.model.name} "
                    f"has a context of {self.model.max_position}"
                )
            runner: ModelRunner
            if ranks is None:
                runner = ModelRunner(
                    self.model, weights, ops, config, max_model_len=self.max_model_len
                )
            else:
                from inference.parallel.runner import runner_of

                runner = runner_of(config)(
                    self.model, weights, ops, config, max_model_len=self.max_model_len, ranks=ranks
                )
            undo.pop_all()
        return runner

    def _make_drafter(self, model: str | Path) -> Drafter | None:
        config = self.config
        if config.enable_prompt_lookup:
            return PromptLookups()
        if config.draft_model is None:
            return None
        source = model if config.draft_model == "self" else config.draft_model
        own = replace(
            config,
            draft_model=None,
            quantization=config.draft_quantization,
            draft_quantization=None,
            tensor_parallel=1,
            pipeline_parallel=1,
            host_cache_bytes=None,
            response_cache_tokens=None,
            enable_prefix_sharing=True,
            num_blocks=None,
            kv_cache_bytes=None,
            max_model_len=self.max_model_len if config.draft_model == "self" else None,
        )
        return DraftModel(
            LLM(source, own),
            vocab_size=self.model.vocab_size,
            max_model_len=self.max_model_len,
        )

    def _stream(self, requests: list[Request]) -> Iterator[TokenEvent]:
        inbox: deque[TokenEvent] = deque()
        index = {request.request_id: i for i, request in enumerate(requests)}
        for request in requests:
            self.enqueue(request, inbox, text=True)
        try:
            for request in requests:
                while inbox or not request.finished:
                    if not inbox:
                        self._advance()
                    while inbox:
                        event = inbox.popleft()
                        _, token, at = event
                        place = index[event.request]
                        yield TokenEvent(place, token, at, event.finish_reason, event.text)
            # A failure that yielded no token has no event.
            failed = [
                f"request {index[r.request_id]}: {r.error}"
                for r in requests
                if r.finish_reason == "error"
            ]
            if failed:
                raise RequestFailed("; ".join(failed))
        finally:
            self._drop(requests)

    def _advance(self) -> None:
        runner = self._live_runner()
        try:
            self._pipeline.advance(runner)
        except Exception as error:
            if not runner.is_alive():
                self._dead = f"the device failed ({type(error).__name__}: {error}): {runner.mend}"
            raise

    def _finish(self, request: Request, reason: FinishReason, error: str | None = None) -> None:
        self._traffic.kv_slots_held += len(request.table.blocks) * self.config.block_size
        self._traffic.kv_slots_filled += request.num_computed
        self._scheduler.remove(request)
        if self._responses is not None and reason in ("stop", "length"):
            self._responses.keep(request)
        request.finish_reason = reason
        request.error = error
        self._delivery.close(request)
        self._traffic.requests_finished += 1

    def _drop(self, requests: Sequence[Request]) -> None:
        """Abort what is left of the requests and forget them all."""
        for request in requests:
            if not request.finished:
                self._finish(request, "abort")
            self._requests.pop(request.request_id, None)
            self._delivery.forget(request)

    def admit(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams | Sequence[SamplingParams] | None,
        submitted_ns: int,
        add_special_tokens: bool,
    ) -> list[Request]:
        """Check prompts and number them as requests that ``enqueue`` takes, of this engine or of a replica."""
        self._live_runner()
        return self._intake.requests(
            prompts, params, submitted_ns, add_special_tokens=add_special_tokens
        )

    def enqueue(
        self, request: Request, inbox: deque[TokenEvent] | None = None, *, text: bool = False
    ) -> None:
        """Queue an admitted request; its events go to ``inbox``, or to ``step`` if that is None."""
        inbox = self._default_inbox if inbox is None else inbox
        self._requests[request.request_id] = request
        self._delivery.open(request, inbox, text=text)
        self._scheduler.add(request)
        self._traffic.requests_submitted += 1
        self._traffic.prompt_tokens += request.num_prompt
        if self._responses is not None:
            self._answer(request, self._responses)

    def _answer(self, request: Request, responses: ResponseCache) -> None:
        """Give a request the output of an equal one, if there is one; it ends where that did."""
        for token in responses.find(request) or ():
            request.num_pending += 1
            self._delivery.deliver([request], [token])

    def _request(self, request_id: int) -> Request:
        request = self._requests.get(request_id)
        if request is None:
            raise RequestNotFound(
                f"no request {request_id}: never submitted, or its output was already collected"
            )
        return request

    def _live_runner(self) -> ModelRunner:
        if self._dead is not None:
            raise EngineClosed(self._dead)
        if self._runner is None:
            raise EngineClosed("the engine was closed; make a new LLM")
        return self._runner


def _chats(messages: Any) -> Sequence[Sequence[Message]]:
    """Return a list of chats, of one chat or of several."""
    several = all(isinstance(item, list | tuple) for item in messages)
    chats: Sequence[Sequence[Message]] = messages if several else [messages]
    return chats
