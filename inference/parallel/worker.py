"""A rank other than 0: ``python -m inference.parallel.worker FD``; started by ``ranks.py`` alone."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch

from inference.checkpoint import load_for_engine
from inference.errors import InferenceError
from inference.model import Decoder
from inference.ops import OPS, OpSet
from inference.parallel.group import Group
from inference.parallel.part import part_of
from inference.parallel.ranks import LOADED, CacheSizes, Setup, StepInputs
from inference.parallel.stage import StageDecoder, as_tensor
from inference.runner import arrival_counters, kv_dtype_of, make_cache

__all__: list[str] = []


def main(descriptor: int) -> int:
    """Load this rank's part and compute steps until rank 0 closes the connection; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is rank 0's to answer
    connection = Connection(descriptor)
    try:
        _serve(connection)
    except (EOFError, ConnectionError):
        pass  # rank 0 is gone or has closed the engine
    except InferenceError as error:
        with suppress(ConnectionError):
            connection.send(f"{type(error).__name__}: {error}")
        return 1
    return 0


def _serve(connection: Connection) -> None:
    setup: Setup = connection.recv()
    torch.set_num_threads(setup.num_threads)
    device, dtype = torch.device(setup.device), getattr(torch, setup.dtype)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    ops = OpSet(OPS, backend=setup.backend, device=device.type)
    if ops.on_arrays:
        from inference.ops.numpy_ops import limit_threads

        limit_threads(setup.num_threads)
    group = Group(setup.rank, setup.config.num_ranks)
    model, weights, _ = load_for_engine(
        setup.model, setup.config, ops, dtype=dtype, device=device, group=group
    )
    connection.send(LOADED)
    sizes: CacheSizes = connection.recv()
    own = part_of(group, setup.config).shapes(model)
    pipelined = setup.config.pipeline_parallel > 1
    chunk = setup.config.mlp_chunk_size
    make_decoder = partial(StageDecoder, group) if pipelined else Decoder
    decoder = make_decoder(own, weights, ops, max_position=sizes.max_model_len, mlp_chunk=chunk)
    cache = make_cache(
        own,
        sizes.num_blocks,
        setup.config.block_size,
        dtype=kv_dtype_of(setup.config, ops, dtype),
        device=device,
        ops=ops,
    )
    group.connect(setup.meeting_place, device)

    def on_device(array: Any) -> Any:
        return torch.from_numpy(array).to(device)

    with torch.inference_mode(), arrival_counters(ops)():
        while True:
            step: StepInputs = connection.recv()
            tokens, positions, slots = map(on_device, (step.tokens, step.positions, step.slots))
            hidden = decoder.forward(tokens, positions, slots, cache, step.attention_plan(device))
            if pipelined:
                group.pass_on(as_tensor(hidden))
            elif step.samples:
                if step.sample_rows is not None:
                    hidden = hidden[decoder.held(on_device(step.sample_rows))]
                decoder.logits(hidden)  # rank 0 samples from the whole; here the part counts


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
