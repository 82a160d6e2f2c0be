"""The engine beside ``transformers`` on a CPU: ``python -m benchmarks.versus_transformers``.

One torch thread, float32, greedy, real weights (``python -m benchmarks.fetch_smollm`` fetches
them). Each case runs both by turns in one process, after a warm-up, and keeps the least time of
each. Beside the ratios stand this machine's ceilings, taken in the same run: how fast memory is
read and how fast a weight is multiplied by 1 to 512 rows. Neighbours on a shared machine disturb
both sides alike; the ratios hold, the times do not.

Exit codes: 0 measured and every token equal; 1 a token differs; 2 no weights.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.engine.models import SMOLLM2, cache_directory, require_weights
from tracker.load.errors import UnavailableError
from tracker.load.lengths import Production, draw

__all__ = ["Case", "Figures", "main", "measure"]

PROMPT = Production("azure_conv_prompt", scale=1 / 16, least=4, most=128)
OUTPUT = Production("azure_conv_output", scale=1 / 8, least=2, most=64)
# Beside float32: fewer bytes a weight. Their tokens may differ, float32's may not.
VARIANTS: dict[str, dict[str, Any]] = {
    "bfloat16": {"dtype": "bfloat16"},
    "int8": {"quantization": "int8"},
    "int4": {"quantization": "int4"},
}
Tokens = list[list[int]]


@dataclass(frozen=True, slots=True)
class Case:
    """Prompts and how many tokens follow each."""

    name: str
    prompts: Tokens
    outputs: list[int]


@dataclass(frozen=True, slots=True)
class Figures:
    """The least times of one case, seconds, and what each contender generated."""

    seconds: dict[str, float]
    tokens: dict[str, Tokens]


Run = Callable[[Case], Tokens]


class Contender(Protocol):
    """Something that generates."""

    def ready(self) -> AbstractContextManager[Run]:
        """Return what runs a case to its end, set up: setting up is not timed."""
        ...


class ComparedEngine:
    """This engine."""

    def __init__(self, directory: Path, **config: Any) -> None:
        # Here: asv imports every module of this package, and must not load the engine.
        from inference import LLM, EngineConfig

        self.llm = LLM(
            directory,
            EngineConfig(
                device="cpu",
                max_model_len=1024,
                max_num_seqs=32,
                enable_prefix_sharing=False,
                num_threads=1,
                **config,
            ),
        )

    def ready(self) -> AbstractContextManager[Run]:
        return nullcontext(self._run)

    def _run(self, case: Case) -> Tokens:
        from inference import SamplingParams

        params = [SamplingParams(max_tokens=n, ignore_eos=True) for n in case.outputs]
        return [output.token_ids for output in self.llm.generate(case.prompts, params)]


class Generate:
    """``generate`` on prompts padded on the left, run to the longest output."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def ready(self) -> AbstractContextManager[Run]:
        return nullcontext(self._run)

    def _run(self, case: Case) -> Tokens:
        import torch

        longest = max(map(len, case.prompts))
        pads = [longest - len(prompt) for prompt in case.prompts]
        ids = torch.tensor(
            [[0] * pad + prompt for pad, prompt in zip(pads, case.prompts, strict=True)]
        )
        mask = (torch.arange(longest) >= torch.tensor(pads)[:, None]).long()
        out = self._model.generate(
            ids,
            attention_mask=mask,
            generation_config=_greedy(max_new_tokens=max(case.outputs)),
        )
        rows = out[:, longest:].tolist()
        return [row[:count] for row, count in zip(rows, case.outputs, strict=True)]


