"""A Ray cluster of several nodes on this machine, in a process of its own.

`python -m tests.tracker.execute.ray_cluster NODES` prints the dashboard's address. A line
`kill NAME` on standard input ends a node as a power cut would; the end of the input ends all.
"""

from __future__ import annotations

import os
import subprocess
import sys


def main() -> None:
    from ray.cluster_utils import Cluster

    names = sys.argv[1].split(",")
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": True,
            "dashboard_port": 0,
            "_system_config": {
                "health_check_period_ms": 500,
                "health_check_failure_threshold": 3,
                "health_check_initial_delay_ms": 0,
            },
        },
    )
    nodes = {}
    for name in names:
        os.environ["PACEKEEPER_NODE"] = name  # all are this host; elsewhere the host's name tells
        nodes[name] = cluster.add_node(num_cpus=1, resources={"a100": 1}, node_name=name)
    print(f"http://{cluster.webui_url}", flush=True)
    for line in sys.stdin:
        _, name = line.split()
        cluster.remove_node(nodes[name], allow_graceful=False)
        print(f"killed {name}", flush=True)
    cluster.shutdown()


class RayCluster:
    """The process; `address` is that of the dashboard."""

    def __init__(self, *nodes: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__, ",".join(nodes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,  # Ray's reaper kills its process group
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"},
        )  # fmt: skip
        self.address = self._answer()

    def kill_node(self, name: str) -> None:
        self._process.stdin.write(f"kill {name}\n")
        self._process.stdin.flush()
        assert self._answer() == f"killed {name}"

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> str:
        for line in self._process.stdout:
            if line.startswith(("http://", "killed")):
                return line.strip()
        raise AssertionError(f"the cluster ended with {self._process.wait()}")


if __name__ == "__main__":
    main()
