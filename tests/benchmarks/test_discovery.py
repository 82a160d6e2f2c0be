"""What asv itself makes of the suites; and that finding them loads nothing heavy."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bench_data, bench_host, bench_kernels, bench_quality
from benchmarks.engine.find import scenarios, suites
from tracker.gate.limits import DEFAULT_LIMITS
from tracker.load import utilization
from tracker.load.scenario import describe
from tracker.load.suite import benchmark_name

ROOT = Path(__file__).parents[2]
MADE_BY_TRACK = re.compile(r"^(?!bench_batching\.)\w+\.Tiny")  # .ci/track
VERSIONS = Path(__file__).with_name("scenario_versions.json")

LIST = """
import importlib, json, sys, time
from asv_runner._aux import update_sys_path
from asv_runner.discovery import disc_benchmarks
before = set(sys.modules)
began = time.perf_counter()
update_sys_path(sys.argv[1])
found = [b for b in disc_benchmarks(sys.argv[1]) if b is not None]
seconds = time.perf_counter() - began
heavy = [m for m in ("torch", "inference", "numpy", "transformers", "pynvml", "aiohttp") if m in set(sys.modules) - before]
harness = tuple(f"tracker.{name}" for name in ("load", "domain", "errors", "fingerprint"))
beside = [m for m in sys.modules if m.startswith("tracker.") and not m.startswith(harness)]
keep = ("name", "version", "unit", "better", "kind", "type", "timeout", "setup_cache_key",
        "setup_cache_timeout", "pretty_name")
