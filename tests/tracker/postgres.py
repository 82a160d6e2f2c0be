"""A PostgreSQL server of the tests' own, in a temporary directory: started, killed, started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class NoServerError(Exception):
    """There is no PostgreSQL to start; the message says what is missing."""


class Cluster:
    """A server that listens on a socket in `root`; made when entered, gone when left."""

    def __init__(self) -> None:
        places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        found = places[-1] if places else shutil.which("initdb")
        if not found:
            raise NoServerError(
                "no PostgreSQL server: no initdb in /usr/lib/postgresql/*/bin or PATH"
            )
        self._binaries = Path(found).parent
        self._as_server: list[str] = []
        # A socket's path must be short.
        self.root = Path(tempfile.mkdtemp(prefix="pk-pg-", dir="/tmp"))
        self._data = self.root / "data"

    def __enter__(self) -> Self:
        try:
            if os.geteuid() == 0:  # PostgreSQL refuses to run as root
                try:
                    owner = pwd.getpwnam("postgres")
                except KeyError:
                    raise NoServerError(
                        "running as root, and there is no user postgres to run the server"
                    ) from None
                os.chown(self.root, owner.pw_uid, owner.pw_gid)
                self._as_server = ["runuser", "-u", "postgres", "--"]
            self._run(
                "initdb", "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8", "-N",
                "--locale=C.UTF-8",
            )  # fmt: skip
            self.start()
        except BaseException:
            shutil.rmtree(self.root, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-c listen_addresses='' -k {self.root} -c fsync=off -c max_connections=60"
        self._run(
            *("pg_ctl", "-D", self._data, "-w", "-t", "60", "-l", self.root / "log"),
            *("-o", options, "start"),
        )

    def kill(self) -> None:
        """Kill the server and all its processes with SIGKILL, as a crash of its machine would."""
        lock = self._data / "postmaster.pid"
        server = int(lock.read_text().split()[0])
        os.kill(server, signal.SIGSTOP)  # it starts no more processes
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(server)], capture_output=True, text=True
        )
        processes = [server, *map(int, listed.stdout.split())]
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while any(map(_is_running, processes)):  # they hold the memory that the next one needs
            assert time.monotonic() < deadline, "killed processes of PostgreSQL still run"
            time.sleep(0.01)
        # Where nobody reaps the killed server, its id looks alive.
        for left in (lock, *self.root.glob(".s.PGSQL.*")):
            left.unlink()

    def new_database(self, *, copy_of: str | None = None) -> str:
        """Create an empty database, or a copy of one that nobody is connected to; return its URL."""
        import psycopg

        name = f"t{uuid.uuid4().hex[:12]}"
        template = "template1" if copy_of is None else urlsplit(copy_of).path.strip("/")
        where = f"host={self.root} user=tester dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://tester@/{name}?host={self.root}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [*self._as_server, str(self._binaries / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.root)
        assert done.returncode == 0, f"{program} failed: {done.stderr or done.stdout}"


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
