"""Ops compiled for this CPU: exact products, the same in any batch, and said where they are not there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import LLM, BackendUnavailable, EngineConfig, SamplingParams
from inference.ops.cpu import compilation
from inference.ops.cpu.packed_matrix import PackedFloat, PackedInt4, PackedInt8, PackedNf4

MAKERS = {
    "float32": (PackedFloat, torch.float32, 1, 1e-6),
    "bfloat16": (PackedFloat, torch.bfloat16, 1, 1e-6),
    "int8": (PackedInt8, torch.float32, 1, 0.015),
    "int4": (PackedInt4, torch.float32, 32, 0.2),
    "nf4": (PackedNf4, torch.float32, 32, 0.2),
}


@pytest.fixture(params=MAKERS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(list(MAKERS)),
    out=st.integers(1, 70),
    width=st.integers(1, 70),
    rows=st.integers(1, 30),
    seed=st.integers(0, 2**31),
)
def test_a_product_of_any_shape_is_the_exact_one(
    kind: str, out: int, width: int, rows: int, seed: int
) -> None:
    make, dtype, multiple, bound = MAKERS[kind]
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, width * multiple, generator=generator).to(dtype)
    x = torch.randn(rows, width * multiple, generator=generator)
    got = make(compilation.load(), weight).multiply_array(x.numpy())
    assert got.shape == (rows, out)
    exact = x.double() @ weight.double().T
    # Against the size of the sums, not of their result: a few values may cancel out.
    size = (x.double().norm(dim=1)[:, None] * weight.double().norm(dim=1)[None]).numpy()
    assert (np.abs(got - exact.numpy()) <= bound * size).all()


@pytest.mark.parametrize("march", ["x86-64-v2", "haswell", "skylake-avx512"])
def test_cpus_with_fewer_instructions_get_the_same_products(
    march: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without VNNI, without AVX-512, without AVX: other widths of registers, other integer products."""
    if march == "skylake-avx512" and "avx512bw" not in compilation._instructions():
        pytest.skip("this CPU has no AVX-512")
    flags = [flag if flag != "-march=native" else f"-march={march}" for flag in compilation._FLAGS]
    monkeypatch.setattr(compilation, "_FLAGS", flags)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lesser = compilation.load.__wrapped__()
    x = np.random.default_rng(0).normal(size=(29, 96)).astype(np.float32)
    weight = torch.randn(70, 96)
    for make, dtype, *_ in MAKERS.values():
        ours, theirs = (
            make(which, weight.to(dtype)).multiply_array(x)
            for which in (lesser, compilation.load())
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_row_is_the_same_to_the_last_bit_in_any_batch(kind: str) -> None:
    make, dtype, _, _ = MAKERS[kind]
    matrix = make(compilation.load(), torch.randn(80, 96).to(dtype))
    x = np.random.default_rng(0).normal(size=(200, 96)).astype(np.float32)
    together = matrix.multiply_array(x)
    for rows in (slice(3, 4), slice(0, 2), slice(90, 103)):
        np.testing.assert_array_equal(matrix.multiply_array(x[rows]), together[rows])


def test_without_a_compiler_the_engine_says_so_and_gives_the_same_tokens(
    oracle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = oracle("llama")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(compilation, "load", compilation.load.__wrapped__)
    monkeypatch.setattr("inference.runner.load", compilation.load)
    llm = LLM(case.directory, EngineConfig(block_size=4, num_threads=1))
    assert llm.describe()["backends"]["linear"] == "numpy"
    assert llm.describe()["fallback"] == "no C++ compiler (c++, g++, clang++) on the path"
    with pytest.raises(BackendUnavailable, match="no C"):
        LLM(case.directory, EngineConfig(block_size=4, num_threads=1, backend="compiled"))
    outputs = llm.generate(case.prompts, SamplingParams(max_tokens=len(case.expected[0])))
    assert [output.token_ids for output in outputs] == case.expected


def test_a_compiler_that_fails_is_named_with_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "no such option" >&2\nexit 1\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(BackendUnavailable, match=r"c\+\+: no such option"):
        compilation.load.__wrapped__()
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_an_unusable_cache_is_passed_over_and_nowhere_to_write_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert compilation.load.__wrapped__().panel_width > 0
    assert list(tmp_path.glob("pacekeeper-*/*.so"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(BackendUnavailable, match=r"nowhere to put the compiled ops: .*file"):
        compilation.load.__wrapped__()


def test_processes_that_compile_at_once_share_one_result(tmp_path: Path) -> None:
    code = "from inference.ops.cpu.compilation import load; load()"
    environment = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=Path.cwd())
        for _ in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    (made,) = (tmp_path / "pacekeeper").iterdir()
    before = made.stat().st_mtime_ns
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert made.stat().st_mtime_ns == before
