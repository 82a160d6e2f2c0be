"""The kernel suite as far as a machine without a GPU can tell."""

import inspect

import pytest
import torch

from benchmarks import bench_kernels
from benchmarks.engine.kernel import artifact_header
from dashboard.utilization import kernels_of
from inference.ops import OPS

CLASSES = [cls for cls in vars(bench_kernels).values() if hasattr(cls, "op")]
OF_NAME = {op.name: op for op in OPS}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_call_is_one_of_its_op(cls):
    call = cls.call("meta")  # shapes alone
    inspect.signature(OF_NAME[cls.op].reference).bind(*call.args, **call.kwargs)
    tensors = [a for a in call.args if isinstance(a, torch.Tensor)]
    # No call moves less than it is given; caches are read or written in part, outputs come on top.
    assert call.num_bytes >= max(t.nbytes for t in tensors)
    assert call.num_bytes <= 2 * sum(t.nbytes for t in tensors)
    header = artifact_header(f"bench_kernels.{cls.__name__}", call, 1e-4, {})
    placed = kernels_of([header])  # what has arithmetic has a place on the dashboard's roofline
    assert placed == (
        {} if cls.op == "sample" else {cls.__name__: (1e-4, call.num_bytes, call.num_flops)}
    )


def test_every_kernel_that_a_decoder_layer_runs_is_timed():
    layer = {"add_rms_norm", "linear", "rope_store", "paged_attention", "linear_silu_mul"}
    assert layer <= {cls.op for cls in CLASSES}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: nothing is skipped")
def test_without_a_gpu_it_is_skipped_with_the_reason():
    instance = bench_kernels.AddRmsNorm()
    measured = instance.setup_cache()
    with pytest.raises(NotImplementedError, match="CUDA"):
        instance.setup(measured)
