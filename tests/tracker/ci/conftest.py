"""A repository with the CI scripts in it, and a `tracker` that answers as it is told."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

FAKE = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$FAKE_CALLS"
[ "$1" = gate ] || exit "${FAKE_CODE:-0}"
while [ $# -gt 0 ]; do
  if [ "$1" = --report ] && [ -n "${FAKE_REPORT-x}" ]; then
    printf 'report of a %s\\n' "${FAKE_WORD:-gate}" > "$2"
  fi
  shift
done
[ -z "${FAKE_SAYS:-}" ] || printf '%s\\n' "$FAKE_SAYS"
exit "${FAKE_CODE:-0}"
"""


class Checkout:
    """Calls scripts of `.ci` in a repository of its own."""

    def __init__(self, root: Path, bin_dir: Path) -> None:
        self.root = root
        self.calls_file = root.parent / "calls"
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "PACEKEEPER_"))
        }
        self.environment = {
            **environment,
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "FAKE_CALLS": str(self.calls_file),
            "PACEKEEPER_LOCK": str(root.parent / "lock"),
        }

    def git(self, *args: str) -> str:
        who = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *who, *args], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, name: str) -> str:
        self.git("commit", "-q", "--allow-empty", "-m", name)
        return self.git("rev-parse", "HEAD")

    def run(self, script: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [f"{self.root}/.ci/{script}", *args],
            cwd=self.root.parent,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def checkout(tmp_path):
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "tracker").write_text(FAKE)
    (bin_dir / "tracker").chmod(0o755)
    root = tmp_path / "checkout"
    (root / ".ci").mkdir(parents=True)
    for script in ("gate", "record", "alone"):
        shutil.copy(ROOT / ".ci" / script, root / ".ci" / script)
    made = Checkout(root, bin_dir)
    made.git("init", "-q", "-b", "main")
    made.commit("first")
    return made
