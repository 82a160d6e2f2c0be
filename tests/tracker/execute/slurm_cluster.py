"""A Slurm of the tests' own: slurmctld and two slurmd on this machine, in a temporary directory."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

NODES = ("n1", "n2")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,defer_batch,batch_sched_delay=1
MpiDefault=none
ReturnToService=2
SlurmdTimeout=6
KillWait=5
MailProg=/bin/true
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port1} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port2} CPUs=1 State=UNKNOWN
PartitionName=gpu Nodes=n1,n2 Default=YES State=UP
"""


class NoSlurmError(Exception):
    """There is no Slurm to start; the message says what is missing."""


class SlurmCluster:
    """Started when entered; every process is gone when left."""

    def __init__(self) -> None:
        programs = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel")
        if missing := [name for name in programs if _find(name) is None]:
            raise NoSlurmError(
                f"no Slurm: {', '.join(missing)} not in PATH (Debian: slurmctld slurmd slurm-client)"
            )
        self.folder = Path(tempfile.mkdtemp(prefix="pk-slurm-", dir="/tmp"))
        self.configuration = self.folder / "slurm.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self):
        port, port1, port2 = _free_ports(3)
        (self.folder / "state").mkdir()
        self.configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname(), folder=self.folder, user=getpass.getuser(),
                port=port, port1=port1, port2=port2,
            )
        )  # fmt: skip
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        for node in NODES:
            (self.folder / f"spool-{node}").mkdir()
        self._start("slurmctld", "-D")
        for node in NODES:
            self._start("slurmd", "-D", "-N", node, key=node)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in self._strays():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.configuration)}

    def kill_node(self, node: str) -> None:
        """End a node as a power cut would: its slurmd, and all that it runs."""
        self._processes[node].kill()
        self._processes[node].wait()
        for pid in self._strays(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def states(self) -> dict[str, str]:
        """The state of each node, such as "idle"."""
        text = self.run("sinfo", "--noheader", "--Node", "--format=%N %t")
        return dict(line.split() for line in text.splitlines() if line.strip())

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        return done.stdout

    def log(self) -> str:
        return "".join(f"{f}: {f.read_text()[-1500:]}\n" for f in self.folder.glob("*.log"))

    def _start(self, program: str, *arguments: str, key: str | None = None) -> None:
        self._processes[key or program] = subprocess.Popen(
            [_find(program), "-f", str(self.configuration), *arguments],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _strays(self, node: str | None = None) -> list[int]:
        """Processes of jobs: they carry Slurm's variables, and slurmstepd the cluster's folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (entry / "environ").read_bytes().split(b"\0")
                if f"SLURM_CONF={self.configuration}".encode() not in environment:
                    continue
                ours = f"SLURMD_NODENAME={node}".encode() if node else b"SLURM_JOB_ID="
                command = (entry / "cmdline").read_bytes()
                if any(v.startswith(ours) for v in environment) or (
                    b"slurmstepd" in command and node is None
                ):
                    found.append(int(entry.name))
        return found


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports
