"""What the control around each launch saves a plain `time_*` suite: pairs to a decision, with and without.

    python -m tests.e2e.plain_control [--launches 60] [--gates 400] [--load N] [--read FILE]

Launches one commit of a project whose suite knows nothing of this tracker, and prints how many pairs
gates need whose pairs are drawn from neighbouring launches, with a change planted in the head. What was
measured goes to `plain-control.json`, which `--read` evaluates again.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from tracker.gate.control import control_times, controls_of
from tracker.gate.policy import Policy
from tracker.measure.project import load_project
from tracker.measure.runners import make_runner
from tracker.stats import PairedGate

SUITE = """
import plain

def time_sort():
    plain.sort()

def time_words():
    plain.words()

def time_product():
    plain.product()
"""
CODE = """
import random
import numpy as np

NUMBERS = [random.Random(1).random() for _ in range(20_000)]
TEXT = "one two three four five six seven " * 2000
LEFT = np.ones((256, 256))

def sort():
    return sorted(NUMBERS)

def words():
    found = {}
    for word in TEXT.split():
        found[word] = found.get(word, 0) + 1
    return found

def product():
    return LEFT @ LEFT
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--launches", type=int, default=60)
    parser.add_argument("--gates", type=int, default=400)
    parser.add_argument(
        "--load", type=int, default=0, help="processes that keep a core busy in turns"
    )
    parser.add_argument("--margin", type=float, default=0.02)
    parser.add_argument("--detect", type=float, default=0.06)
    parser.add_argument("--max-pairs", type=int, default=50)
    parser.add_argument("--read", type=Path)
    asked = parser.parse_args()
    recorded = json.loads(asked.read.read_text()) if asked.read else record(asked)
    policy = {"margin": asked.margin, "detect": asked.detect, "max_pairs": asked.max_pairs}
    print(f"{len(recorded)} launches, {asked.gates} gates a row, {policy}")
    print(
        f"{'planted':>8} {'control':>8} {'pairs':>6} {'passed':>8} {'called':>8} {'undecided':>10}"
    )
    for planted in (0.0, asked.detect, 2 * asked.detect):
        for with_control in (False, True):
            gates = [
                gate(recorded, planted, with_control, seed, policy) for seed in range(asked.gates)
            ]
            shares = (sum(s == word for _, s in gates) / len(gates) for word in
                      ("pass", "regression", "inconclusive"))  # fmt: skip
            cells = " ".join(f"{share:8.1%}" for share in shares)
            pairs = median(count for count, _ in gates)
            print(
                f"{planted:+8.0%} {'with' if with_control else 'without':>8} {pairs:6.0f} {cells}"
            )


def record(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Launch one commit again and again; values and control's times of each launch."""
    launches: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place, ExitStack() as held:
        root = Path(place)
        (root / "benchmarks").mkdir()
        (root / "benchmarks" / "__init__.py").touch()
        (root / "benchmarks" / "bench_plain.py").write_text(SUITE)
        (root / "plain.py").write_text(CODE)
        config = {"version": 1, "project": "plain", "repo": ".", "environment_type": "existing"}
        (root / "asv.conf.json").write_text(json.dumps(config))
        who = ["-c", "user.name=p", "-c", "user.email=p@example.org"]
        for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "one"]):
            subprocess.run(["git", *words], cwd=root, check=True)
        busy = "import time\nwhile True:\n  e=time.time()+3\n  while time.time()<e: pass\n  time.sleep(3)"
        for _ in range(asked.load):
            process = subprocess.Popen([sys.executable, "-c", busy])
            held.callback(process.kill)
        project = load_project(start=root)
        runner = make_runner(project, Policy(), machine="evidence")
        head = project.repository.resolve("HEAD")
        for number in range(asked.launches):
            result = runner.launch(head)
            sides = {one.benchmark: one.header["control"] for one in result.launches}
            launches.append({"values": result.values(), "control": sides})
            print(f"launch {number + 1} of {asked.launches}", file=sys.stderr, flush=True)
            Path("plain-control.json").write_text(json.dumps(launches))
    return launches


def gate(
    recorded: Sequence[dict[str, Any]],
    planted: float,
    with_control: bool,
    seed: int,
    policy: dict[str, Any],
) -> tuple[int, str]:
    """(pairs, worst status) of a gate whose pairs are neighbouring launches, in a random order."""
    draw = random.Random(seed)
    metrics = sorted(recorded[0]["values"])
    judged = PairedGate(dict.fromkeys(metrics, "lower"), seed=seed, **policy)
    victim = draw.choice(metrics)
    while judged.pending():
        place = draw.randrange(len(recorded) - 1)
        base, head = recorded[place], recorded[place + 1]
        if draw.random() < 0.5:
            base, head = head, base
        pair = {name: (base["values"][name], head["values"][name]) for name in metrics}
        pair[victim] = (pair[victim][0], pair[victim][1] * (1 + planted))
        controls = controls_of(
            {name: name for name in metrics}, control_times(*map(launched, (base, head)))
        )
        judged.add(pair, controls if with_control else {})
    statuses = [verdict.status for verdict in judged.verdicts().values()]
    worst = next((s for s in ("regression", "inconclusive") if s in statuses), "pass")
    return judged.pairs, worst


def launched(launch: dict[str, Any]) -> list[Any]:
    class Header:
        def __init__(self, benchmark: str, control: object) -> None:
            self.benchmark, self.header = benchmark, {"control": control}

    return [Header(name, control) for name, control in launch["control"].items()]


if __name__ == "__main__":
    main()
