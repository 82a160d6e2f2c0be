"""A session's files as asv and the tracker read them."""

from __future__ import annotations

import math

import pytest
from asv.results import Results

from benchmarks.gpu.asvfiles import CommitInfo, machine_name, write_asv_files
from tests.benchmarks.gpu.made import measurement, record
from tracker.asvfmt import read_benchmarks, read_machines, read_results_dir

COMMIT = CommitInfo("0123456789" * 4, 1_769_860_800)
FACTS = {"gpu_model": "NVIDIA H100 80GB HBM3", "cpu": "Xeon", "num_cpu": 16, "torch": "2.11.0"}
RATE = {"unit": "tokens/s", "better": "higher", "kind": "rate", "version": "3"}
RECORDS = [
    record("aa", "launch 01", measurement("bench_x.Q.track_t", 10.0, **RATE)),
    record("aa", "launch 02", measurement("bench_x.Q.track_t", 14.0, **RATE)),
    record("aa", "launch 03", measurement("bench_x.Q.track_t", 11.0, **RATE)),
    record(
        "kernels",
        "norm",
        measurement("bench_k.N.track_s", 0.5, params=(("rows", "1"), ("dtype", "'bf16'"))),
        measurement("bench_k.N.track_s", 0.7, params=(("rows", "8"), ("dtype", "'fp32'"))),
        measurement("bench_k.N.track_none", None),
    ),
]


@pytest.fixture
def written(tmp_path):
    write_asv_files(tmp_path, RECORDS, FACTS, COMMIT)
    return tmp_path


def test_a_device_is_named_as_a_folder():
    assert machine_name(FACTS) == "nvidia-h100-80gb-hbm3"
    assert machine_name({}) == "cpu"


def test_launches_are_the_samples_of_one_result(written):
    (file,) = read_results_dir(written)
    assert file.problems == ()
    assert file.commit == COMMIT.hash
    assert file.committed_at.timestamp() == COMMIT.time
    assert file.machine == "nvidia-h100-80gb-hbm3"
    assert file.requirements == {"torch": "2.11.0"}
    (one,) = [m for m in file.measurements if m.benchmark == "bench_x.Q.track_t"]
    assert one.value == 11.0
    assert tuple(one.samples) == (10.0, 14.0, 11.0)
    assert one.version == "3"


def test_points_never_measured_are_missing_and_never_zero(written):
    (file,) = read_results_dir(written)
    points = {m.params: m for m in file.measurements if m.benchmark == "bench_k.N.track_s"}
    values = {params: m.value for params, m in points.items()}
    assert values[("1", "'bf16'")] == 0.5
    assert values[("8", "'fp32'")] == 0.7
    assert set(values.values()) == {0.5, 0.7, None}
    (skipped,) = [m for m in file.measurements if m.benchmark == "bench_k.N.track_none"]
    assert (skipped.value, skipped.status) == (None, "skipped")


def test_benchmarks_and_machine_are_described(written):
    infos = read_benchmarks(written)
    assert infos.problems == ()
    rate = infos.infos["bench_x.Q.track_t"]
    assert (rate.unit, rate.better, rate.kind, rate.version) == ("tokens/s", "higher", "rate", "3")
    assert infos.infos["bench_k.N.track_s"].param_names == ("rows", "dtype")
    ((machine,), problems) = read_machines(written)
    assert problems == []
    assert (machine.name, machine.cpu, machine.num_cpu) == ("nvidia-h100-80gb-hbm3", "Xeon", "16")


def test_asv_itself_reads_them(written):
    (path,) = (written / "nvidia-h100-80gb-hbm3").glob("01234567-*.json")
    loaded = Results.load(str(path))
    assert loaded.commit_hash == COMMIT.hash
    assert loaded.get_result_value("bench_x.Q.track_t", []) == [11.0]
    assert loaded.get_result_samples("bench_x.Q.track_t", []) == [[10.0, 14.0, 11.0]]
    assert math.isnan(loaded.get_result_value("bench_k.N.track_none", [])[0])
