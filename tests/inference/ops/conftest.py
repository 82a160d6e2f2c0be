"""Where kernels run in these tests, and what lies in memory that they have not written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch

# cuBLAS refuses deterministic mode, which fills fresh memory with NaN, without a fixed workspace.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Return the GPU where there is one, else the CPU, where Triton interprets its kernels."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def _poisoned() -> Iterator[None]:
    assert torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.fixture
def poisoned() -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which torch allocates NaN, or the largest integer, so that gaps show."""
    return _poisoned
