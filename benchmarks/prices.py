"""What each of the engine's optimisations is worth on a CPU: ``python -m benchmarks.prices``.

One torch thread, real weights (``python -m benchmarks.fetch_smollm`` fetches them). Each flag has the
load that it is made for; two engines run it by turns in one process, with the flag and without it,
and the median of the ratios of neighbouring runs is printed. On a GPU ``make gpu PART=engine`` prices
every flag.

Exit codes: 0 measured; 2 no weights.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.engine.models import SMOLLM2, cache_directory, require_weights
from tracker.load.errors import UnavailableError

__all__ = ["PRICES", "Price", "main", "worth"]

Figure = Callable[[float, list[Any]], float]

_STEPS_BEFORE = 4  # a late prompt comes: the others decode by then


def _seconds_per_token(seconds: float, outputs: list[Any]) -> float:
    """Of a decoding step, the mean over the requests."""
    return sum(output.timing.tpot for output in outputs) / len(outputs)


def _seconds(seconds: float, outputs: list[Any]) -> float:
    """From the first submission to the last token."""
    return seconds


def _longest_gap(seconds: float, outputs: list[Any]) -> float:
    """Between two tokens of one request."""
    return max(gap for output in outputs for gap in output.timing.itl)


@dataclass(frozen=True)
class Price:
    """One optimisation.

    Attributes:
        name: What is switched.
        off: Settings without it, beside the defaults.
        prompts: Lengths of the prompts.
        output: Tokens after each.
        figure: What is compared, seconds.
        shared: Tokens that all prompts begin with.
        on: Settings with it.
        late: How many of the prompts come when the others are decoding.
        repeats: How often a prompt says the same.
        chats: Prompts that are asked by turns, one after another, and then once more: the second time
            counts.
    """

    name: str
    off: dict[str, Any]
    prompts: tuple[int, ...]
    output: int
    figure: Figure = _seconds_per_token
    shared: int = 0
    on: dict[str, Any] = field(default_factory=dict)
    late: int = 0
    repeats: int = 1
    chats: int = 1

    @property
    def load(self) -> str:
        """The load in words."""
        lengths = sorted(set(self.prompts), reverse=True)
        each = " and ".join(f"{self.prompts.count(n)} of {n}" for n in lengths)
        common = f", {self.shared} of them shared" if self.shared else ""
        late = f", the last {self.late} later" if self.late else ""
        repeats = f", {self.repeats} times the same" if self.repeats > 1 else ""
        chats = f", each of {self.chats} asked again" if self.chats > 1 else ""
        return f"prompts: {each} tokens{common}{repeats}{late}{chats}; {self.output} out"


PRICES = (
    Price("backend='compiled'", {"backend": "numpy"}, (16,), 32),
    Price("backend='compiled'", {"backend": "numpy"}, (16,) * 8, 32),
    Price("backend='compiled'", {"backend": "numpy"}, (16,) * 32, 16),
    Price("quantization='int8'", {}, (16,), 32, on={"quantization": "int8"}),
    Price("quantization='int8'", {}, (16,) * 8, 32, on={"quantization": "int8"}),
    Price("quantization='int4'", {}, (16,), 32, on={"quantization": "int4"}),
    Price("quantization='int4'", {}, (16,) * 8, 32, on={"quantization": "int4"}),
    Price("quantization='nf4'", {}, (16,), 32, on={"quantization": "nf4"}),
    Price("quantization='nf4'", {}, (16,) * 8, 32, on={"quantization": "nf4"}),
    Price("kv_dtype='int8'", {}, (600,) * 8, 16, on={"kv_dtype": "int8"}),
    Price(
        "enable_cpu_layout",
        {"enable_cpu_layout": False, "backend": "numpy"},
        (16,) * 8,
        32,
        on={"backend": "numpy"},
    ),
    Price("enable_staging", {"enable_staging": False}, (16,) * 32, 16),
    Price(
        "enable_length_buckets",
        {"enable_length_buckets": False, "backend": "numpy"},
        (600, *(16,) * 15),
        16,
        on={"backend": "numpy"},  # compiled attention pads nothing
    ),
    Price(
        "enable_prefix_sharing",
        {"enable_prefix_sharing": False, "max_num_batched_tokens": 160},
        (160,) * 8,
        4,
        figure=_seconds,
        shared=144,
        # A prompt a step: what one has computed the next ones share.
        on={"max_num_batched_tokens": 160},
    ),
    Price(
        "enable_chunked_prefill",
        {"enable_chunked_prefill": False},
        (*(16,) * 3, 600),
        32,
        figure=_longest_gap,
        on={"prefill_chunk_size": 64},
        late=1,
    ),
    Price(
        "enable_prompt_lookup",
        {"enable_prompt_lookup": False},
        (128,),
        48,
        on={"enable_prompt_lookup": True},
        repeats=4,
    ),
    Price(
        "draft_model='self'",
        {},
        (16,),
        48,
        on={"draft_model": "self", "draft_quantization": "int4", "max_draft_tokens": 2},
    ),
    Price(
        "tensor_parallel=3", {}, (16,) * 8, 32, on={"tensor_parallel": 3}
    ),  # three key/value heads
    Price("pipeline_parallel=2", {}, (16,) * 8, 32, on={"pipeline_parallel": 2}),
    Price("replicas=2", {}, (16,) * 8, 32, figure=_seconds, on={"replicas": 2}),
    Price("mlp_chunk_size=64", {}, (600,), 4, figure=_seconds, on={"mlp_chunk_size": 64}),
    Price(
        "host_cache_bytes",
        {"num_blocks": 24},  # for one chat of the three
        (256,),
        4,
        figure=_seconds,
        on={"num_blocks": 24, "host_cache_bytes": 1 << 28},
        chats=3,
    ),
    Price(
        "response_cache_tokens",
        {},
        (64,) * 4,
        4,
        figure=_seconds,
        shared=64,
        on={"response_cache_tokens": 4096},
        late=3,
    ),
    Price("batching='continuous'", {"batching": "padded"}, (100, 10, 10, 10), 8, figure=_seconds),
)


def worth(price: Price, model: str | Path, *, rounds: int) -> tuple[float, float]:
    """Return the figure with the optimisation, seconds, and how many times that it is without."""
    from inference import EngineConfig, open_engine

    common = {"device": "cpu", "max_model_len": 1024, "max_num_seqs": 32, "num_threads": 1}
    rng = random.Random(11)
    figures: list[list[float]] = []
    with ExitStack() as opened:
        engines = [
            opened.enter_context(open_engine(model, EngineConfig(**common, **more)))
            for more in (price.on, price.off)
        ]
        for i in range(rounds + 1):
            prompts = [
                _prompts(price, engines[0].model.vocab_size, rng) for _ in range(price.chats)
            ]
            order = (0, 1) if i % 2 else (1, 0)
            measured = {which: _run_chats(price, engines[which], prompts) for which in order}
            if i > 0:  # the first round warms up
                figures.append([measured[0], measured[1]])
    return median(on for on, _ in figures), median(off / on for on, off in figures)


def _prompts(price: Price, vocab_size: int, rng: random.Random) -> list[list[int]]:
    """Return prompts that no round before had, so that only what is shared is shared."""
    common = [rng.randrange(vocab_size) for _ in range(price.shared)]
    own = [length // price.repeats - price.shared for length in price.prompts]
    return [
        (common + [rng.randrange(vocab_size) for _ in range(length)]) * price.repeats
        for length in own
    ]


def _run_chats(price: Price, engine: Any, chats: list[list[list[int]]]) -> float:
    """Return the figure of the last turn of the chats, the mean."""
    for turn in range(2 if len(chats) > 1 else 1):
        if turn:
            chats = [[prompt + prompt[:16] for prompt in prompts] for prompts in chats]
        figures = [_run(price, engine, prompts) for prompts in chats]
    return sum(figures) / len(figures)


def _run(price: Price, engine: Any, prompts: list[list[int]]) -> float:
    from inference import SamplingParams

    params = SamplingParams(max_tokens=price.output, ignore_eos=True)
    began = time.perf_counter()
    first = len(prompts) - price.late
    requests = [engine.submit(prompt, params) for prompt in prompts[:first]]
    if price.late:
        for _ in range(_STEPS_BEFORE):
            engine.step()
        requests += [engine.submit(prompt, params) for prompt in prompts[first:]]
    while engine.has_unfinished():
        engine.step()
    seconds = time.perf_counter() - began
    return price.figure(seconds, [engine.output(request) for request in requests])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prices",
        description="Price the engine's optimisations on one CPU thread.",
    )
    parser.add_argument("--model", type=Path, default=cache_directory() / SMOLLM2.name)
    parser.add_argument("--rounds", type=int, default=5, help="measured turns of each")
    parser.add_argument(
        "--only", metavar="TEXT", help="only what has TEXT in its name: 'int8', 'parallel'"
    )
    args = parser.parse_args(argv)
    chosen = [price for price in PRICES if args.only is None or args.only in price.name]
    if not chosen:
        parser.error(f"--only {args.only}: none of {', '.join(sorted({p.name for p in PRICES}))}")
    try:
        require_weights(args.model)
    except UnavailableError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(
        "| switched off | load | figure | with it | without, times |\n|---|---|---|---:|---:|\n"
    )
    for price in chosen:
        seconds, times = worth(price, args.model, rounds=args.rounds)
        what = price.figure.__name__.strip("_").replace("_", " ")
        sys.stdout.write(
            f"| `{price.name}` | {price.load} | {what} | {seconds * 1e3:.1f} ms | {times:.2f} |\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
