"""What Triton makes of the kernels for an H100: they compile, and read memory the fast way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.ops import OPS

ROOT = Path(__file__).parents[3]
WIDE_LOAD, WIDE_STORE, ASYNC_COPY = "ld.global.v4", "st.global.v4", "cp.async.cg"
TENSOR_CORE, WARPGROUP = "mma.sync", "wgmma.mma"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, int]]]:
    """Return, for each op, the instructions counted in each of its compiled kernels."""
    environment = {
        **os.environ,
        "TRITON_INTERPRET": "0",
        "TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton")),
    }
    instructions = [WIDE_LOAD, WIDE_STORE, ASYNC_COPY, TENSOR_CORE, WARPGROUP]
    done = subprocess.run(
        [sys.executable, "-m", "tests.inference.ops.compile_for_hopper", *instructions],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, int]]] = {op.name: [] for op in OPS}
    for line in done.stdout.splitlines():
        kernel = json.loads(line)
        found[kernel["op"]].append(kernel["found"])
    return found


def test_every_kernel_compiles(compiled: dict[str, list[dict[str, int]]]) -> None:
    assert all(compiled.values()), compiled


@pytest.mark.parametrize("op", ["embedding", "rms_norm", "add_rms_norm", "silu_mul", "rope_store"])
def test_memory_bound_kernels_move_16_bytes_a_thread(
    op: str, compiled: dict[str, list[dict[str, int]]]
) -> None:
    for found in compiled[op]:
        assert found[WIDE_LOAD], found
        assert found[WIDE_STORE], found


@pytest.mark.parametrize("op", ["linear", "linear_silu_mul", "paged_attention"])
def test_tiles_are_copied_ahead_and_multiplied_on_tensor_cores(
    op: str, compiled: dict[str, list[dict[str, int]]]
) -> None:
    for found in compiled[op]:
        assert found[ASYNC_COPY], found
        assert found[TENSOR_CORE] or found[WARPGROUP], found
