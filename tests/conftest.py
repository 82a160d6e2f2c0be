"""What every test shares: nothing is skipped for green where CI asks for the strict setting."""

import os
import signal
import tempfile

import pytest

STRICT = os.environ.get("CI", "").lower() in ("1", "true", "yes")
MUST_RUN = {"browser", "postgres", "prometheus", "ray", "slurm"}

# Tests measure nothing that counts: they neither wait for a measurement on this machine nor hold it.
os.environ["PACEKEEPER_MEASURING_LOCK"] = (
    f"{tempfile.gettempdir()}/pacekeeper-tests-{os.getpid()}.lock"
)

# A shell without job control starts what runs in the background deaf to Ctrl-C, and so is all that
# this starts in turn: tests that interrupt a command would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    marked = {marker.name for marker in item.iter_markers()}
    # Recorded histories are no part of the project: a clone elsewhere is tested without them.
    if STRICT and report.skipped and marked & MUST_RUN and "shared_data" not in marked:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run (CI is set): {reason}"
    return report
