"""A tiny asv project in git whose numbers stand in its source: a commit is what it measures."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

SUITE = """
import json, os, random, time
from pathlib import Path


class Serve:
    timeout = 20

    def setup_cache(self):
        import toy

        source = os.environ.get("PACEKEEPER_SOURCE")
        assert source is None or Path(toy.__file__).parent == Path(source), toy.__file__
        if toy.CRASH:
            raise RuntimeError("the core does not start")
        noise = random.Random(os.urandom(8)).uniform(0.999, 1.001)
        tokens = list(range(toy.TOKENS))
        artifacts = os.environ.get("PACEKEEPER_ARTIFACTS")
        if artifacts:
            header = {
                "record": "launch", "format": 1, "launch_id": os.urandom(4).hex(),
                "benchmark": "bench_toy.Serve", "fingerprint": {"torch": toy.TORCH},
                "metrics": {"error_rate": toy.ERRORS},
                "work": {"requests": 4, "output_tokens": len(tokens),
                         "tokens_sha256": str(hash(tuple(tokens)) + toy.DIGEST)},
                "telemetry": None,
            }
            path = Path(artifacts, "Serve-" + header["launch_id"] + ".jsonl")
            path.write_text(json.dumps(header) + "\\n")
        return {"ttft": toy.TTFT * noise, "rate": 100 / toy.TTFT / noise, "steps": toy.STEPS}

    def track_ttft(self, cache):
        import toy

        if toy.SLEEP:
            time.sleep(toy.SLEEP)
        return {"ttft": cache["ttft"]} if toy.RETURNS_DICT else cache["ttft"]

    def track_rate(self, cache):
        return cache["rate"]

    def track_steps(self, cache):
        return cache["steps"]

    def track_mood(self, cache):
        return 7


for name, unit, better, kind in (
    ("ttft", "s", "lower", "timing"),
    ("rate", "tokens/s", "higher", "rate"),
    ("steps", "steps", "lower", "exact"),
    ("mood", "points", None, "other"),
):
    method = getattr(Serve, "track_" + name)
    method.unit, method.kind, method.version = unit, kind, "1"
    if better:
        method.better = better
Serve.track_ttft.timeout = 2
"""

DEFAULTS = {
    "TTFT": 0.1,
    "STEPS": 40,
    "TOKENS": 8,
    "DIGEST": 0,
    "ERRORS": 0.0,
    "TORCH": "2.0",
    "CRASH": False,
    "RETURNS_DICT": False,
    "SLEEP": 0,
}


class ToyProject:
    """A git repository with a suite; `commit` writes the source and commits it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", ".")
        (root / "benchmarks").mkdir()
        (root / "benchmarks" / "__init__.py").touch()
        (root / "benchmarks" / "bench_toy.py").write_text(SUITE)
        config = {"version": 1, "project": "toy", "repo": ".", "environment_type": "existing"}
        text = json.dumps(config, indent=1)
        (root / "asv.conf.json").write_text("// asv reads comments, and so do we\n" + text)

    def git(self, *args: str) -> str:
        who = ["-c", "user.name=Toy", "-c", "user.email=toy@example.org"]
        done = subprocess.run(
            ["git", *who, *args], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, **values: object) -> None:
        lines = [f"{name} = {value!r}\n" for name, value in (DEFAULTS | values).items()]
        (self.root / "toy.py").write_text("".join(lines))

    def commit(self, subject: str, **values: object) -> str:
        """Commit a source with `values` changed from the defaults; return the full hash."""
        self.write(**values)
        self.git("add", "-A", ".")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")


def quiet_environment(home: Path) -> dict[str, str]:
    """Environment of a subprocess that must not touch the user's files."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "PACEKEEPER_MEASURING_LOCK" or not name.startswith(("PACEKEEPER_", "ASV_"))
    }
    return kept | {"HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
