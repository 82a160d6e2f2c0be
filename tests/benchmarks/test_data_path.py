"""The data path on this machine, and what is skipped where something lacks."""

from __future__ import annotations

import sys

import pytest

from benchmarks.bench_data import DataCuda, DataTiny
from benchmarks.bench_startup import Tiny
from benchmarks.engine import data_path
from benchmarks.engine.in_process import Restarted
from tracker.load.run import run_scenario


def test_every_metric_has_a_value_and_arrow_none_without_pyarrow(monkeypatch):
    monkeypatch.setattr(data_path, "ROUNDS", 1)
    metrics = DataTiny().setup_cache()["metrics"]
    assert set(metrics) == {metric.name for metric in data_path.METRICS}
    assert all(value > 0 for value in metrics.values())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    without = data_path._loading(["a", "b"])
    assert without["load_rate_arrow"] is None
    assert without["load_rate_jsonl"] > 0


def test_rates_are_amounts_over_seconds(monkeypatch):
    class Tokenizer:
        def encode_batch(self, texts):
            return [type("Encoded", (), {"ids": text.split()}) for text in texts]

        def encode(self, text):
            return text.split()

        def decode(self, tokens):
            return " ".join(tokens)

    monkeypatch.setattr(data_path, "_seconds", lambda act: (act(), 0.5)[1])
    got = data_path._tokenizing(Tokenizer(), ["a b c", "d"])
    assert got == pytest.approx(
        {"tokenize_rate": 8.0, "tokenize_rate_single": 8.0, "detokenize_time_per_token": 0.5 / 3}
    )


def test_staging_to_a_gpu_is_skipped_without_one():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert "CUDA" in DataCuda().setup_cache()["skipped"]


def test_a_restart_in_a_warm_process_is_timed_apart(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_ARTIFACTS", raising=False)
    metrics = run_scenario("bench_startup.X", Tiny.work, Restarted).metrics
    assert metrics["warm_construct_time"] > 0
    assert metrics["capture_time"] is not None
    assert metrics["warm_first_token_time"] == metrics["ttft_p50"]
