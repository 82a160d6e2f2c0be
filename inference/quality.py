"""What settings of an engine cost in quality: ``python -m inference.quality MODEL --evaluate TEXT``.

The text is teacher-forced through an engine of each setting, in pieces, and compared with float32: the top-1
agreement, and how many times the perplexity is. KV caches in 8 bits are read back as a step reads them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference.checkpoint import describe_model
from inference.compression.layerwise import Scores, whole_text_plan
from inference.compression.texts import add_text_arguments, read_texts
from inference.config import EngineConfig
from inference.engine import LLM
from inference.errors import InferenceError

__all__ = ["SETTINGS", "engine_scores"]

SETTINGS: dict[str, dict[str, Any]] = {
    "dtype='bfloat16'": {"dtype": "bfloat16"},
    "quantization='int8'": {"quantization": "int8"},
    "quantization='int4'": {"quantization": "int4"},
    "quantization='nf4'": {"quantization": "nf4"},
    "quantization='fp8'": {"quantization": "fp8"},
    "kv_dtype='int8'": {"kv_dtype": "int8"},
    "kv_dtype='fp8'": {"kv_dtype": "fp8"},
}


@torch.inference_mode()
def engine_scores(llm: LLM, texts: Sequence[Tensor]) -> Scores:
    """Return what an engine's model says at each place of texts.

    Args:
        llm: With no request in it; **its KV cache is overwritten**.
        texts: ``[T]`` int64 each, 2 tokens or more, at most what the engine's cache holds.
    """
    runner = llm._live_runner()
    decoder, scores = runner.decoder, []
    for text in texts:
        places = torch.arange(len(text), device=runner.device)
        plan = whole_text_plan(len(text), llm.config.block_size, runner.device)
        hidden = decoder.forward(text.to(runner.device), places, places, runner.cache, plan)
        scores.append(Scores.of(decoder.logits(hidden).cpu(), text))
    return Scores.together(scores)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m inference.quality", description=__doc__)
    parser.add_argument("source", type=Path, help="the checkpoint directory")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    add_text_arguments(parser)
    args = parser.parse_args(argv)
    try:
        _, texts = read_texts(args, describe_model(args.source), calibrated=False)
        longest = max(map(len, texts))
        common: dict[str, Any] = {
            "device": args.device,
            "max_model_len": longest,
            "max_num_seqs": 1,
            "enable_prefix_sharing": False,
        }
        with LLM(args.source, EngineConfig(dtype="float32", **common)) as llm:
            reference = engine_scores(llm, texts)
        print(f"| float32 | {reference.quality()} | top-1 agreement | perplexity, times |")
        print("|---|---|---:|---:|")
        for name, setting in SETTINGS.items():
            with LLM(args.source, EngineConfig(**{"dtype": "float32", **common, **setting})) as llm:
                scores = engine_scores(llm, texts)
                backend = llm.describe()["backends"]["linear"]
            quality = scores.quality(reference)
            times = quality.perplexity / reference.quality().perplexity
            print(f"| `{name}` | {backend} | {quality.agreement:.1%} | {times:.4f} |", flush=True)
    except InferenceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
