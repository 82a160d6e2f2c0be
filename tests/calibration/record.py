"""Record launches of one commit for the shape "recorded A/A launches"::

    python -m tests.calibration.record --launches 80

Each is a process of its own, one after the other, and adds a line to `noise.RECORDED`: every metric that
is noisy, then the control's times. Killed, it goes on where it was; `--fresh` begins anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from tests.calibration.noise import CONTROLS, RECORDED
from tracker.load.catalogue import CATALOGUE

SCENARIO = "bench_serving.TinyC4"
_CONTROLS = [f"control_{name}" for name in CONTROLS]
_NOISY = [m.name for m in CATALOGUE.values() if m.kind in ("timing", "rate", "other")]
COLUMNS = [name for name in _NOISY if name not in _CONTROLS] + _CONTROLS


def launch() -> dict[str, float | None]:
    """Return the metrics of one launch."""
    command = [sys.executable, "-m", "benchmarks", SCENARIO, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    metrics = json.loads(done.stdout)["metrics"]
    return {name: metric["value"] for name, metric in metrics.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration.record", description=__doc__)
    parser.add_argument("--launches", type=int, default=80)
    parser.add_argument("--fresh", action="store_true", help="forget the launches that are there")
    options = parser.parse_args()
    if options.fresh or not RECORDED.exists():
        first = launch()
        # What this machine does not measure, or what is 0, has no logarithm.
        names = [name for name in COLUMNS if first.get(name)]
        RECORDED.write_text(",".join(names) + "\n")
    names = RECORDED.read_text().partition("\n")[0].split(",")
    for number in range(RECORDED.read_text().count("\n"), options.launches + 1):
        metrics = launch()
        with RECORDED.open("a") as file:
            file.write(",".join(f"{metrics[name]:.6g}" for name in names) + "\n")
        print(f"{number}/{options.launches}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
