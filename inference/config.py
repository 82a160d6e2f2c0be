"""The settings of the caller: ``EngineConfig`` for an engine, ``SamplingParams`` for a request.

Both are frozen values, checked when made. Nothing in this package reads an environment variable.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from inference.errors import ConfigError, did_you_mean

__all__ = ["EngineConfig", "SamplingParams"]

_T = TypeVar("_T")

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "bfloat16", "float16")
BACKENDS = ("auto", "reference", "triton", "numpy", "compiled")
KV_DTYPES = ("int8", "fp8")
QUANTIZATIONS = ("int8", "int4", "nf4", "fp8")
BATCHING = ("continuous", "bucketed", "padded")


def _unknown_keys_raise(cls: type[_T]) -> type[_T]:
    """Make ``cls(..., misspelt=1)`` raise ConfigError with the nearest known key."""
    generated = cls.__init__
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]

    @functools.wraps(generated)
    def checked(self: _T, *args: Any, **kwargs: Any) -> None:
        for key in kwargs:
            if key not in known:
                raise ConfigError(f"{cls.__name__} has no key {key!r}{did_you_mean(key, known)}")
        generated(self, *args, **kwargs)

    cls.__init__ = checked  # type: ignore[assignment,method-assign]
    return cls


def _one_of(owner: str, key: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"{owner}.{key} is {value!r}{did_you_mean(str(value), allowed)}"
            f" (one of {', '.join(allowed)})"
        )


def _whole(owner: str, key: str, value: Any, *, least: int) -> int:
    """Return the int that ``value`` is, NumPy's integers included."""
    try:
        whole = operator.index(value)
    except TypeError:
        whole = least - 1
    # bool is an int in Python; max_tokens=True is a slip, not a count.
    if isinstance(value, bool) or whole < least:
        raise ConfigError(f"{owner}.{key} is {value!r}; give a whole number >= {least}")
    return whole


def _set_whole(config: Any, key: str, *, least: int) -> None:
    """Replace a field by the int that it is."""
    value = _whole(type(config).__name__, key, getattr(config, key), least=least)
    object.__setattr__(config, key, value)