class GenerateBatch:
    """The continuous batching of transformers, each request with an output of its own."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @contextmanager
    def ready(self) -> Iterator[Run]:
        from transformers import ContinuousBatchingConfig

        # Enough pages for every request at once; its own choice is most of the memory there is.
        config = ContinuousBatchingConfig(num_blocks=64, max_batch_tokens=2048)
        manager = self._model.init_continuous_batching(
            generation_config=_greedy(), continuous_batching_config=config
        )
        manager.start()
        try:
            # The first request waits for the manager's thread to be set up.
            self._serve(manager, Case("first", [[0]], [1]))
            yield lambda case: self._serve(manager, case)
        finally:
            manager.stop(block=True)

    def _serve(self, manager: Any, case: Case) -> Tokens:
        for i, (prompt, count) in enumerate(zip(case.prompts, case.outputs, strict=True)):
            manager.add_request(prompt, request_id=f"{case.name} {i}", max_new_tokens=count)
        done: dict[str, list[int]] = {}
        while len(done) < len(case.prompts):
            result = manager.get_result(timeout=1)
            if result is not None and result.is_finished():
                done[result.request_id] = list(result.generated_tokens)
        return [done[f"{case.name} {i}"] for i in range(len(case.prompts))]


def _greedy(**more: Any) -> Any:
    from transformers import GenerationConfig

    # No token is -1, so no output ends early; for None the checkpoint's own would be taken.
    return GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0, **more)


def measure(case: Case, contenders: dict[str, Contender], *, rounds: int) -> Figures:
    """Run every contender on a case, by turns, and keep the least time of each."""
    seconds: dict[str, float] = {}
    tokens: dict[str, Tokens] = {}
    for i in range(rounds + 1):
        for name, contender in contenders.items():
            with contender.ready() as run:
                start = time.perf_counter()
                tokens[name] = run(case)
                elapsed = time.perf_counter() - start
            if i > 0:  # the first round warms up
                seconds[name] = min(seconds.get(name, elapsed), elapsed)
    return Figures(seconds, tokens)


def read_bandwidth(num_bytes: int) -> float:
    """Return bytes per second of reading ``num_bytes`` once, the best of nine passes."""
    import torch

    data = torch.ones(num_bytes // 4)
    return num_bytes / min(_seconds(data.sum) for _ in range(9))


def product_rates(shape: tuple[int, int]) -> dict[int, float]:
    """Return FLOP/s of ``F.linear`` by number of rows, on weights that no cache holds."""
    import torch
    from torch.nn import functional

    out, width = shape
    weights = [torch.randn(out, width) for _ in range(40)]
    rates = {}
    for rows in (1, 8, 32, 128, 512):
        x = torch.randn(rows, width)

        def multiply(x: Any = x) -> None:
            for weight in weights if len(x) < 128 else weights[:8]:
                functional.linear(x, weight)

        count = len(weights) if rows < 128 else 8
        best = min(_seconds(multiply) for _ in range(5))
        rates[rows] = 2 * rows * out * width * count / best
    return rates


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _cases(vocab_size: int, *, quick: bool) -> tuple[list[Case], list[Case]]:
    """Return the cases of equal lengths, and the ragged ones."""
    rng = random.Random(7)

    def prompt(length: int) -> list[int]:
        return [rng.randrange(vocab_size) for _ in range(length)]

    batches = (1, 8) if quick else (1, 8, 32)
    out = 16 if quick else 64
    equal = [
        Case(f"16 in, {out} out, batch {n}", [prompt(16) for _ in range(n)], [out] * n)
        for n in batches
    ]
    equal.append(Case("prefill of 512", [prompt(512)], [1]))
    ragged = []
    for n in (8,) if quick else (8, 32):
        prompts = [prompt(length) for length in draw(PROMPT, n, rng)]
        ragged.append(Case(f"ragged, {n} prompts", prompts, draw(OUTPUT, n, rng)))
    return equal, ragged


def decode_bandwidth(
    engine: ComparedEngine, case: Case, *, rounds: int
) -> tuple[float, float, float]:
    """Measure a batch of one beside reading memory, by turns.

    Returns:
        The bytes that a step must read, the least time per output token, seconds, and the most
        bytes per second that reading alone reached.
    """
    from inference import SamplingParams

    engine.llm.reset_counters()
    params = SamplingParams(max_tokens=case.outputs[0], ignore_eos=True)
    step, bandwidth = float("inf"), 0.0
    for _ in range(rounds + 1):
        tpot = engine.llm.generate(case.prompts, params)[0].timing.tpot
        step = min(step, tpot or step)
        bandwidth = max(bandwidth, read_bandwidth(engine.llm.counters()["weight_bytes"]))
    counters = engine.llm.counters()
    return counters["model_bytes"] / counters["steps"], step, bandwidth


def _report(directory: Path, *, rounds: int, quick: bool) -> int:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    set_verbosity_error()
    disable_progress_bar()
    logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)
    engine = ComparedEngine(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    generate, batch = Generate(model), GenerateBatch(model)
    equal, ragged = _cases(engine.llm.model.vocab_size, quick=quick)

    step_bytes, step, bandwidth = decode_bandwidth(engine, equal[0], rounds=rounds)
    _line("ceiling: memory read", f"{bandwidth / 1e9:.1f} GB/s")
    model_shape = 2 * engine.llm.model.intermediate_size, engine.llm.model.hidden_size
    for rows, rate in product_rates(model_shape).items():
        _line(f"ceiling: F.linear of {rows} rows", f"{rate / 1e9:.1f} GFLOP/s")
    share = step_bytes / step / bandwidth
    _line("decode, batch 1", f"{step * 1e3:.1f} ms a token, {share:.0%} of the memory ceiling")
    for name, config in VARIANTS.items():
        rival = ComparedEngine(directory, **config)
        for case in equal:
            figures = measure(case, {"float32": engine, name: rival}, rounds=rounds).seconds
            ratio = figures["float32"] / figures[name]
            _line(f"{name}, {case.name}", f"{figures[name]:.2f} s, {ratio:.2f} x own float32")
    same = True
    for case in equal:
        same &= _compare(case, {"own": engine, "generate": generate}, rounds=rounds)
    for case in ragged:
        contenders = {"own": engine, "generate": generate, "generate_batch": batch}
        same &= _compare(case, contenders, rounds=rounds)
    return 0 if same else 1


def _compare(case: Case, contenders: dict[str, Contender], *, rounds: int) -> bool:
    """Measure and print one case; return whether all generated the same."""
    figures = measure(case, contenders, rounds=rounds)
    own = figures.seconds["own"]
    others = [
        f"{name} {seconds:.2f} s, {seconds / own:.2f} x"
        for name, seconds in figures.seconds.items()
        if name != "own"
    ]
    rate = sum(case.outputs) / own
    equal = [
        sum(ours == theirs for ours, theirs in zip(figures.tokens["own"], tokens, strict=True))
        for name, tokens in figures.tokens.items()
        if name != "own"
    ]
    _line(
        case.name,
        f"own {own:.2f} s ({rate:.0f} tokens/s); {'; '.join(others)}; "
        f"equal outputs {min(equal)} of {len(case.prompts)}",
    )
    return min(equal) == len(case.prompts)


def _line(name: str, text: str) -> None:
    sys.stdout.write(f"{name:30} {text}\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.versus_transformers",
        description="Measure the engine beside transformers on one CPU thread.",
    )
    parser.add_argument("--model", type=Path, default=cache_directory() / SMOLLM2.name)
    parser.add_argument("--rounds", type=int, default=3, help="measured turns of each case")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter cases")
    args = parser.parse_args(argv)
    try:
        require_weights(args.model)
    except UnavailableError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    os.environ["HF_HUB_OFFLINE"] = "1"
    return _report(args.model, rounds=args.rounds, quick=args.quick)


if __name__ == "__main__":
    sys.exit(main())
