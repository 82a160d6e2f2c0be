"""The data path: reading prompts, tokenizing, staging, the text of each new token."""

from __future__ import annotations

from benchmarks.engine.data_path import data_path_suite, measure_data_path
from benchmarks.engine.models import QWEN3_8B, SMOLLM2, TINY


@data_path_suite(TINY, version="1")
class DataTiny:
    """A tokenizer of 512 tokens, trained on the corpus."""

    def setup_cache(self):
        return measure_data_path(self)


@data_path_suite(SMOLLM2, version="1")
class DataSmol:
    """SmolLM2's tokenizer."""

    def setup_cache(self):
        return measure_data_path(self)


@data_path_suite(QWEN3_8B, version="1")
class DataCuda:
    """A tokenizer of 512 tokens; staging to a GPU, from pinned memory."""

    def setup_cache(self):
        return measure_data_path(self)
