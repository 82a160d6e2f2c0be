"""What importing the package loads, and what it exports."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import inference


def test_exactly_the_listed_names_are_exported() -> None:
    public = {
        name
        for name, value in vars(inference).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public - {"annotations"} == set(inference.__all__)
    assert len(set(inference.__all__)) == len(inference.__all__)


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


def test_the_import_is_light() -> None:
    loaded = loaded_after("import inference; inference.LLM, inference.SamplingParams(seed=1)")
    assert not loaded & {"torch", "transformers", "triton", "numpy", "safetensors"}


def test_a_preset_runs_without_transformers() -> None:
    code = """
from inference import LLM, EngineConfig, SamplingParams
LLM("tiny", EngineConfig(num_threads=1)).generate([[1, 2]], SamplingParams(max_tokens=2))
"""
    loaded = loaded_after(code)
    assert "torch" in loaded
    assert not loaded & {"transformers", "gguf"}
