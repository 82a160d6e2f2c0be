"""Ops and kernels of torch's profiler: which kernel got slower, is launched more often, was renamed?"""

import random

import pytest

from tests.tracker.explain.toy import toy_trace
from tracker.explain.analysis import explain
from tracker.explain.explanation import Cause, Explanation
from tracker.explain.ops import op_roots
from tracker.explain.trace import read_trace
from tracker.report.explanation import explanation_text

STEPS = 20
GEMM = ("aten::mm", [[8, 64], [64, 192]], "gemm_64x64", 100.0)
NORM = ("norm", [[8, 64]], "_norm_kernel", 10.0)
MUL = ("aten::mul", [[8, 64], [8, 64]], "elementwise", 3.0)


def cuda_events(ops, *, launch, syncs=0, registers=32):
    """A trace of STEPS steps: the host runs ahead, each op launches its kernels."""
    rng = random.Random(launch)
    events, at, device_at, correlation = [], 0.0, 0.0, 0

    def add(cat, name, ts, dur, tid, **arguments):
        events.append(
            {"ph": "X", "cat": cat, "name": name, "pid": 10, "tid": tid, "ts": ts, "dur": dur,
             "args": arguments}
        )  # fmt: skip

    for _ in range(STEPS):
        began = at
        for name, shapes, kernel, micros in ops:
            correlation += 1
            add("cpu_op", name, at, 8.0, 1, **{"Input Dims": shapes})
            add("cuda_runtime", "cudaLaunchKernel", at + 2, 3.0, 1, correlation=correlation)
            took = micros * rng.gauss(1, 0.02)
            add(
                "kernel", kernel, max(device_at, at + 20), took, 7,
                **{"correlation": correlation, "registers per thread": registers},
            )  # fmt: skip
            device_at = max(device_at, at + 20) + took
            at += 10
        for _ in range(syncs):
            add("cuda_runtime", "cudaStreamSynchronize", at, 5.0, 1)
            at += 6
        add("user_annotation", "step decode", began, at - began + 1, 1)
        at += 5
    return events


def explained(tmp_path, base, head):
    arms = []
    for name, arguments in (("base", base), ("head", head)):
        arms.append([])
        for pair in range(8):
            ops, more = arguments
            events = cuda_events(ops, launch=len(arms) * 100 + pair, **more)
            path = toy_trace(tmp_path / f"{name}{pair}", launch=pair, device_events=events)
            arms[-1].append(read_trace(path))
    return explain(*arms)


def test_a_slower_kernel_is_named_with_what_the_compiler_made_of_it(tmp_path):
    slower = (*GEMM[:3], 150.0)
    result = explained(tmp_path, ([GEMM, NORM, MUL], {}), ([slower, NORM, MUL], {"registers": 255}))
    (row,) = result.ops
    assert (row.where, row.what, row.is_certain) == ("gemm_64x64", "slower", True)
    assert row.code == "registers per thread 32 → registers per thread 255"
    assert row.seconds == pytest.approx(50e-6 * STEPS / 21, rel=0.05)
    assert row.calls == (STEPS / 21, STEPS / 21)
    text = explanation_text(
        Explanation("p", "m", "b" * 40, "h" * 40, "", "", Cause("code", ""), (result,))
    )
    assert "op or kernel" in text and "gemm_64x64" in text


def test_what_triton_made_of_a_kernel_stands_beside_it(tmp_path):
    """The autotuner chose another tile, and the kernel spills."""
    tiles = ("BLOCK: 64, num_warps: 4", "BLOCK: 256, num_warps: 4")
    arms = []
    for spills, tuned, micros in ((0, tiles[0], 100.0), (48, tiles[1], 150.0)):
        facts = {"compiled": {"gemm_64x64": {"registers": 255, "spills": spills, "tuned": tuned}}}
        ops = [(*GEMM[:3], micros), NORM, MUL]
        arms.append(
            [
                read_trace(
                    toy_trace(
                        tmp_path / f"{spills}-{pair}", launch=pair, facts=facts,
                        device_events=cuda_events(ops, launch=pair + spills),
                    )
                )
                for pair in range(8)
            ]
        )  # fmt: skip
    (row,) = explain(*arms).ops
    assert row.where == "gemm_64x64"
    assert row.code == "spills 0, tuned BLOCK: 64 → spills 48, tuned BLOCK: 256"


def test_launches_and_syncs_are_counted_exactly(tmp_path):
    result = explained(tmp_path, ([GEMM, NORM, MUL], {}), ([GEMM, NORM, *[MUL] * 8], {"syncs": 1}))
    assert result.counters["kernel launches"] == (3 * STEPS, 10 * STEPS)
    assert result.counters["host-device syncs"] == (0, STEPS)
    assert [row.is_exact for row in result.ops] == [True]
    assert result.ops[0].where == "aten::mul"
    assert result.ops[0].what == f"{STEPS} → {8 * STEPS} calls"


def test_a_renamed_kernel_is_the_same_kernel(tmp_path):
    renamed = (*NORM[:2], "_norm_kernel_fused", 10.0)
    result = explained(tmp_path, ([GEMM, NORM, MUL], {}), ([GEMM, renamed, MUL], {}))
    assert result.ops == () and result.counters == {}


def test_what_lies_in_no_step_and_an_empty_profile_give_nothing():
    events = [e for e in cuda_events([GEMM], launch=1) if e["cat"] != "user_annotation"]
    assert op_roots(events, "cuda") == () and op_roots([], "cpu") == ()


def test_on_a_cpu_an_op_has_its_own_time_without_that_of_its_children():
    events = [
        {"cat": "user_annotation", "name": "step decode", "pid": 1, "tid": 1, "ts": 0, "dur": 100},
        {
            "cat": "cpu_op",
            "name": "aten::linear",
            "pid": 1,
            "tid": 1,
            "ts": 10,
            "dur": 50,
            "args": {},
        },
        {"cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 20, "dur": 30, "args": {}},
    ]
    (root,) = op_roots(events, "cpu")
    assert {n.name: round(n.seconds[0] * 1e6) for n in root.walk()} == {
        "decode": 0, "aten::linear": 20, "aten::mm": 30,
    }  # fmt: skip
