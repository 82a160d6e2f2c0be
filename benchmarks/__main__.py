"""Run one scenario by hand and print its metrics.

Exit codes: 0 measured; 2 no such scenario or trace; 4 nothing measured, or requests failed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from benchmarks.engine.find import find_suite, suites
from tracker.errors import MeasurementError, PacekeeperError
from tracker.load.run import run_scenario
from tracker.load.show import as_json, as_text
from tracker.load.suite import kept_target, labelled


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (None: the command line's), run, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run one scenario by hand and print its metrics.",
        epilog="exit codes: 0 measured, 2 usage, 4 nothing measured or requests failed",
    )
    parser.add_argument("scenario", nargs="?", help="bench_serving.TinyC4, or TinyC4")
    parser.add_argument("--list", action="store_true", help="name the scenarios and exit")
    parser.add_argument("--out", metavar="DIR", help="write the launch artifact there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.list:
        sys.stdout.write("".join(f"{name}\n" for name in sorted(suites())))
        return 0
    if options.scenario is None:
        parser.error("name a scenario, or --list them")
    if options.out:
        os.environ["PACEKEEPER_ARTIFACTS"] = options.out
    try:
        name, cls = find_suite(options.scenario)
        with kept_target(cls.open_target) as open_target:
            results = {
                label: run_scenario(label, scenario, open_target)
                for label, scenario in labelled(name, cls.work).items()
            }
    except PacekeeperError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for label, result in results.items():
        sys.stdout.write(as_json(label, result) if options.json else as_text(label, result))
        for failure in result.failures:
            sys.stderr.write(f"{label}: request failed: {failure}\n")
        if result.client_bound:
            sys.stderr.write(f"{label}: not valid: {result.void}\n")
    void = any(result.void for result in results.values())
    return MeasurementError.exit_code if void else 0


if __name__ == "__main__":
    sys.exit(main())
