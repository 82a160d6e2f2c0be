"""The registry: pairs of one signature, a choice made once, clear refusals, counted calls."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

from inference import BackendUnavailable
from inference.counters import Counters
from inference.ops import OPS, Op, OpSet, numpy_ops
from inference.ops.cpu import compiled_ops


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_each_op_states_its_cost_and_its_pair_has_one_signature(op: Op) -> None:
    doc = inspect.getdoc(op.reference)
    assert doc is not None
    assert "Cost:" in doc
    assert op.name == op.reference.__name__
    assert op.triton is not None
    module, _, function = op.triton.partition(":")
    kernel = getattr(importlib.import_module(module), function)
    assert inspect.signature(kernel) == inspect.signature(op.reference)
    if op.numpy:
        compiled = [compiled_ops] if op.name in compiled_ops.__all__ else []
        for module in (numpy_ops, *compiled):
            on_arrays = inspect.signature(getattr(module, op.name)).parameters
            assert list(on_arrays.values()) == [
                parameter.replace(annotation=on_arrays[name].annotation)
                for name, parameter in inspect.signature(op.reference).parameters.items()
            ]


def plain(x: int) -> int:
    return x


def other(x: int) -> int:
    return x + 1


def test_the_backend_is_chosen_once_and_recorded() -> None:
    pair = Op("pair", plain, f"{__name__}:other")
    lone = Op("lone", plain)
    on_cuda = OpSet([pair, lone], backend="auto", device="cuda")
    assert on_cuda.backends == {"pair": "triton", "lone": "reference"}
    assert on_cuda.pair(1) == 2
    on_cpu = OpSet([pair, lone], backend="auto", device="cpu")
    assert on_cpu.backends == {"pair": "reference", "lone": "reference"}
    assert on_cpu.pair(1) == 1
    by_name = OpSet([pair], backend="reference", device="cuda")
    assert by_name.backends == {"pair": "reference"}
    assert not by_name.on_arrays
    on_arrays = OpSet(OPS, backend="numpy", device="cpu")
    assert on_arrays.on_arrays
    assert {name for name, ran in on_arrays.backends.items() if ran != "numpy"} == {"sample"}
    compiled = OpSet(OPS, backend="compiled", device="cpu")
    assert compiled.on_arrays
    assert {n for n, ran in compiled.backends.items() if ran == "compiled"} == set(
        compiled_ops.__all__
    )
    with pytest.raises(BackendUnavailable, match="'lone'"):
        OpSet([pair, lone], backend="triton", device="cuda")


def test_triton_on_a_cpu_needs_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(BackendUnavailable, match="TRITON_INTERPRET=1"):
        OpSet(OPS, backend="triton", device="cpu")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert set(OpSet(OPS, backend="triton", device="cpu").backends.values()) == {"triton"}


def test_without_the_package_triton_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    for backend in ("triton", "auto"):
        with pytest.raises(BackendUnavailable, match="not installed"):
            OpSet(OPS, backend=backend, device="cuda")
    OpSet(OPS, backend="reference", device="cuda")


def test_the_reference_path_loads_no_triton() -> None:
    code = """
import sys
from inference.ops import OPS, OpSet
OpSet(OPS, backend="auto", device="cpu")
print("triton" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_calls_are_counted_and_reset() -> None:
    ops = OpSet([Op("same", plain)], backend="auto", device="cpu")
    for _ in range(3):
        ops.same(0)
    assert ops.calls == {"same": 3}
    counters = Counters()
    counters.register(ops.calls, ops.counters())
    assert counters.read() == {"op_calls.same": 3}
    counters.reset()
    assert ops.calls == {"same": 0}
    with pytest.raises(AttributeError, match="no op 'smae'; known: same"):
        ops.smae(0)
