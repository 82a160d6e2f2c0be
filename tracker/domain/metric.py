"""What a metric is: its name, unit, direction and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]
Kind = Literal["timing", "rate", "utilization", "energy", "exact", "other"]


def metric_name(benchmark: str, params: tuple[str, ...]) -> str:
    """Return the name of a judged metric: asv's benchmark name, then its parameters if any."""
    return f"{benchmark}({', '.join(params)})" if params else benchmark


@dataclass(frozen=True, slots=True)
class BenchmarkInfo:
    """What a results directory says of one benchmark at one version.

    `better` is None for a metric without a stated direction: it is shown and compared, and
    never judged. `kind` "other" is judged as noisy. `step` is the change below which an exact
    metric counts as equal.
    """

    name: str
    version: str
    type: str  # asv's: time, timeraw, memory, peakmemory, track
    unit: str
    better: Better | None
    kind: Kind
    param_names: tuple[str, ...] = ()
    step: float = 0.0
