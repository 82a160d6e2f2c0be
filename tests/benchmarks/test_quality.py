"""Quality by hand, and that a change of the model's answers is seen."""

from __future__ import annotations

import math

import pytest

from benchmarks.bench_quality import QualityTiny
from benchmarks.engine import quality
from benchmarks.engine.models import SMOLLM2
from benchmarks.engine.quality import scores


def test_scores_of_four_places_by_hand():
    logprobs = [math.log(p) for p in (0.5, 0.25, 0.5, 0.25)]
    assert scores([1, 2, 3, 4], logprobs, [1, 2, 3, 9]) == pytest.approx(
        {"perplexity": math.sqrt(8), "top1_agreement": 0.75}
    )
    assert scores([1], [0.0], None) == {"perplexity": 1.0, "top1_agreement": None}
    with pytest.raises(ValueError, match=r"2 places were recorded and 1 measured.*quality"):
        scores([1], [0.0], [1, 2])


def test_an_unchanged_engine_agrees_with_what_was_recorded_and_a_changed_one_does_not():
    instance = QualityTiny()
    measured = instance.setup_cache()
    assert measured["metrics"]["top1_agreement"] == 1.0
    assert measured["metrics"]["perplexity"] == pytest.approx(512, rel=0.5), "as chance among 512"
    assert QualityTiny().setup_cache() == measured, "exact"
    instance.engine = {"quantization": "int4"}
    coarser = instance.setup_cache()["metrics"]
    assert coarser["perplexity"] != measured["metrics"]["perplexity"]
    assert coarser["top1_agreement"] < 0.99


def test_weights_that_were_never_fetched_are_skipped(monkeypatch, tmp_path):
    monkeypatch.setenv("PACEKEEPER_CACHE", str(tmp_path))
    monkeypatch.setattr(QualityTiny, "model", SMOLLM2)
    assert "fetch_smollm" in QualityTiny().setup_cache()["skipped"]
    assert quality.RECORDED.is_dir()
