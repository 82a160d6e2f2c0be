"""A project whose benchmark waits while a file exists, for executors with real nodes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.tracker.schedule.projects import clone, git
from tracker.store import Store, queries

BENCH = """\
echo "$PACEKEEPER_NODE $$" >> {folder}/begun
while [ -e {folder}/hold ]; do sleep 0.05; done
echo '{{"results": [{{"command": "work", "mean": 1.0, "median": 1.0, "times": [1.0, 1.0]}}]}}' > "$1"
"""


class NodeProject:
    """A clone with a store, and the service's command line on it.

    Attributes:
        hold: While this file exists, launches wait.
        here: The checkout.
    """

    def __init__(self, folder: Path, executors: str) -> None:
        self.folder, self.hold = folder, folder / "hold"
        remote = folder / "remote"
        remote.mkdir()
        git(remote, "init", "-q", "-b", "main")
        (remote / "bench.sh").write_text(BENCH.format(folder=folder))
        (remote / ".gitignore").write_text(".pacekeeper/\n")
        (remote / "pacekeeper.toml").write_text(
            '[project]\nname = "engine"\n[measure]\nrunner = "command"\n'
            'command = "sh bench.sh {out}"\nformat = "hyperfine"\n' + executors
        )
        self.remote = remote
        self.push(0)
        self.here = clone(remote, folder / "here")
        self.url = f"sqlite:///{folder}/store.db"
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "PACEKEEPER_DB": self.url,
        }
        self._service: subprocess.Popen[bytes] | None = None

    def push(self, number: int) -> str:
        (self.remote / "number").write_text(str(number))
        git(self.remote, "add", "-A")
        git(self.remote, "commit", "-q", "-m", f"Commit {number}")
        return git(self.remote, "rev-parse", "HEAD")

    def tracker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tracker", *arguments],
            cwd=self.here, env=self.environment, capture_output=True, text=True,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the service."""
        with (self.folder / "service.log").open("ab") as log:
            self._service = subprocess.Popen(
                [sys.executable, "-m", "tracker", "schedule", "--nightly", "off", "--interval", "1s",
                 "--machine", "desk", *arguments],
                cwd=self.here, env=self.environment, stderr=log,
            )  # fmt: skip
        return self._service

    def stop(self) -> None:
        self.hold.unlink(missing_ok=True)
        if self._service is not None and self._service.poll() is None:
            self._service.kill()
            self._service.wait()

    def jobs(self):
        with Store.open(self.url, read_only=True) as store:
            return list(reversed(queries.list_jobs(store, "engine", limit=None)))

    def runs(self):
        """The stored runs: (commit, node, key of the job)."""
        from sqlalchemy import select

        from tracker.store import tables as t

        with Store.open(self.url, read_only=True) as store, store.reading() as conn:
            r = t.run.c
            rows = select(t.revision.c.commit_hash, r.node, r.job_key).join(
                t.revision, t.revision.c.id == r.revision_id
            )
            return [tuple(row) for row in conn.execute(rows)]

    def begun(self) -> list[str]:
        """The nodes on which a launch has begun."""
        file = self.folder / "begun"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    def until(self, condition, seconds: float = 60.0):
        """Wait for a condition; show the service's log where it never comes."""
        end = time.monotonic() + seconds
        while True:
            try:
                if result := condition():
                    return result
            except Exception:  # the store is not there yet
                if time.monotonic() > end:
                    raise
            log = self.folder / "service.log"
            shown = log.read_text()[-3000:] if log.exists() else ""
            assert time.monotonic() < end, f"it never came: {shown}"
            time.sleep(0.1)
