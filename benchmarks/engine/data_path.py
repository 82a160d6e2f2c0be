"""What lies between a file of prompts and the model: loading, tokenizing, staging, detokenizing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.engine.fingerprint import pin_threads
from benchmarks.engine.models import cache_directory, require_weights
from benchmarks.engine.timer import timer_of
from tracker.load.catalogue import Metric
from tracker.load.errors import UnavailableError
from tracker.load.scenario import Model
from tracker.load.suite import publish
from tracker.load.text import CORPUS, text_of

__all__ = ["METRICS", "data_path_suite", "measure_data_path"]

LIMIT = 300  # seconds
ROUNDS = 9
PROMPTS, WORDS = 400, 60
STAGED = 16 << 20  # bytes
METRICS = (
    Metric("tokenize_rate", "Tokens encoded per second, texts in one call", "tokens/s", "higher", "rate"),
    Metric("tokenize_rate_single", "Tokens encoded per second, a call for each text", "tokens/s", "higher", "rate"),
    Metric("detokenize_time_per_token", "Text of one more token of a stream", "s", "lower", "timing"),
    Metric("load_rate_jsonl", "Prompts read per second from JSON lines", "prompts/s", "higher", "rate"),
    Metric("load_rate_arrow", "Prompts read per second from Arrow", "prompts/s", "higher", "rate"),
    Metric("staging_rate", "Bytes per second from the host to the device", "B/s", "higher", "rate"),
)  # fmt: skip
T = TypeVar("T")


def data_path_suite(model: Model, *, version: str) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that adds the data path's benchmarks.

    The class has a ``setup_cache`` of its own that returns ``measure_data_path(self)``.

    Args:
        model: Whose tokenizer; one with dummy weights has one trained on the corpus.
        version: Set by hand; raise it whenever the work changes.
    """

    def decorate(cls: Any) -> Any:
        publish(cls, METRICS, version=version, timeout=LIMIT)
        cls.model = model
        return cls

    return decorate


def measure_data_path(instance: Any) -> dict[str, Any]:
    """Measure for the model of ``instance``'s class; what its ``setup_cache`` returns."""
    pin_threads()
    try:
        tokenizer = _tokenizer(instance.model)
        texts = _texts()
        metrics = {
            **_tokenizing(tokenizer, texts),
            **_loading(texts),
            "staging_rate": _staging(instance.model.device),
        }
    except UnavailableError as reason:
        return {"skipped": str(reason)}
    return {"metrics": metrics, "void": None}


def _texts() -> list[str]:
    import random

    rng = random.Random(0)
    return [text_of(WORDS, rng) for _ in range(PROMPTS)]


def _tokenizer(model: Model) -> Any:
    """Return the model's tokenizer of the package ``tokenizers``."""
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError:
        raise UnavailableError("no tokenizers here; pip install 'pacekeeper[inference]'") from None
    if model.weights == "cache":
        directory = cache_directory() / model.name
        require_weights(directory)
        return Tokenizer.from_file(str(directory / "tokenizer.json"))
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, initial_alphabet=alphabet, show_progress=False, min_frequency=1
    )
    made.train_from_iterator([CORPUS.read_text(encoding="utf-8")], trainer)
    return made


def _tokenizing(tokenizer: Any, texts: list[str]) -> dict[str, float | None]:
    encoded = [item.ids for item in tokenizer.encode_batch(texts)]
    tokens = sum(map(len, encoded))
    stream = encoded[0]

    def one_by_one() -> None:
        for text in texts:
            tokenizer.encode(text)

    def decode_stream() -> None:
        # As an engine does: the text of the last few tokens, with and without the newest.
        for end in range(1, len(stream) + 1):
            tokenizer.decode(stream[max(0, end - 6) : end])

    return {
        "tokenize_rate": tokens / _seconds(lambda: tokenizer.encode_batch(texts)),
        "tokenize_rate_single": tokens / _seconds(one_by_one),
        "detokenize_time_per_token": _seconds(decode_stream) / len(stream),
    }


def _loading(texts: list[str]) -> dict[str, float | None]:
    """Return prompts read per second; Arrow's is None without pyarrow."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "prompts.jsonl"
        lines.write_text("".join(json.dumps({"prompt": t}) + "\n" for t in texts), encoding="utf-8")

        def read_lines() -> list[str]:
            with lines.open(encoding="utf-8") as file:
                return [json.loads(line)["prompt"] for line in file]

        rates: dict[str, float | None] = {
            "load_rate_jsonl": len(texts) / _seconds(read_lines),
            "load_rate_arrow": None,
        }
        try:
            import pyarrow as arrow
        except ImportError:
            return rates
        path = str(Path(folder) / "prompts.arrow")
        table = arrow.table({"prompt": texts})
        with arrow.OSFile(path, "wb") as sink, arrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

        def read_arrow() -> list[str]:
            with arrow.memory_map(path) as source:
                column: list[str] = arrow.ipc.open_file(source).read_all()["prompt"].to_pylist()
            return column

        assert read_arrow() == read_lines() == texts
        rates["load_rate_arrow"] = len(texts) / _seconds(read_arrow)
    return rates


def _staging(device: str) -> float:
    """Return bytes per second of a copy to the device: from pinned memory on CUDA."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("staging needs a CUDA device and torch finds none")
    source = torch.ones(STAGED, dtype=torch.uint8, pin_memory=device == "cuda")
    target = torch.empty_like(source, device=device)
    timer = timer_of(device)
    return STAGED / median(timer(lambda: target.copy_(source)) for _ in range(ROUNDS))


def _seconds(act: Callable[[], Any]) -> float:
    timer = timer_of("cpu")
    return median(timer(act) for _ in range(ROUNDS))
