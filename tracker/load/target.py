"""What a scenario's load is driven against: an engine in this process, or a server over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tracker.load.drive import Drive
from tracker.load.metrics import Values
from tracker.load.records import LoadRequest
from tracker.load.scenario import Scenario
from tracker.load.telemetry import Readable

__all__ = ["Observation", "OpenTarget", "Target"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a target knows of the timed part beside the requests' records.

    Attributes:
        metrics: By name of the catalogue; None where there is no value.
        counters: Exact counts over the timed part; empty where the target keeps none.
        engine: The target's own description: what served the load, with which settings.
        fingerprint: What beside the code can move a number, in the tracker's field names.
        control: Seconds of the control workload before and after the load; None: it did not run.
        client_bound: Why the client was the limit, so that no latency is the target's; None where
            it kept up.
        utilization: The tier of the utilization figures and what they follow from, for the
            artifact; None: the target gives none.
    """

    metrics: Values
    counters: dict[str, float]
    engine: dict[str, Any]
    fingerprint: dict[str, Any]
    control: dict[str, dict[str, float]] | None = None
    client_bound: str | None = None
    utilization: dict[str, Any] | None = None


class Target(Protocol):
    """One opened target. Calls come in the order below; ``close`` may come at any time, twice.

    Attributes:
        vocab_size: Token ids of random prompts are drawn below it.
        gpus: Every GPU whose telemetry belongs to the load; empty where there is none.
        num_serving: How many of them, from the first on, do its work; None: all.
    """

    vocab_size: int
    gpus: Sequence[Readable]
    num_serving: int | None

    def drive(self, requests: Sequence[LoadRequest], concurrency: int | None) -> Drive:
        """Run the requests to their ends; first the warm-up's, then those of the timed part."""

    def begin(self) -> None:
        """Start the timed part: counters and peaks start anew."""

    def finish(self, warm: Drive, done: Drive) -> Observation:
        """End the timed part, let go of what served it, and return what was seen."""

    def close(self) -> None:
        """Let go of everything."""


OpenTarget = Callable[[Scenario], Target]
