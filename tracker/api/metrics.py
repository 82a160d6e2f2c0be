"""The store's state in Prometheus' text format. Pure.

A time is exported as a timestamp, so that its age grows while nothing is written: `time() - x`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from tracker.domain import AlertState, JobState, Outcome, VerdictStatus
from tracker.store.queries.service import ProjectState

__all__ = ["METRICS", "exposition"]

# name -> (type, help). docs/service.md and the Grafana dashboard use these names.
METRICS = {
    "pacekeeper_build_info": ("gauge", "1, with the version as a label."),
    "pacekeeper_results_total": ("counter", "Results in the store."),
    "pacekeeper_gates_total": ("counter", "Finished gates by outcome."),
    "pacekeeper_gates_running": ("gauge", "Gates that were begun and not finished."),
    "pacekeeper_verdicts_total": ("counter", "Verdicts of finished gates by status."),
    "pacekeeper_alerts": ("gauge", "Alerts by state; open ones wait for somebody."),
    "pacekeeper_jobs": ("gauge", "Work that somebody asked for, by state; queued is the queue."),
    "pacekeeper_newest_result_timestamp_seconds": (
        "gauge",
        "When each machine last measured; its age is time() minus this.",
    ),
    "pacekeeper_calibration_gates_total": ("counter", "A/A gates with a valid measurement."),
    "pacekeeper_calibration_false_blocks_total": ("counter", "A/A gates that called a regression."),
    "pacekeeper_false_block_rate_upper_bound": (
        "gauge",
        "Exact 95 % bound on the rate of false blocks; absent without A/A gates.",
    ),
    "pacekeeper_device_seconds_total": ("counter", "Measuring time by what it was spent on."),
    "pacekeeper_http_requests_total": ("counter", "Requests since the service started, by status."),
}

Labels = Mapping[str, str]


def exposition(states: Sequence[ProjectState], requests: Mapping[int, int], *, version: str) -> str:
    """Return the text of ``/metrics``.

    Args:
        states: One a project.
        requests: Answered requests by status.
        version: Of this package.
    """
    samples: dict[str, list[tuple[Labels, float]]] = {name: [] for name in METRICS}

    def add(name: str, value: float, **labels: str) -> None:
        samples[f"pacekeeper_{name}"].append((labels, value))

    def add_each(name: str, label: str, known: Iterable[str], counts: Mapping[str, int]) -> None:
        # Zeros as well: a rate of a series that appears with its first event misses that event.
        for value in dict.fromkeys((*known, *counts)):
            add(name, counts.get(value, 0), project=state.name, **{label: value})

    add("build_info", 1, version=version)
    for state in states:
        project = state.name
        add("results_total", state.num_results, project=project)
        add_each("gates_total", "outcome", get_args(Outcome), state.gates)
        add("gates_running", state.unfinished_gates, project=project)
        add_each("verdicts_total", "status", get_args(VerdictStatus), state.verdicts)
        add_each("alerts", "state", get_args(AlertState), state.alerts)
        add_each("jobs", "state", get_args(JobState), state.jobs)
        for machine, moment in state.newest_results.items():
            name = "newest_result_timestamp_seconds"
            add(name, moment.timestamp(), project=project, machine=machine)
        add("calibration_gates_total", state.calibration.gates, project=project)
        blocks = state.calibration.false_blocks
        add("calibration_false_blocks_total", blocks, project=project)
        if state.calibration.upper_bound is not None:
            bound = state.calibration.upper_bound
            add("false_block_rate_upper_bound", bound, project=project)
        gate_seconds = state.run_seconds.get("gate", 0.0) + state.gate_seconds
        for work, seconds in {**state.run_seconds, "gate": gate_seconds}.items():
            add("device_seconds_total", seconds, project=project, work=work)
    for status, count in sorted(requests.items()):
        add("http_requests_total", count, status=str(status))
    lines = []
    for name, (kind, text) in METRICS.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {value:.17g}" for labels, value in samples[name]]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
