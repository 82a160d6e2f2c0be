"""The synthetic project's git repository: real commits, with the same hashes for the same end."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path

from tracker.demo.story import CHANGES, LOGGED, NUM_COMMITS, engine_at, subject_at
from tracker.errors import UsageError
from tracker.measure.git import Repository

__all__ = ["PROJECT", "make_repository"]

PROJECT = "demo-engine"
_EVERY = timedelta(hours=8)
_FILES = (
    "README.md", "pacekeeper.toml", "asv.conf.json", "benchmarks/__init__.py",
    "benchmarks/serving.py", "benchmarks/decode.py",
)  # fmt: skip


def make_repository(root: Path, end: datetime) -> tuple[Repository, list[str]]:
    """Make the repository at `root`, with the newest commit at `end`.

    Returns:
        It, and the hashes of its commits, oldest first.

    Raises:
        UsageError: git cannot be run.
    """
    root.mkdir(parents=True, exist_ok=True)
    _git(root, "init", "--quiet", "--initial-branch=main")
    _git(root, "fast-import", "--quiet", text=_stream(end))
    _git(root, "reset", "--quiet", "--hard", "main")
    return Repository(root), _git(root, "rev-list", "--reverse", "main").split()


def _stream(end: datetime) -> str:
    """Return all commits in the format of `git fast-import`."""
    lines: list[str] = []
    for number in range(NUM_COMMITS):
        when = int((end - _EVERY * (NUM_COMMITS - 1 - number)).timestamp())
        change = CHANGES.get(number)
        message = subject_at(number) + (f"\n\n{change.body}\n" if change and change.body else "")
        lines += [
            "commit refs/heads/main",
            f"committer Pacekeeper demo <demo@pacekeeper.invalid> {when} +0000",
            _data(message),
            _file("engine.py", _source(number)),
        ]
        if number == 0:
            lines += [_file(name, _template(name)) for name in _FILES]
            lines.append(_file(".gitignore", "pacekeeper.db*\n__pycache__/\n"))
    return "\n".join(lines) + "\n"


# What the traces of a commit show; `spend` takes shares of the first commit's decode step.
_CODE = """

def step(spend, batch):
    chosen = schedule(spend, batch)
    return sample(spend, forward(spend, chosen))


def schedule(spend, batch):
    spend(0.06){log}
    return batch


def forward(spend, batch):
    for _ in range(4):
        batch = multiply(spend, attend(spend, batch))
    return batch


def attend(spend, batch):
    spend(0.35 * {layer})
    return batch


def multiply(spend, batch):
    spend(0.65 * {layer})
    return batch


def sample(spend, batch):
    spend(0.14)
    return batch
"""
_LOG = """

def log(spend, batch):
    spend({share})
"""


def _source(number: int) -> str:
    """Return the engine's source at a commit: what the model measures stands in it."""
    settings = "".join(
        f"{key.upper()} = {value!r}\n" for key, value in asdict(engine_at(number)).items()
    )
    decode = engine_at(number).decode
    before = engine_at(LOGGED - 1).decode
    layers = (min(decode, before) if number >= LOGGED else decode) - 0.2
    code = _CODE.format(
        layer=round(layers / 4, 5),
        log="\n    log(spend, batch)" if number >= LOGGED else "",
    )
    if number >= LOGGED:
        code += _LOG.format(share=round(decode - before, 5))
    return f'"""The synthetic engine, commit {number}: {subject_at(number)}."""\n\n{settings}{code}'


def _template(name: str) -> str:
    path = resources.files("tracker.demo") / "project" / f"{name.replace('/', '.')}.txt"
    return path.read_text(encoding="utf-8").replace("PROJECT", PROJECT)


def _file(name: str, text: str) -> str:
    return f"M 100644 inline {name}\n{_data(text)}"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def _git(root: Path, *args: str, text: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *args], input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise UsageError("git is not installed, or not on PATH") from None
    if done.returncode != 0:
        raise UsageError(f"git {args[0]} failed in {root}: {done.stderr.strip()}")
    return done.stdout
