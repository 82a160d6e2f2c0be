"""Ops on the device: right, against their references; and how near the copy ceiling they come."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.gpu.context import Context
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.suites import run_class, suite_classes
from tracker.errors import MeasurementError

__all__ = ["cases", "run"]

ROOT = Path(__file__).parents[2]
# The interpreter that stands in for a GPU takes a minute for all of them.
TESTS = {"cuda": "tests/inference/ops", "cpu": "tests/inference/ops/test_registry.py"}


def cases(device: str) -> list[str]:
    """Return the check against the references, then the classes of ``bench_kernels``."""
    timed = [name for name in suite_classes() if name.startswith("bench_kernels.")]
    return ["reference", *(timed if device == "cuda" else [])]


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Return how many cases agreed with the reference, or one class's values.

    Raises:
        MeasurementError: An op and its reference differ; names the cases.
    """
    if case != "reference":
        return run_class(case), {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        # Its own settings file, strict about warnings, is for the versions the project is tested with.
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(ROOT)]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", f"--junitxml={report}", TESTS[context.device]],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
                ),
            },
            capture_output=True,
            text=True,
        )
        if not report.exists():
            raise MeasurementError(f"pytest could not start: {(done.stderr or done.stdout)[-500:]}")
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [c.get("name") for c in cases if {"failure", "error"} & {child.tag for child in c}]
    skipped = [c for c in cases if c.find("skipped") is not None]
    if failed or len(skipped) == len(cases):
        named = ", ".join(map(str, failed)) or "every case was skipped"
        raise MeasurementError(
            f"{len(failed)} of {len(cases)} cases differ from the reference: {named}"
        )
    agreed = float(len(cases) - len(skipped))
    name = "gpu_kernels.reference.track_cases_agreed"
    return [GpuMeasurement(name, agreed, "cases", "higher", "exact")], {}
