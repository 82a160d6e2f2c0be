"""The same shapes in transformers: ``generate`` for one sequence, ``generate_batch`` for many."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.gpu.context import Context
from benchmarks.gpu.load import SIZES, label, make_engine, prompts
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.timing import wait
from tracker.load.errors import UnavailableError
from tracker.load.lengths import Production, draw

__all__ = ["against_transformers"]

SHORT_PROMPT = 16
PAGE = 256  # of transformers' cache, its default


def against_transformers(model: str, context: Context) -> list[GpuMeasurement]:
    """Return tokens/s of the engine and of transformers, and their quotients.

    Decode-heavy: one sequence, 16 tokens in. Ragged: as many prompts of production lengths as the
    largest batch has, in the engine and in continuous batching of transformers. Neither may share
    prefixes, since each round runs the same prompts.

    Raises:
        UnavailableError: transformers is not installed.
    """
    from inference import SamplingParams

    size, device = SIZES[context.device], context.device
    hub = _hub_model(model, device)
    batch = max(size.batches)
    settings = {"max_num_seqs": batch, "max_model_len": 4 * size.context}
    if device == "cuda":
        settings["kv_cache_bytes"] = 16 << 30  # room for the other's weights and cache
    engine = make_engine(model, device, enable_prefix_sharing=False, **settings)
    params = SamplingParams(max_tokens=size.tokens, ignore_eos=True)
    (short,) = prompts(engine, 1, SHORT_PROMPT, seed=1)
    lengths = Production(
        "azure_conv_prompt", scale=size.context / 1024, least=4, most=2 * size.context
    )
    counts = draw(lengths, batch, random.Random(2))
    ragged = [prompts(engine, 1, count, seed=3 + i)[0] for i, count in enumerate(counts)]
    prefix = f"gpu_engine.{label(model)}.track_"
    measured = []
    for name, own, other in (
        ("generate", [short], lambda: _generate(hub, short, size.tokens)),
        (f"generate_batch_{batch}", ragged, lambda: _generate_batch(hub, ragged, size.tokens)),
    ):
        tokens = len(own) * size.tokens
        ours = tokens / _seconds(lambda own=own: engine.generate(own, params), device, 3)
        theirs = tokens / _seconds(other, device, 2)
        measured += [
            GpuMeasurement(f"{prefix}{name}_tokens", ours, "tokens/s", "higher", "rate"),
            GpuMeasurement(f"{prefix}{name}_transformers", theirs, "tokens/s", "higher", "rate"),
            GpuMeasurement(
                f"{prefix}{name}_times_transformers", ours / theirs, "1", "higher", "other"
            ),
        ]
    return measured


def _seconds(work: Callable[[], Any], device: str, repeats: int) -> float:
    """Return the median after one call that warms up."""
    seconds = []
    for _ in range(repeats + 1):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def _hub_model(model: str, device: str) -> Any:
    import torch

    try:
        from transformers import AutoModelForCausalLM, Qwen3Config
    except ImportError:
        raise UnavailableError("transformers is not installed") from None
    from inference.presets import preset

    shape = preset(model)
    config = Qwen3Config(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.max_position,
        tie_word_embeddings=shape.tie_embeddings,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def _generate(hub: Any, prompt: list[int], tokens: int) -> None:
    import torch

    ids = torch.tensor([prompt], device=hub.device)
    with torch.inference_mode():
        hub.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
        )


def _generate_batch(hub: Any, ragged: list[list[int]], tokens: int) -> None:
    from transformers import ContinuousBatchingConfig, GenerationConfig

    pages = sum(-(-(len(prompt) + tokens) // PAGE) + 1 for prompt in ragged)
    outputs = hub.generate_batch(
        inputs=ragged,
        # No token is -1, so none of the outputs ends early.
        generation_config=GenerationConfig(
            max_new_tokens=tokens, do_sample=False, eos_token_id=-1, pad_token_id=0
        ),
        continuous_batching_config=ContinuousBatchingConfig(
            num_blocks=pages, allow_block_sharing=False
        ),
        persistent_manager=True,  # its cache is made once, as the engine's is
    )
    made = [len(output.generated_tokens) for output in outputs.values()]
    if made != [tokens] * len(ragged):
        raise RuntimeError(f"generate_batch made {made} tokens instead of {tokens} each")
