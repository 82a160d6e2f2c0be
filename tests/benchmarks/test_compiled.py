"""What Triton says of its kernels, from objects of the shape that it makes (3.9)."""

import sys
from types import ModuleType, SimpleNamespace

from benchmarks.engine.compiled import compiled_kernels


def binary(name, registers, spills):
    metadata = SimpleNamespace(shared=49152, num_warps=8, num_stages=3)
    return SimpleNamespace(name=name, n_regs=registers, n_spills=spills, metadata=metadata)


def test_registers_spills_shared_memory_and_the_tuners_choice(monkeypatch):
    jitted = SimpleNamespace(
        device_caches={0: ({"k1": binary("_mm", 64, 0), "k2": binary("_mm", 255, 48)}, {}, None)}
    )
    unused = SimpleNamespace(device_caches={0: ({"k": binary("_unused", None, None)}, {})})
    tuner = SimpleNamespace(fn=jitted, cache={(64,): "BLOCK: 64", (128,): "BLOCK: 256"})
    module = ModuleType("kernels_of_test.ops")
    module.tuned, module.same, module.unused, module.other = tuner, jitted, unused, 7
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert compiled_kernels("kernels_of_test") == {
        "_mm": {
            "registers": 255, "spills": 48, "shared": 49152, "num_warps": 8, "num_stages": 3,
            "tuned": "BLOCK: 64; BLOCK: 256",
        }
    }  # fmt: skip
    assert compiled_kernels("never_imported") == {}