def _flag(owner: str, key: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{owner}.{key} is {value!r}; give True or False")


def _tuple(owner: str, key: str, value: Any, *, of: str) -> tuple[Any, ...]:
    try:
        return () if value is None else tuple(value)
    except TypeError:
        raise ConfigError(f"{owner}.{key} is {value!r}; give a list of {of}") from None


@_unknown_keys_raise
@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How an engine runs. Every optimisation has its flag, so that a suite can price it.

    Args:
        device: ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``.
        dtype: Weights, activations and, without ``kv_dtype``, KV cache; ``"auto"`` is float32 on a CPU, bfloat16 on CUDA.
        backend: ``"auto"`` (Triton on CUDA; on a CPU with one thread compiled ops, or NumPy where
            there is no compiler; else torch), ``"reference"`` (torch), ``"triton"``, ``"numpy"`` or
            ``"compiled"``: NumPy, and functions that a C++ compiler makes for this CPU at first use.
            In the last two activations and KV cache are float32 whatever the weights.
        max_num_seqs: Requests running at once at most (never more than the token budget).
        max_num_batched_tokens: Tokens computed in a step at most (the token budget). With
            chunked prefill off, one prompt longer than this still runs, in a step of its own.
        max_model_len: Prompt plus output, in tokens; None takes the model's own limit.
        block_size: KV positions in a block.
        num_blocks: KV blocks in all; None derives it from ``kv_cache_bytes``.
        kv_cache_bytes: Size of the KV cache, bytes; None takes what ``max_num_seqs`` requests
            of full length need, at most 1 GiB on a CPU and 80 % of free memory on CUDA.
        host_cache_bytes: Host memory for KV blocks that the cache has no room for, bytes: they are copied
            out and back where they would be computed again. Needs ``enable_prefix_sharing``. None: no
            such memory.
        response_cache_tokens: Answer a prompt that is asked again word for word, greedy or with the
            same seed, by the earlier output; prompts and outputs of so many tokens are held. None
            computes every request.
        enable_prefix_sharing: Reuse the KV blocks of equal prompt prefixes.
        enable_chunked_prefill: Split prompts so that prefill and decode share a step.
        prefill_chunk_size: Tokens of one prompt in a step at most; None leaves it to the budget.
        mlp_chunk_size: Tokens that go through a feed-forward layer at once at most, which bounds its
            activations, the largest of a step; None: all of the step.
        enable_length_buckets: Run decode attention in groups of similar context length, so that
            a short sequence is not padded to the longest of the step.
        enable_staging: Lay steps out in memory that is kept from step to step, pinned on CUDA, and
            bring the rows of a decoding step up to date in place.
        enable_cpu_layout: On a CPU hold matrices as it multiplies fastest by them: the longer side
            contiguous, a tied vocabulary both ways. Costs the memory of that one matrix.
        enable_overlap: Launch a step before the tokens of the one before it are read; None does so
            on CUDA with continuous batching. On a CPU there is nothing to overlap with.
        enable_cuda_graphs: Replay decoding steps from CUDA graphs, padded to few sizes, where the
            ops run as kernels and ``enable_staging`` is on.
        enable_prompt_lookup: Guess the next tokens from earlier text of the same request and verify
            the guesses in one step; needs continuous batching, and steps do not overlap then.
        draft_model: Guess them by this model instead, of the same vocabulary: what ``LLM`` takes, or
            ``"self"`` for the same weights in ``draft_quantization``.
        draft_quantization: ``quantization`` of the draft model.
        max_draft_tokens: Guesses a request and step at most.
        quantization: Bits of the layers' and the vocabulary's matrices: ``"int8"`` (a scale per
            output), ``"int4"`` (one per group of a row; CPU only), ``"nf4"`` (16 quantiles of the normal
            distribution, a scale per block of a row) or ``"fp8"`` (e4m3; meant for CUDA). None keeps
            ``dtype``. Activations and the embedding keep ``dtype`` always.
        kv_dtype: Of the KV cache: ``"int8"`` or ``"fp8"`` (e4m3), with a scale for each head and token;
            None keeps that of the activations.
        tensor_parallel: Devices that share each layer, one process each; heads, key/value heads and
            feed-forward channels must divide by it. Above 1 steps neither overlap nor run as graphs.
        pipeline_parallel: Devices that have some of the layers each, one process each; the layers must divide
            by it. A step goes through all of them before the next begins: this divides the memory, not
            the time. Not together with ``tensor_parallel``.
        replicas: Engines behind one queue, which ``open_engine`` makes; on CUDA each has a device.
        batching: ``"continuous"``: a request joins and leaves at any step, nothing is padded.
            ``"padded"``: batches of requests as they come, padded to the longest prompt and run to
            the longest output. ``"bucketed"``: the same within buckets of similar prompts.
        bucket_edges: Longest prompt of each bucket but the last, tokens, rising.
        bucket_wait: How long a request waits for its bucket to fill, seconds.
        seed: Of dummy weights, and of the seeds of requests that name none.
        num_threads: torch's intra-op threads (process-wide); None leaves it as it is.

    Raises:
        ConfigError: Unknown key (with the nearest known one) or a value out of range.
    """

    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 2048
    max_model_len: int | None = None
    block_size: int = 16
    num_blocks: int | None = None
    kv_cache_bytes: int | None = None
    host_cache_bytes: int | None = None
    response_cache_tokens: int | None = None
    enable_prefix_sharing: bool = True
    enable_chunked_prefill: bool = True
    prefill_chunk_size: int | None = None
    mlp_chunk_size: int | None = None
    enable_length_buckets: bool = True
    enable_staging: bool = True
    enable_overlap: bool | None = None
    enable_cuda_graphs: bool = True
    enable_cpu_layout: bool = True
    enable_prompt_lookup: bool = False
    draft_model: str | Path | None = None
    draft_quantization: str | None = None
    max_draft_tokens: int = 4
    quantization: str | None = None
    kv_dtype: str | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    replicas: int = 1
    batching: str = "continuous"
    bucket_edges: Sequence[int] = (64, 256, 1024, 4096)
    bucket_wait: float = 0.05
    seed: int = 0
    num_threads: int | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        _one_of(name, "device", self.device, DEVICES)
        _one_of(name, "dtype", self.dtype, DTYPES)
        _one_of(name, "backend", self.backend, BACKENDS)
        for key in (
            "max_num_seqs",
            "max_num_batched_tokens",
            "block_size",
            "max_draft_tokens",
            "tensor_parallel",
            "pipeline_parallel",
            "replicas",
        ):
            _set_whole(self, key, least=1)
        for key in (
            "max_model_len",
            "num_blocks",
            "kv_cache_bytes",
            "host_cache_bytes",
            "response_cache_tokens",
            "prefill_chunk_size",
            "mlp_chunk_size",
            "num_threads",
        ):
            if getattr(self, key) is not None:
                _set_whole(self, key, least=1)
        for key in (f.name for f in fields(self) if f.name.startswith("enable_")):
            if key != "enable_overlap" or self.enable_overlap is not None:
                _flag(name, key, getattr(self, key))
        for key in ("quantization", "draft_quantization"):
            if getattr(self, key) is not None:
                _one_of(name, key, getattr(self, key), QUANTIZATIONS)
        if self.kv_dtype is not None:
            _one_of(name, "kv_dtype", self.kv_dtype, KV_DTYPES)
        _one_of(name, "batching", self.batching, BATCHING)
        lengths = _tuple(name, "bucket_edges", self.bucket_edges, of="prompt lengths")
        edges = tuple(_whole(name, "bucket_edges", length, least=1) for length in lengths)
        if list(edges) != sorted(set(edges)):
            raise ConfigError(f"{name}.bucket_edges is {self.bucket_edges!r}; give rising lengths")
        object.__setattr__(self, "bucket_edges", edges)
        if not (isinstance(self.bucket_wait, Real) and 0.0 <= self.bucket_wait < float("inf")):
            raise ConfigError(f"{name}.bucket_wait is {self.bucket_wait!r}; give seconds, >= 0")
        _set_whole(self, "seed", least=0)
        if self.enable_overlap and self.batching != "continuous":
            raise ConfigError(
                f"{name}.enable_overlap needs batching='continuous', not {self.batching!r}"
            )
        if self.host_cache_bytes is not None:
            if not self.enable_prefix_sharing:
                raise ConfigError(f"{name}.host_cache_bytes needs enable_prefix_sharing=True")
            if self.num_ranks > 1:
                raise ConfigError(
                    f"{name}.host_cache_bytes needs tensor_parallel=1 and pipeline_parallel=1"
                )
        if self.enable_overlap and self.num_ranks > 1:
            raise ConfigError(
                f"{name}.enable_overlap needs tensor_parallel=1 and pipeline_parallel=1"
            )
        if self.tensor_parallel > 1 and self.pipeline_parallel > 1:
            raise ConfigError(f"{name}: give tensor_parallel or pipeline_parallel, not both")
        self._check_drafts(name)
        if self.num_blocks is not None and self.kv_cache_bytes is not None:
            raise ConfigError(f"{name}: give num_blocks or kv_cache_bytes, not both")

    @property
    def num_ranks(self) -> int:
        """Devices, and processes, that share the model."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def drafts(self) -> bool:
        """Whether tokens are guessed and verified."""
        return self.enable_prompt_lookup or self.draft_model is not None

    def _check_drafts(self, name: str) -> None:
        key = "enable_prompt_lookup" if self.enable_prompt_lookup else "draft_model"
        if self.drafts and (self.enable_overlap or self.batching != "continuous"):
            raise ConfigError(f"{name}.{key} needs batching='continuous' and no enable_overlap")
        if self.enable_prompt_lookup and self.draft_model is not None:
            raise ConfigError(f"{name}: give enable_prompt_lookup or draft_model, not both")
        if self.draft_quantization is not None and self.draft_model is None:
            raise ConfigError(f"{name}.draft_quantization needs a draft_model")
        if self.draft_model == "self" and self.draft_quantization == self.quantization:
            raise ConfigError(
                f"{name}.draft_model='self' needs a draft_quantization other than the model's own"
            )


@_unknown_keys_raise
@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How one request picks its tokens and when it ends.

    Args:
        max_tokens: Output tokens at most, >= 1.
        temperature: 0 is greedy; else logits are divided by it.
        top_k: Keep the k most likely tokens; 0 keeps all.
        top_p: Keep the fewest most likely tokens whose probability reaches p, in (0, 1].
        seed: Equal seeds give equal tokens whatever else runs; None draws from the engine's.
        stop: Strings that end the output; the text ends before them. Needs a tokenizer. One
            string is a list of one, None an empty list.
        stop_token_ids: Tokens that end the output; kept in ``token_ids``, not in ``text``. None
            is an empty list.
        ignore_eos: Run on past the model's end-of-sequence tokens.
        min_tokens: Output tokens before which neither an end-of-sequence token nor one of
            ``stop_token_ids`` is chosen.
        min_p: Keep tokens of at least this share of the largest probability, in [0, 1]; 0 keeps
            all. Of no effect where ``temperature`` is 0.
        repetition_penalty: Divides the positive logits of tokens in prompt or output, and
            multiplies their negative ones; > 0, 1 changes nothing.
        presence_penalty: Subtracted from the logits of tokens in the output.
        frequency_penalty: Subtracted once for each time that a token is in the output.
        logprobs: Report the log probability of each token, and of this many of the likeliest;
            None reports none.

    Raises:
        ConfigError: Unknown key (with the nearest known one), or a value out of range or of the
            wrong type.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int | None = None
    stop: Sequence[str] = ()
    stop_token_ids: Sequence[int] = ()
    ignore_eos: bool = False
    min_tokens: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: int | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        _set_whole(self, "max_tokens", least=1)
        _set_whole(self, "top_k", least=0)
        _set_whole(self, "min_tokens", least=0)
        for key in ("seed", "logprobs"):
            if getattr(self, key) is not None:
                _set_whole(self, key, least=0)
        # NaN fails both comparisons, hence the shape of these tests.
        if not (isinstance(self.temperature, Real) and 0.0 <= self.temperature < float("inf")):
            raise ConfigError(f"{name}.temperature is {self.temperature!r}; give a number >= 0")
        if not (isinstance(self.top_p, Real) and 0.0 < self.top_p <= 1.0):
            raise ConfigError(f"{name}.top_p is {self.top_p!r}; give a number in (0, 1]")
        if not (isinstance(self.min_p, Real) and 0.0 <= self.min_p <= 1.0):
            raise ConfigError(f"{name}.min_p is {self.min_p!r}; give a number in [0, 1]")
        penalty = self.repetition_penalty
        if not (isinstance(penalty, Real) and 0.0 < penalty < float("inf")):
            raise ConfigError(f"{name}.repetition_penalty is {penalty!r}; give a number > 0")
        for key in ("presence_penalty", "frequency_penalty"):
            penalty = getattr(self, key)
            if not (isinstance(penalty, Real) and abs(penalty) < float("inf")):
                raise ConfigError(f"{name}.{key} is {penalty!r}; give a number")
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop
        stop = _tuple(name, "stop", stop, of="strings")
        if not all(isinstance(s, str) and s for s in stop):
            raise ConfigError(f"{name}.stop is {self.stop!r}; give non-empty strings")
        object.__setattr__(self, "stop", stop)
        tokens = _tuple(name, "stop_token_ids", self.stop_token_ids, of="token ids")
        tokens = tuple(_whole(name, "stop_token_ids", token, least=0) for token in tokens)
        object.__setattr__(self, "stop_token_ids", tokens)
        _flag(name, "ignore_eos", self.ignore_eos)

    @property
    def looks_at_logits(self) -> bool:
        """Whether the host must see a step's logits for this request (see ``adjust``)."""
        return (
            self.logprobs is not None
            or self.repetition_penalty != 1.0
            or any((self.min_tokens, self.min_p, self.presence_penalty, self.frequency_penalty))
        )
