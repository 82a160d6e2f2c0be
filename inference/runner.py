"""The device side of the engine: weights, KV cache, and one step on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from inference.adjust import adjust, logprobs
from inference.architecture import ModelConfig
from inference.batch import Batch, BatchBuilder
from inference.config import EngineConfig
from inference.errors import BackendUnavailable, CacheTooSmall, ConfigError
from inference.graphs import DecodeGraphs, can_capture, cuda_capture, padded, padded_sizes
from inference.host_tier import BlockCopy
from inference.model import Decoder, KVCache
from inference.ops import OpSet
from inference.ops.cpu.compilation import load
from inference.ops.cpu_matrices import is_available
from inference.ops.kv_rows import SCALE_BYTES, row_width
from inference.ops.registry import ON_ARRAYS
from inference.ops.scaled_matrix import few_bits
from inference.request import Request, TokenLogprobs
from inference.scheduler import Step
from inference.staging import Sizes
from inference.weights import ModelWeights

__all__ = [
    "Enqueued",
    "ModelRunner",
    "arrival_counters",
    "backend_of",
    "device_of",
    "dtype_of",
    "kv_dtype_of",
    "make_cache",
]

_MAX_CPU_CACHE_BYTES = 2**30
_CUDA_FREE_SHARE = 0.8


@dataclass(slots=True, eq=False)
class Enqueued:
    """A step under way.

    Attributes:
        step: What was enqueued.
        sampled: Requests that get a token.
        num_lanes: Tokens computed, padding included.
        num_kv_read: KV positions that attention reads, padding included.
        logprobs: Of the requests that ask for them.
    """

    step: Step
    sampled: list[Request]
    num_lanes: int
    num_kv_read: int
    logprobs: list[tuple[Request, TokenLogprobs]]
    _tokens: list[int] | _OnTheWay

    def tokens(self) -> list[int]:
        """Wait for the tokens of ``sampled``; -1 where the logits were not finite."""
        return self._tokens if isinstance(self._tokens, list) else self._tokens.wait()


class _OnTheWay:
    """Tokens that a CUDA device copies to the host, without the host waiting for them."""

    def __init__(self, tokens: Tensor) -> None:
        self._home = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
        self._home.copy_(tokens, non_blocking=True)
        # Blocking: a host that waits leaves its core to others.
        self._arrived = torch.cuda.Event(blocking=True)
        self._arrived.record()

    def wait(self) -> list[int]:
        self._arrived.synchronize()
        tokens: list[int] = self._home.tolist()
        return tokens


class ModelRunner:
    """Runs steps of one model on one device.

    ``mend`` says what makes an engine work again that is no longer alive.

    Args:
        model: Shapes and flags.
        weights: Filled, on the device.
        ops: The implementations chosen for the engine.
        config: Cache size, buckets.
        max_model_len: Longest sequence, tokens.

    Raises:
        CacheTooSmall: ``kv_cache_bytes`` does not hold one block.
    """

    mend = "this process cannot use the device any more; start a new process"

    def __init__(
        self,
        model: ModelConfig,
        weights: ModelWeights,
        ops: OpSet,
        config: EngineConfig,
        *,
        max_model_len: int,
    ) -> None:
        self.config = config
        self.weights = weights
        self.device = weights.embedding.device
        self.dtype = weights.embedding.dtype
        self.kv_dtype = kv_dtype_of(config, ops, self.dtype)
        self.ops = ops
        self.decoder = Decoder(
            model, weights, ops, max_position=max_model_len, mlp_chunk=config.mlp_chunk_size
        )
        kv_row = row_width(model.head_dim, self.kv_dtype)
        if kv_row != model.head_dim and model.head_dim % SCALE_BYTES:
            raise ConfigError(
                f"kv_dtype={config.kv_dtype!r} does not fit heads of {model.head_dim} channels; they "
                f"go by {SCALE_BYTES}"
            )
        self.kv_row_bytes = kv_row * self.kv_dtype.itemsize
        rows = 2 * model.num_layers * config.block_size * model.num_kv_heads
        block_bytes = rows * self.kv_row_bytes
        self.num_blocks = self._count_blocks(block_bytes, max_model_len)
        self._eos = model.eos_token_ids
        self._own_counters = arrival_counters(ops)
        self._logprobs: list[tuple[Request, TokenLogprobs]] = []  # of the step being computed
        self._pads_attention = ops.backends["paged_attention"] not in ("triton", "compiled")
        self.overlap = overlaps(config, self.device)
        self.graphs: DecodeGraphs | None = None
        one_device = config.num_ranks == 1
        in_place = config.enable_cuda_graphs and config.enable_staging and one_device
        if in_place and can_capture(ops, self.device):
            self.graphs = DecodeGraphs(self._sample, ops, cuda_capture())
        sizes = Sizes(
            tokens=config.max_num_batched_tokens,
            rows=config.max_num_seqs,
            blocks=-(-max_model_len // config.block_size),
            samples=config.max_num_seqs * (1 + config.max_draft_tokens) if config.drafts else 0,
        )
        self._sizes = sizes
        self._batches = BatchBuilder(
            sizes,
            block_size=config.block_size,
            length_buckets=config.enable_length_buckets,
            persistent=config.enable_staging,
            device=self.device,
            padded=None if self.graphs is None else partial(padded, limit=sizes),
        )
        # The token sampled last in each lane, and in one for padding, where steps overlap.
        self._latest: Tensor | None = None
        if self.overlap:
            self._latest = torch.zeros(sizes.rows + 1, dtype=torch.int64, device=self.device)
        self.cache = make_cache(
            model, self.num_blocks, config.block_size, dtype=self.kv_dtype, device=self.device, ops=ops
        )  # fmt: skip
        self.num_host_blocks = _count_host_blocks(config, block_bytes)
        self._host_cache: Tensor | None = None  # [blocks, layers, 2, block_size, kv_heads, row]
        if self.num_host_blocks:
            layers, two, _, *each = self.cache.data.shape
            self._host_cache = torch.empty(
                (self.num_host_blocks, layers, two, *each),
                dtype=self.kv_dtype,
                pin_memory=self.device.type == "cuda",
            )

    def warm_up(self) -> None:
        """Capture every size of a decoding step, so that no request waits for it."""
        if self.graphs is not None:
            with torch.inference_mode(), self._own_counters():
                for sizes in padded_sizes(self._sizes):
                    batch = self._batches.padding(sizes)
                    batch.has_pending = self._latest is not None
                    self.graphs.warm_up(batch)

    def close(self) -> None:
        """Drop the references back to the runner, so that its memory is freed with it."""
        self.graphs = None

    def is_alive(self) -> bool:
        """Whether the device still computes: some CUDA errors end a process's use of it."""
        if self.device.type != "cuda":
            return True
        try:
            torch.cuda.synchronize(self.device)
        except RuntimeError:
            return False
        return True

    def copy_blocks(self, copies: Sequence[BlockCopy]) -> None:
        """Enqueue copies between the device's cache and the host's, in order, before the next step."""
        assert self._host_cache is not None, "copies are ordered only where there is a host cache"
        for copy in copies:
            on_device, on_host = self.cache.data[:, :, copy.block], self._host_cache[copy.slot]
            if copy.to == "host":
                on_host.copy_(on_device, non_blocking=True)
            else:
                on_device.copy_(on_host, non_blocking=True)

    def enqueue(self, step: Step) -> Enqueued:
        """Begin to compute a step's KV, and to sample where a sequence is complete."""
        with torch.inference_mode(), self._own_counters():
            return self._enqueue(step)

    def _enqueue(self, step: Step) -> Enqueued:
        batch = self._batches.build(step)
        tokens: list[int] | _OnTheWay = []
        self._logprobs = []
        if not batch.sampled:
            self._forward(batch)
        else:
            if self.graphs is None or batch.sample_rows is not None or batch.looked_at:
                sampled = self._sample(batch)
            else:
                # The same kernels whether or not this step has any.
                batch.has_pending = self._latest is not None
                sampled = self.graphs.run(batch)[: len(batch.sampled)]  # the rest is padding
            # From a CPU at once: the next step may write to them before they are asked for.
            tokens = _OnTheWay(sampled) if sampled.is_cuda else sampled.tolist()
            for request in batch.sampled:
                request.num_pending += 1
        return Enqueued(
            step=step,
            sampled=batch.sampled,
            num_lanes=batch.num_lanes,
            num_kv_read=batch.plan.num_kv_read(padded=self._pads_attention),
            logprobs=self._logprobs,
            _tokens=tokens,
        )

    def _sample(self, batch: Batch) -> Tensor:
        """Return a token for each of the batch's sampled rows, on the device."""
        hidden = self._forward(batch)
        # Only rows that yield a token meet the vocabulary: it is the widest matrix of all.
        if batch.sample_rows is not None:
            hidden = hidden[self.decoder.held(batch.sample_rows)]
        logits = own = self.decoder.logits(hidden)
        if batch.looked_at:
            logits = adjust(own, batch.looked_at, batch.sampled, self._eos)
        tokens: Tensor = self.ops.sample(logits, *batch.sampling)
        if batch.looked_at:
            self._logprobs = logprobs(own, batch.looked_at, batch.sampled, tokens)
        if self._latest is not None:
            self._latest.index_copy_(0, batch.sample_lanes, tokens)
        return tokens

    def _forward(self, batch: Batch) -> Any:
        if batch.has_pending:
            assert self._latest is not None, "tokens are pending only where steps overlap"
            own = batch.tokens[: len(batch.lanes)]
            # -1 where the logits were not finite: that row has ended, and any token will do.
            latest = self._latest[batch.lanes].clamp_(min=0)
            own.copy_(torch.where(own < 0, latest, own))
        return self.decoder.forward(
            batch.tokens, batch.positions, batch.slots, self.cache, batch.plan
        )

    def _count_blocks(self, block_bytes: int, max_model_len: int) -> int:
        config = self.config
        if config.num_blocks is not None:
            return config.num_blocks
        if config.kv_cache_bytes is not None:
            num_blocks = config.kv_cache_bytes // block_bytes
            if num_blocks == 0:
                raise CacheTooSmall(
                    f"kv_cache_bytes={config.kv_cache_bytes} holds no block of {block_bytes} "
                    "bytes; raise it or lower block_size"
                )
            return num_blocks
        limit = _MAX_CPU_CACHE_BYTES
        if self.device.type == "cuda":
            limit = int(torch.cuda.mem_get_info(self.device)[0] * _CUDA_FREE_SHARE)
        wanted = config.max_num_seqs * -(-max_model_len // config.block_size)
        return max(1, min(wanted, limit // block_bytes))


def _count_host_blocks(config: EngineConfig, block_bytes: int) -> int:
    if config.host_cache_bytes is None:
        return 0
    if config.host_cache_bytes < block_bytes:
        raise CacheTooSmall(
            f"host_cache_bytes={config.host_cache_bytes} holds no block of {block_bytes} bytes; "
            "raise it or lower block_size"
        )
    return config.host_cache_bytes // block_bytes


def make_cache(
    model: ModelConfig,
    num_blocks: int,
    block_size: int,
    *,
    dtype: torch.dtype,
    device: torch.device,
    ops: OpSet,
) -> KVCache:
    """Return an empty cache of the model's shapes."""
    row = row_width(model.head_dim, dtype)
    shape = (model.num_layers, 2, num_blocks, block_size, model.num_kv_heads, row)
    # Zeros, not empty: on a CPU the pages are mapped only when first written either way.
    return KVCache(torch.zeros(shape, dtype=dtype, device=device), on_arrays=ops.on_arrays)


def arrival_counters(ops: OpSet) -> Callable[[], AbstractContextManager[None]]:
    """Return the context in which an engine's kernels run, with arrival counters of its own."""
    if "triton" not in ops.backends.values():
        return nullcontext
    from inference.ops.triton.arrival import counters_of_one_engine

    return partial(counters_of_one_engine, {})


def overlaps(config: EngineConfig, device: torch.device) -> bool:
    """Whether a step is enqueued before the one before it is read."""
    if config.enable_overlap is not None:
        return config.enable_overlap
    if config.num_ranks > 1:  # the other ranks get a step's tokens from the host
        return False
    if config.drafts:  # guesses follow the token before, which must be known
        return False
    return device.type == "cuda" and config.batching == "continuous"


def device_of(config: EngineConfig) -> torch.device:
    """Return the requested device; CUDA is probed by this call, not at import.

    Raises:
        BackendUnavailable: CUDA was asked for and there is none.
    """
    if config.device == "cpu":
        return torch.device("cpu")
    has_cuda = torch.cuda.is_available()
    if config.device == "cuda" and not has_cuda:
        raise BackendUnavailable("device='cuda': torch finds no CUDA device; use device='cpu'")
    return torch.device("cuda", torch.cuda.current_device()) if has_cuda else torch.device("cpu")


def dtype_of(config: EngineConfig, device: torch.device) -> torch.dtype:
    """Return the dtype asked for; auto is float32 on a CPU, bfloat16 on CUDA."""
    if config.dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, config.dtype)
    return dtype


def kv_dtype_of(config: EngineConfig, ops: OpSet, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the KV cache."""
    if config.kv_dtype is not None:
        return few_bits[config.kv_dtype]
    return torch.float32 if ops.on_arrays else dtype


def backend_of(
    config: EngineConfig, device: torch.device, dtype: torch.dtype
) -> tuple[str, str | None]:
    """Return the backend asked for, and why auto takes NumPy's ops where it would take compiled ones.

    Raises:
        BackendUnavailable: NumPy or compiled ops were asked for and do not suit.
    """
    packed = config.quantization is not None or (config.enable_cpu_layout and is_available())
    suits = device.type == "cpu" and (dtype is torch.float32 or packed)
    if config.kv_dtype == "fp8":  # NumPy knows no float8
        if config.backend in ON_ARRAYS:
            raise BackendUnavailable(
                f"backend={config.backend!r} has no kv_dtype='fp8'; use 'int8' or backend='auto'"
            )
        suits = False
    if config.backend in ON_ARRAYS and not suits:
        raise BackendUnavailable(
            f"backend={config.backend!r} runs on a CPU, on matrices in float32 or packed "
            f"(enable_cpu_layout), not on {device.type} in {str(dtype).removeprefix('torch.')}; use "
            "backend='auto'"
        )
    one_thread = torch.get_num_threads() == 1
    if config.backend == "compiled":
        if not one_thread:
            raise BackendUnavailable("backend='compiled' runs on one thread; use num_threads=1")
        load()
    if config.backend != "auto" or not suits or not one_thread:
        return config.backend, None
    try:
        load()
    except BackendUnavailable as error:
        return "numpy", str(error)
    return "compiled", None
