"""A scenario to its list of requests: a pure function of the scenario and the vocabulary."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

from tracker.load.arrivals import bursts, poisson, ramp
from tracker.load.conversation import conversation_requests
from tracker.load.errors import ScenarioError, UnavailableError
from tracker.load.lengths import draw
from tracker.load.records import LoadRequest
from tracker.load.scenario import (
    Bursts,
    ClosedLoop,
    Conversations,
    Independent,
    Load,
    OpenLoop,
    Probed,
    Ramp,
    Replay,
    Scenario,
)
from tracker.load.text import text_of
from tracker.load.trace import BLOCK_TOKENS, prompt_of, read_trace, scaled_arrivals

__all__ = ["concurrency", "make_requests", "trace_path", "warmup_requests"]


def make_requests(scenario: Scenario, vocab_size: int) -> list[LoadRequest]:
    """Return the requests of the timed part, in order of arrival.

    Args:
        scenario: What to run.
        vocab_size: Random token ids are drawn below it.

    Raises:
        UnavailableError: The scenario replays a trace and ``PACEKEEPER_TRACE`` is not set.
        TraceError: The trace cannot be read.
    """
    rng = random.Random(scenario.seed)
    work = scenario.workload
    if isinstance(work, Conversations):
        return conversation_requests(work, vocab_size, rng)
    if isinstance(work, Replay):
        return _replayed(work, scenario.load, vocab_size, scenario.seed)
    if isinstance(work, Probed):
        requests = _probed(work, vocab_size, rng)
    else:
        requests = _independent(work, vocab_size, rng)
    due = _arrivals(scenario.load, len(requests), rng)
    if due is not None:
        requests = [replace(r, due=at) for r, at in zip(requests, due, strict=True)]
    return requests


def warmup_requests(
    scenario: Scenario, requests: list[LoadRequest], vocab_size: int
) -> list[LoadRequest]:
    """Return requests shaped like the first of ``requests``, with other tokens and short outputs.

    As many as the load holds at once, so that its first full batch is not the engine's first.
    """
    rng = random.Random(f"warmup {scenario.seed}")
    shaped = []
    count = max(scenario.warmup, concurrency(scenario.load) or 0) if scenario.warmup else 0
    for index, like in enumerate(requests[:count]):
        prompt: tuple[int, ...] | str
        if isinstance(like.prompt, str):
            prompt = text_of(len(like.prompt.split()), rng)
        else:
            prompt = tuple(rng.randrange(vocab_size) for _ in like.prompt)
        shaped.append(LoadRequest(index, prompt, min(like.max_tokens, scenario.warmup_output)))
    return shaped


def _arrivals(load: Load, count: int, rng: random.Random) -> list[float] | None:
    """Return when requests arrive; None in a closed loop."""
    match load:
        case OpenLoop(rate):
            return poisson(count, rate, rng)
        case Bursts(rate, size):
            return bursts(count, rate, size)
        case Ramp(start, end):
            return ramp(count, start, end)
    return None


def concurrency(load: Load) -> int | None:
    """Return how many requests may be in flight; None: as many as arrive."""
    return load.concurrency if isinstance(load, ClosedLoop) else None


def trace_path() -> Path:
    """Return the file that ``PACEKEEPER_TRACE`` names.

    Raises:
        UnavailableError: It is not set.
    """
    named = os.environ.get("PACEKEEPER_TRACE")
    if not named:
        raise UnavailableError("PACEKEEPER_TRACE is not set; it names the trace to replay")
    return Path(named).expanduser()


def _independent(work: Independent, vocab_size: int, rng: random.Random) -> list[LoadRequest]:
    prompts = draw(work.prompt, work.requests, rng)
    outputs = draw(work.output, work.requests, rng)
    requests = []
    for index, (length, output) in enumerate(zip(prompts, outputs, strict=True)):
        prompt: tuple[int, ...] | str
        if work.text:
            prompt = text_of(length, rng)
        else:
            prompt = tuple(rng.randrange(vocab_size) for _ in range(length))
        leaves = work.cancel_every is not None and index % work.cancel_every == 0
        requests.append(
            LoadRequest(index, prompt, output, cancel_after=work.cancel_after if leaves else None)
        )
    return requests


def _probed(work: Probed, vocab_size: int, rng: random.Random) -> list[LoadRequest]:
    others = Independent(work.requests, work.prompt, work.output)
    requests = _independent(others, vocab_size, rng)
    probe = tuple(rng.randrange(vocab_size) for _ in range(work.probe_prompt))
    return [LoadRequest(0, probe, work.probe_output), *requests[1:]]


def _replayed(work: Replay, load: Load, vocab_size: int, seed: int) -> list[LoadRequest]:
    rows = read_trace(trace_path(), work.requests)
    block_tokens = round(BLOCK_TOKENS * work.scale)
    if block_tokens < 1:
        raise ScenarioError(f"a scale of {work.scale} leaves a prefix block no token")
    due: list[float | None] = [None] * len(rows)
    if isinstance(load, OpenLoop):
        due = [*scaled_arrivals(rows, load.rate)]
    elif not isinstance(load, ClosedLoop):
        raise ScenarioError("a trace has arrivals of its own: give Replay a ClosedLoop or OpenLoop")
    requests = []
    for index, row in enumerate(rows):
        length = min(max(round(row.prompt_tokens * work.scale), 1), work.most_prompt)
        output = min(max(round(row.output_tokens * work.output_scale), 1), work.most_output)
        prompt = prompt_of(
            row, length, index=index, block_tokens=block_tokens, vocab_size=vocab_size, seed=seed
        )
        requests.append(LoadRequest(index, prompt, output, due=due[index]))
    return requests
