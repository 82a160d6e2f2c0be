"""Quality: does the model still say the same, on a fixed text? No clock is read; one launch decides.

With its own limit (``pacekeeper.toml``): an optimisation that changes what the model says blocks beside its speed.
"""

from __future__ import annotations

from benchmarks.engine.models import QWEN3_8B, SMOLLM2, TINY
from benchmarks.engine.quality import measure_quality, quality_suite


@quality_suite(TINY, version="1")
class QualityTiny:
    """The tiny preset; its dummy weights know no language, and its perplexity is that of chance."""

    def setup_cache(self):
        return measure_quality(self)


@quality_suite(SMOLLM2, version="1", max_num_seqs=8)
class QualitySmol:
    """SmolLM2-135M."""

    def setup_cache(self):
        return measure_quality(self)


@quality_suite(SMOLLM2, version="1", max_num_seqs=8, quantization="int8")
class QualitySmolInt8:
    """SmolLM2-135M in int8, against what it says in float32."""

    def setup_cache(self):
        return measure_quality(self)


@quality_suite(SMOLLM2, version="1", max_num_seqs=8, quantization="int4")
class QualitySmolInt4:
    """SmolLM2-135M in int4, against what it says in float32."""

    def setup_cache(self):
        return measure_quality(self)


@quality_suite(SMOLLM2, version="1", max_num_seqs=8, quantization="nf4")
class QualitySmolNf4:
    """SmolLM2-135M in NF4, against what it says in float32."""

    def setup_cache(self):
        return measure_quality(self)


@quality_suite(SMOLLM2, version="1", max_num_seqs=8, kv_dtype="int8")
class QualitySmolKvInt8:
    """SmolLM2-135M with keys and values in int8, against what it says in float32."""

    def setup_cache(self):
        return measure_quality(self)


@quality_suite(QWEN3_8B, version="1")
class QualityQwen8:
    """Qwen3-8B's shape on a GPU; nothing is recorded of its dummy weights, so perplexity alone."""

    def setup_cache(self):
        return measure_quality(self)