plain = [{k: getattr(b, k, None) for k in keep} for b in found]
checks = [b.check(sys.argv[1]) for b in found]
print(json.dumps({"found": plain, "heavy": heavy, "beside": beside, "seconds": seconds, "ok": all(checks)}))
"""


@pytest.fixture(scope="module")
def discovered():
    done = subprocess.run(
        [sys.executable, "-c", LIST, str(ROOT / "benchmarks")],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return json.loads(done.stdout)


def test_discovery_loads_nothing_heavy(discovered):
    assert discovered["heavy"] == []


def test_discovery_loads_no_part_of_the_tracker_but_the_load_harness(discovered):
    # Whatever else is imported is another commit's code to the launches of this repository.
    assert discovered["beside"] == []


def test_asv_accepts_every_signature(discovered):
    assert discovered["ok"]


def test_every_benchmark_says_what_it_measures(discovered):
    assert len(discovered["found"]) > 100
    for benchmark in discovered["found"]:
        assert benchmark["type"] == "track", benchmark
        assert benchmark["version"].count(".") == 1, benchmark
        assert benchmark["unit"] not in (None, "", "unit"), benchmark
        assert benchmark["better"] in ("lower", "higher"), benchmark
        assert benchmark["kind"] in (
            "timing", "rate", "utilization", "energy", "exact", "other",
        ), benchmark  # fmt: skip
        assert benchmark["pretty_name"], benchmark
        assert benchmark["setup_cache_timeout"] > 60, benchmark
        assert benchmark["timeout"], benchmark


def test_every_class_has_a_cache_of_its_own(discovered):
    keys = {}
    for benchmark in discovered["found"]:
        owner = benchmark["name"].rpartition(".")[0]
        keys.setdefault(benchmark["setup_cache_key"], set()).add(owner)
    assert all(len(owners) == 1 for owners in keys.values())
    kernels = {benchmark_name(cls) for cls in vars(bench_kernels).values() if hasattr(cls, "op")}
    hosts = {benchmark_name(cls) for cls in (bench_host.TinyB1, bench_host.TinyB32)}
    others = {
        benchmark_name(cls)
        for module in (bench_data, bench_quality)
        for cls in vars(module).values()
        if isinstance(cls, type)
    }
    owners = {owner for names in keys.values() for owner in names}
    assert owners == set(suites()) | kernels | hosts | others


def test_nothing_but_suites_is_taken_for_a_benchmark(discovered):
    assert all(b["name"].startswith("bench_") for b in discovered["found"])


def test_a_class_judges_a_sensible_number_of_metrics(discovered):
    counts = {}
    for benchmark in discovered["found"]:
        owner, _, name = benchmark["name"].rpartition(".")
        if name.removeprefix("track_") in (*utilization.NAMES, *utilization.ON_GPU):
            continue  # shown, without a vote
        counts[owner] = counts.get(owner, 0) + 1
    assert max(counts.values()) <= 14
    assert max(n for owner, n in counts.items() if "Tiny" in owner) <= 12


def test_nothing_that_a_ragged_batch_keeps_constant_is_judged(discovered):
    # Padded batches, and what they are compared with, are the exception.
    names = [b["name"] for b in discovered["found"] if not b["name"].startswith("bench_batching.")]
    judged = {name.rpartition("track_")[2] for name in names}
    assert "attention_efficiency" in judged
    assert not judged & {"batching_efficiency", "padded_tokens"}


def test_scenarios_of_a_serving_team_are_held_to_what_a_user_may_experience(discovered):
    published = {}
    for benchmark in discovered["found"]:
        owner, _, name = benchmark["name"].rpartition(".track_")
        published.setdefault(owner, set()).add(name)
    of_team = {
        o: names for o, names in published.items() if o.startswith(("bench_sweep", "bench_team"))
    }
    assert len(of_team) > 30
    for owner, names in of_team.items():
        for metric in ("ttft_p50", "tpot_p50", "error_rate"):
            assert metric in names, owner
            assert any(limit.applies(f"{owner}.track_{metric}(8)", "s" if metric != "error_rate" else "1")
                       for limit in DEFAULT_LIMITS)  # fmt: skip
    assert not any(MADE_BY_TRACK.search(owner) for owner in of_team), "make track stays short"


def test_changed_work_raises_its_version():
    """A scenario that changes under one version would join two kinds of work in one series.

    After a deliberate change: raise the scenario's version, then write the digests anew with
    ``python -m tests.benchmarks.test_discovery``.
    """
    recorded = json.loads(VERSIONS.read_text())
    assert digests() == recorded


def digests():
    made = {}
    for name, scenario in scenarios().items():
        plain = describe(scenario)
        version = plain.pop("version")
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
        made[name] = f"{version} {digest[:16]}"
    return dict(sorted(made.items()))


@pytest.mark.e2e
def test_asv_runs_a_suite_and_keeps_its_numbers(tmp_path):
    config = {
        **json.loads((ROOT / "asv.conf.json").read_text()),
        "repo": str(ROOT),
        "benchmark_dir": str(ROOT / "benchmarks"),
        "results_dir": str(tmp_path / "results"),
        "html_dir": str(tmp_path / "html"),
        "env_dir": str(tmp_path / "env"),
    }
    path = tmp_path / "asv.conf.json"
    path.write_text(json.dumps(config))
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "PACEKEEPER_ARTIFACTS": str(tmp_path / "artifacts"),
        "PACEKEEPER_SOURCE": str(ROOT),
        "ASV_PYTHONPATH": str(ROOT),
    }
    asv = [sys.executable, "-m", "asv", "--config", str(path)]

    def run(*command):
        return subprocess.run(
            [*asv, *command], env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    assert run("machine", "--yes", "--machine", "here").returncode == 0
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    done = run(
        "run", "--launch-method", "forkserver", "--record-samples",
        "-E", f"existing:{sys.executable}", "--set-commit-hash", head, "--machine", "here",
        "--bench", r"bench_counters\.TinyShared|bench_memory\.Qwen8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = (tmp_path / "results" / "here").glob(f"{head[:8]}-*.json")
    results = json.loads(result.read_text())["results"]
    assert results["bench_counters.TinyShared.track_prefix_hit_rate"][0][0] > 0.5
    # One launch wrote one artifact, whatever the number of its benchmarks.
    (artifact,) = (tmp_path / "artifacts").iterdir()
    header = json.loads(artifact.read_text().splitlines()[0])
    assert header["benchmark"] == "bench_counters.TinyShared"
    assert results["bench_counters.TinyShared.track_steps"][0] == [header["counters"]["steps"]]


if __name__ == "__main__":
    VERSIONS.write_text(json.dumps(digests(), indent=2) + "\n")
