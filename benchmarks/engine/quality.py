"""Whether the model still says the same: perplexity and top-1 agreement on a fixed text.

A speed-up that changes what the model says is seen beside its speed. Every prefix of the text is a prompt of
one token, so that only the engine's public names are needed and prefix sharing makes it cheap.

``python -m benchmarks.engine.quality`` records the top tokens of this commit anew, for a deliberate change.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.engine.fingerprint import pin_threads
from benchmarks.engine.models import SMOLLM2, TINY, cache_directory, locate, require_device
from benchmarks.engine.source import import_engine
from tracker.load.catalogue import Metric
from tracker.load.errors import UnavailableError
from tracker.load.scenario import Model
from tracker.load.suite import publish

__all__ = ["METRICS", "measure_quality", "quality_suite", "scores"]

LIMIT = 300  # seconds
RECORDED = Path(__file__).parents[1] / "quality"
TEXT = (
    "The quick answer is often wrong, and the slow one is late. A team that serves a model wants both: "
    "the first word at once, and every word after it right. So they measure before and after."
)
TOKENS = 64  # of the text, at most
METRICS = (
    Metric("perplexity", "Perplexity of a fixed text", "1", "lower", "exact"),
    Metric("top1_agreement", "Places of a fixed text with the recorded likeliest token", "1", "higher", "exact"),
)  # fmt: skip
T = TypeVar("T")


def quality_suite(model: Model, *, version: str, **engine: Any) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that adds the quality of ``model``.

    The class has a ``setup_cache`` of its own that returns ``measure_quality(self)``.

    Args:
        model: Which.
        version: Set by hand; raise it with the text or what was recorded.
        engine: Settings beside the defaults.
    """

    def decorate(cls: Any) -> Any:
        publish(cls, METRICS, version=version, timeout=LIMIT)
        cls.model, cls.engine = model, engine
        return cls

    return decorate


def measure_quality(instance: Any) -> dict[str, Any]:
    """Measure the model of ``instance``'s class; what its ``setup_cache`` returns."""
    try:
        places = _places(instance.model, instance.engine)
    except UnavailableError as reason:
        return {"skipped": str(reason)}
    path = _path(instance.model)
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return {"metrics": scores(*places, recorded), "void": None}


def scores(
    likeliest: Sequence[int], logprobs: Sequence[float], recorded: Sequence[int] | None
) -> dict[str, float | None]:
    """Return perplexity, and the share of places whose likeliest token is the recorded one.

    Args:
        likeliest: The model's token of each place.
        logprobs: Natural log probability of the text's own token at each place.
        recorded: The likeliest token of each place when it was recorded; None: never.

    Raises:
        ValueError: Another number of places was recorded.
    """
    if recorded is not None and len(recorded) != len(likeliest):
        raise ValueError(
            f"{len(recorded)} places were recorded and {len(likeliest)} measured; record them anew: "
            "python -m benchmarks.engine.quality"
        )
    agreeing = [ours == theirs for ours, theirs in zip(likeliest, recorded or (), strict=False)]
    return {
        "perplexity": math.exp(-sum(logprobs) / len(logprobs)),
        "top1_agreement": sum(agreeing) / len(agreeing) if agreeing else None,
    }


def _places(model: Model, engine: dict[str, Any]) -> tuple[list[int], list[float]]:
    """Return the likeliest token and the text's log probability at each place of the text.

    Raises:
        UnavailableError: This machine or this commit lacks what it takes.
    """
    name = locate(model)
    package = import_engine().module
    require_device(model)
    pin_threads()
    try:
        config = package.EngineConfig(device=model.device, max_model_len=256, **engine)
    except package.ConfigError as error:
        raise UnavailableError(f"this commit lacks a setting: {error}") from None
    llm = package.LLM(name, config)
    try:
        vocab = int(llm.describe()["vocab_size"])
        text = _tokens(model)
        params = _params(package, vocab)
        outputs = llm.generate([text[:end] for end in range(1, len(text))], params)
    finally:
        llm.close()
    tops = [output.logprobs[0].top for output in outputs]
    return [top[0][0] for top in tops], [
        dict(top)[token] for top, token in zip(tops, text[1:], strict=True)
    ]


def _params(package: Any, vocab: int) -> Any:
    try:
        return package.SamplingParams(max_tokens=1, ignore_eos=True, logprobs=vocab)
    except package.ConfigError as error:
        raise UnavailableError(f"this commit reports no log probabilities: {error}") from None


def _tokens(model: Model) -> list[int]:
    """Return the text's tokens; of a model without a tokenizer its bytes."""
    if model.weights != "cache":
        return list(TEXT.encode())[:TOKENS]
    from tokenizers import Tokenizer

    path = cache_directory() / model.name / "tokenizer.json"
    return list(Tokenizer.from_file(str(path)).encode(TEXT).ids)[:TOKENS]


def _path(model: Model) -> Path:
    return RECORDED / f"{model.name}.json"


def _record() -> None:
    RECORDED.mkdir(exist_ok=True)
    for model in (TINY, SMOLLM2):
        try:
            likeliest, _ = _places(model, {})
        except UnavailableError as reason:
            sys.stderr.write(f"{model.name}: not recorded: {reason}\n")
            continue
        _path(model).write_text(json.dumps(likeliest) + "\n", encoding="utf-8")
        sys.stdout.write(f"{_path(model)}\n")


if __name__ == "__main__":
    _record()
