"""One step's inputs as one block of memory: packed on the host, copied to the device at once.

The arrays of a step are ranges of one buffer that lives as long as the engine. So a step allocates
nothing, its inputs cross to the device in a single transfer, and they lie at the same addresses
every time, as CUDA graphs need. On a CPU the host's buffer is the device's: nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Block", "Sizes", "Staging"]

_CPU = torch.device("cpu")
_OF_TOKENS = ("tokens", "positions", "slots")
_OF_SAMPLES = ("sample_rows", "sample_lanes", "sample_positions", "seeds")
_OF_SAMPLES_NARROW = (
    ("top_k", torch.int32),
    ("temperature", torch.float32),
    ("top_p", torch.float32),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The most a block holds: tokens, rows, blocks of a row's table, and tokens sampled.

    ``samples`` counts only what exceeds one for each row: 0 is as many as rows.
    """

    tokens: int
    rows: int
    blocks: int
    samples: int = 0

    def hold(self, other: Sizes) -> bool:
        """Whether a step of the other sizes fits."""
        return (
            other.tokens <= self.tokens
            and other.rows <= self.rows
            and other.blocks <= self.blocks
            and other.samples <= max(self.samples, self.rows)
        )


class Block:
    """The arrays of one step, as ranges of one buffer.

    Args:
        sizes: Its capacity.
        device: Where it lies.
        pin: Page-locked, so that a transfer need not wait for the host.

    Attributes:
        arrays: By name, the memory as NumPy arrays at full size; empty on a device.
    """

    def __init__(self, sizes: Sizes, device: torch.device, *, pin: bool = False) -> None:
        samples = max(sizes.rows, sizes.samples)
        # In order of width, so that every array is aligned; the block tables come last.
        layout = [
            *((name, torch.int64, sizes.tokens) for name in _OF_TOKENS),
            *((name, torch.int64, samples) for name in _OF_SAMPLES),
            ("lanes", torch.int64, sizes.rows),
            ("context_lens", torch.int32, sizes.rows),
            *((name, dtype, samples) for name, dtype in _OF_SAMPLES_NARROW),
            ("query_starts", torch.int32, sizes.rows + 1),
            ("block_tables", torch.int32, sizes.rows * sizes.blocks),
        ]
        num_bytes = sum(dtype.itemsize * count for _, dtype, count in layout)
        data = torch.zeros(num_bytes, dtype=torch.uint8, device=device, pin_memory=pin)
        self._tensors = {"data": data}
        self._views: dict[tuple[str, int], Tensor] = {}
        at = 0
        for name, dtype, count in layout:
            end = at + dtype.itemsize * count
            self._tensors[name] = data[at:end].view(dtype)
            self._num_fixed_bytes = at  # ends up where the block tables begin
            at = end
        on_host = device.type == "cpu"
        self.arrays = {k: t.numpy() for k, t in self._tensors.items()} if on_host else {}

    def first(self, name: str, count: int) -> Tensor:
        """Return the first ``count`` elements of an array; the same tensor whenever asked again."""
        key = (name, count)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = self._tensors[name][:count]
        return view

    def used(self, num_entries: int) -> Tensor:
        """Return the bytes up to the first ``num_entries`` entries of the block tables."""
        return self.first("data", self._num_fixed_bytes + 4 * num_entries)


class Staging:
    """A block on the host and the block on the device that receives its copy.

    Args:
        sizes: Of most steps; a larger step gets blocks of its own.
        device: Where the steps run.
        persistent: Off, every step gets blocks of its own, pageable on the host.
    """

    def __init__(self, sizes: Sizes, device: torch.device, *, persistent: bool = True) -> None:
        self._device = device
        self._sizes = sizes if persistent else Sizes(0, 0, 0)
        on_host = device.type == "cpu"
        self._host = Block(self._sizes, _CPU, pin=not on_host)
        self._on_device = self._host if on_host else Block(self._sizes, device)
        self._sent = None if on_host else torch.cuda.Event()

    def block(self, sizes: Sizes) -> Block:
        """Return the host's block, free to be packed with a step of those sizes."""
        if not self._sizes.hold(sizes):
            return Block(sizes, _CPU)
        if self._sent is not None:
            # Hardly a wait: the last transfer was begun a step ago.
            self._sent.synchronize()
        return self._host

    def send(self, host: Block, sizes: Sizes) -> Block:
        """Copy what was packed for a step of those sizes to the device; return it there."""
        if self._sent is None:
            return host
        source = host.used(sizes.rows * sizes.blocks)
        if host is not self._host:
            device_block = Block(sizes, self._device)
            device_block.used(sizes.rows * sizes.blocks).copy_(source)
            return device_block
        self._on_device.used(sizes.rows * sizes.blocks).copy_(source, non_blocking=True)
        self._sent.record()
        return self._on_device
