"""A repository with suites and a policy, a `tracker` that answers as it is told."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tracker.ci.jobs import Surroundings, gate_job, record_job
from tracker.ci.result import blocking_outcomes

ROOT = Path(__file__).parents[3]

# Writes every call, the environment and the policy it was given into $FAKE/calls.
FAKE = """
import json, os, sys
from pathlib import Path

told = json.loads((Path(os.environ["FAKE"]) / "told.json").read_text())
words = sys.argv[1:]
call = {"words": words, "env": dict(os.environ)}
for name in ("policy", "config"):
    if f"--{name}" in words:
        path = Path(words[words.index(f"--{name}") + 1])
        call[name] = path.read_text()
        call["suites"] = sorted(p.name for p in (path.parent / "benchmarks").glob("*.py"))
with (Path(os.environ["FAKE"]) / "calls").open("a") as file:
    file.write(json.dumps(call) + "\\n")
if words[0] == "gate" and told["outcome"] is not None:
    report = {"outcome": told["outcome"], "headline": told["headline"],
              "base": {"commit": told.get("base") or words[1]}, "head": {"commit": words[2]}}
    for path in (word for before, word in zip(words, words[1:]) if before == "--report"):
        text = json.dumps(report) if path.endswith(".json") else told["report"]
        Path(path).write_text(text)
print(told["says"], flush=True)
if told.get("kill"):
    os.kill(os.getpid(), told["kill"])
sys.exit(told["code"])
"""


@dataclass
class Checkout:
    """A clone whose branch `change` left `main`; `main` went on."""

    root: Path
    fake: Path
    fork: str = ""
    head: str = ""
    lines: list[str] = field(default_factory=list)
    told: dict[str, object] = field(
        default_factory=lambda: {
            "outcome": "pass", "headline": "PASS: 3 metrics", "code": 0, "says": "measuring",
            "report": "### the report\n",
        }
    )  # fmt: skip

    def git(self, *args: str) -> str:
        who = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *who, *args], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def here(self, **environ: str) -> Surroundings:
        (self.fake / "told.json").write_text(json.dumps(self.told))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GITHUB_", "CI", "GITLAB", "PACEKEEPER_", "CHANGE_"))
        }
        return Surroundings(
            environ=inherited | {"FAKE": str(self.fake)} | environ,
            reports=self.reports,
            blocking=blocking_outcomes(environ.get("PACEKEEPER_BLOCK_ON")),
            start=self.root,
            db="sqlite:///elsewhere.db",
            tracker=(sys.executable, str(self.fake / "tracker.py")),
            say=self.lines.append,
        )

    def gate(self, target: str | None = "main", head: str = "HEAD", *options: str, **more) -> int:
        keys = ("policy", "config", "accept_expectations", "publish")
        choices = {key: more.pop(key) for key in keys if key in more}
        return gate_job(self.here(**more), target, head, options, **choices)

    def record(self, before: str | None = None, *options: str, **environ: str) -> int:
        return record_job(self.here(**environ), before, options)

    @property
    def reports(self) -> Path:
        return self.root.parent / "reports"

    @property
    def outcome(self) -> str:
        return (self.reports / "outcome").read_text().strip()

    @property
    def comment(self) -> str:
        return (self.reports / "comment.md").read_text()

    @property
    def calls(self) -> list[dict]:
        path = self.fake / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def notes(self) -> list[str]:
        """What the gate was told to warn of."""
        words = self.calls[0]["words"]
        return [word for before, word in itertools.pairwise(words) if before == "--note"]


@pytest.fixture(scope="session")
def branched(tmp_path_factory) -> Checkout:
    """Made once; each test works in a copy."""
    place = tmp_path_factory.mktemp("branched")
    made = Checkout(place / "checkout", place / "fake")
    made.fake.mkdir()
    made.root.mkdir()
    (made.fake / "tracker.py").write_text(FAKE)
    made.git("init", "-q", "-b", "main")
    made.write("asv.conf.json", '{"project": "toy", "benchmark_dir": "benchmarks"}\n')
    made.write("pacekeeper.toml", "[gate]\nmargin = 0.01\n")
    made.write(".ci/gpu.toml", "[gate]\nmargin = 0.02\n")
    made.write("benchmarks/__init__.py", "")
    made.write("benchmarks/bench_old.py", "def track_old():\n    return 1\n")
    made.fork = made.commit("first")
    made.git("checkout", "-q", "-b", "change")
    made.head = made.commit("change")
    made.git("checkout", "-q", "main")
    made.commit("main goes on")
    made.git("checkout", "-q", "change")
    return made


@pytest.fixture
def checkout(branched, tmp_path, monkeypatch) -> Checkout:
    shutil.copytree(branched.root, tmp_path / "checkout")
    shutil.copytree(branched.fake, tmp_path / "fake")
    monkeypatch.chdir(tmp_path / "checkout")
    return Checkout(tmp_path / "checkout", tmp_path / "fake", branched.fork, branched.head)
