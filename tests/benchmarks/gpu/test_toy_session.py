"""``make gpu`` on a CPU: every part at toy sizes, into the store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tracker.ingest import ingest_directory
from tracker.store import Store

ROOT = Path(__file__).parents[3]


def make_gpu(**variables):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PACEKEEPER_", "MAKE"))}
    return subprocess.run(
        ["make", "gpu", f"PYTHON={sys.executable}", *(f"{k}={v}" for k, v in variables.items())],
        cwd=ROOT,
        env={**clean, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu") / "2026-01-31"
    done = make_gpu(DEVICE="cpu", OUT=out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.e2e
def test_every_part_leaves_results_that_the_tracker_reads(folder, tmp_path):
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        report = ingest_directory(store, folder, project="pacekeeper")
        assert report.problems == ()
        assert report.added >= 20
        again = ingest_directory(store, folder, project="pacekeeper")
        assert (again.added, again.unchanged) == (0, report.added)
    page = (folder / "summary.md").read_text()
    assert "have not run" not in page
    assert "## Not measured" not in page
    for part in ("facts", "kernels", "engine", "telemetry", "scenarios", "explain", "suites", "aa"):
        assert f"\n## {part}\n" in page


@pytest.mark.e2e
def test_launches_against_itself_become_samples(folder):
    (path,) = (folder / "cpu").glob("*-existing-*.json")
    result = json.loads(path.read_text())
    row = dict(
        zip(
            result["result_columns"],
            result["results"]["bench_counters.TinyShared.track_steps"],
            strict=False,
        )
    )
    # One launch of the suites, two against itself.
    assert len(row["samples"][0]) == 3


@pytest.mark.e2e
def test_a_second_run_measures_nothing_again(folder):
    before = (folder / "records.jsonl").read_text()
    done = make_gpu(DEVICE="cpu", OUT=folder, PART="engine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 cases were done before" in done.stdout
    assert (folder / "records.jsonl").read_text() == before


def test_without_a_device_it_says_so(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    done = make_gpu(OUT=tmp_path / "out")
    assert done.returncode == 2
    assert "torch finds no CUDA device; --device cpu tries the parts" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_part_that_is_not_there_is_named(tmp_path):
    done = make_gpu(PART="kernel", DEVICE="cpu", OUT=tmp_path / "out")
    assert done.returncode == 2
    assert "kernel" in done.stderr
    assert "kernels" in done.stderr


def test_wheels_are_laid_beside_the_machines_own_packages(tmp_path):
    (tmp_path / "wheels").mkdir()
    info = "laid_beside-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "wheels" / "laid_beside-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("laid_beside.py", "")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: laid-beside\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    # A part that is not there ends the run before anything is measured.
    done = make_gpu(PART="none", WHEELS=tmp_path / "wheels", TMPDIR=tmp_path)
    assert "invalid choice: 'none'" in done.stderr
    (module,) = tmp_path.glob("pacekeeper-wheels-*/laid_beside.py")
    assert module.is_file()


def running_cases(session):
    """Return the processes that the session runs cases in."""
    children = Path(f"/proc/{session}/task/{session}/children").read_text().split()
    return [child for child in children if b"benchmarks.gpu.child" in command_line(child)]


def command_line(process):
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def test_a_session_that_is_ended_leaves_no_case_running(tmp_path):
    session = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--out", tmp_path / "out"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (cases := running_cases(session.pid)):
        assert session.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    session.send_signal(signal.SIGTERM)
    assert session.wait(timeout=120) == 143
    assert not any(command_line(case) for case in cases)
    assert not (tmp_path / "out" / "records.jsonl").exists()
