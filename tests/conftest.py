"""What every test shares: nothing is skipped for green where CI asks for the strict setting."""

import os

import pytest

STRICT = os.environ.get("CI", "").lower() in ("1", "true", "yes")
MUST_RUN = ("browser", "postgres")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if STRICT and report.skipped and any(item.get_closest_marker(m) for m in MUST_RUN):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run (CI is set): {reason}"
    return report
