"""What `tracker explain` says, as one value; text, Markdown, JSON and the dashboard's table follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

__all__ = [
    "Cause", "Explained", "Explanation", "Frame", "KernelCounter", "Row", "StepChange", "from_document", "to_document",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One place that a difference is charged to.

    Attributes:
        where: "inference/model.py:119", the line of the head that gained most; of the steps themselves
            what there is more of.
        function: Name of the function; empty for the steps themselves.
        op: The function that the time goes to, where it is another one.
        phase: Where most of it is: "prefill", "decode", "sampling", ...
        what: In a few words: "slower", "calls linear 12 → 14 times a step", ...
        code: The line's text; empty where unknown.
        calls: Calls a step of what is named, in base and head; exact. None where it does not apply.
        seconds: head - base, a step of the base: the centre over the pairs.
        low, high: 95 % interval of it; None below seven pairs.
        share: Of the whole difference; None where that is within the noise.
        is_certain: Whether the time's difference is beyond the noise.
        is_exact: Whether the number of calls, or the work, differs, which has no noise.
        is_changed: Whether HEAD changed this function; None where that is unknown.
    """

    where: str
    function: str
    op: str
    phase: str
    what: str
    code: str
    calls: tuple[float, float] | None
    seconds: float
    low: float | None
    high: float | None
    share: float | None
    is_certain: bool
    is_exact: bool
    is_changed: bool | None


@dataclass(frozen=True, slots=True)
class StepChange:
    """The steps of one kind, or a phase: seconds a step of the base, untraced for the steps.

    Attributes:
        name: "prefill", "decode", or a phase.
        base, head: Medians over the launches.
        seconds: head - base, the centre over the pairs.
        low, high: 95 % interval of it.
        is_certain: Whether it is beyond the noise.
    """

    name: str
    base: float
    head: float
    seconds: float
    low: float | None
    high: float | None
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """A box of the icicle: a function at one place of the head's tree.

    Attributes:
        path: Names from the top, the step's kind first.
        start: Seconds a step before it at its level; boxes of one parent lie side by side.
        seconds: Its time a step, what it calls included.
        change: head - base of that.
    """

    path: tuple[str, ...]
    start: float
    seconds: float
    change: float


@dataclass(frozen=True, slots=True)
class KernelCounter:
    """A hardware counter of a kernel in either commit, as a share of its most; None: not read.

    Attributes:
        kernel: Its name, without template arguments.
        name: "L2 hit rate", "SM active", "DRAM throughput".
        base, head: Means over the kernel's launches.
    """

    kernel: str
    name: str
    base: float | None
    head: float | None


@dataclass(frozen=True, slots=True)
class Cause:
    """Whether a difference can be the code's at all.

    Attributes:
        kind: "code", or what changed beside it: "driver", "dependency", "node", "suite", ...
        text: In one sentence; empty where all launches ran in one environment.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One suite.

    Attributes:
        benchmark: Its name.
        pairs: Of launches.
        steps: Steps of the base in a launch's load.
        total: All steps together, untraced.
        kinds: The same for each kind of step.
        phases: By phase, traced.
        rows: What the difference is charged to: the largest first.
        within_noise: How many more places differ by no more than the noise.
        hidden: Largest slowdown of one place that the noise could hide, seconds a step.
        counters: What the engine counted otherwise, exactly: name to (base, head).
        ops: Ops and kernels of torch's profiler, each as a row.
        ops_note: Why there are none; None where there are.
        kernel_counters: Of those kernels (`--deep`).
        frames: The icicle.
        traces: A trace of either commit: files for ui.perfetto.dev.
        trace_pairs: The files (base, head) of every pair.
        problem: Why this suite is not explained; the other fields are empty then.
    """

    benchmark: str
    pairs: int = 0
    steps: int = 0
    total: StepChange | None = None
    kinds: tuple[StepChange, ...] = ()
    phases: tuple[StepChange, ...] = ()
    rows: tuple[Row, ...] = ()
    within_noise: int = 0
    hidden: float | None = None
    counters: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ops: tuple[Row, ...] = ()
    ops_note: str | None = None
    kernel_counters: tuple[KernelCounter, ...] = ()
    frames: tuple[Frame, ...] = ()
    traces: tuple[str, ...] = ()
    trace_pairs: tuple[tuple[str, str], ...] = ()
    problem: str | None = None

    @property
    def verdict(self) -> Literal["slower", "faster", "changed", "no difference", "not explained"]:
        """In one word: what the pairs show."""
        if self.problem is not None or self.total is None:
            return "not explained"
        if self.total.is_certain:
            return "slower" if self.total.seconds > 0 else "faster"
        certain = any(row.is_certain or row.is_exact for row in self.rows)
        return "changed" if certain else "no difference"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Two commits.

    Attributes:
        project, machine: Where.
        base, head: Full hashes.
        base_subject, head_subject: Their messages' first lines.
        cause: Whether it can be the code at all.
        suites: One each; those that could not be traced say why.
        changed: What HEAD's code changes of Python: "file:line function".
        warnings: Sentences.
        source: Where the traces are from, if they were there before: "gate 0123abcd"; empty: captured.
        interrupted: Whether it was stopped before its pairs were complete.
    """

    project: str
    machine: str
    base: str
    head: str
    base_subject: str
    head_subject: str
    cause: Cause
    suites: tuple[Explained, ...]
    changed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    source: str = ""
    interrupted: bool = False


def to_document(explanation: Explanation) -> dict[str, Any]:
    """Return it as JSON values; the store keeps them."""
    document = {"format": 1, **asdict(explanation)}
    for plain, suite in zip(document["suites"], explanation.suites, strict=True):
        plain["verdict"] = suite.verdict
    return document


def from_document(document: Mapping[str, Any]) -> Explanation:
    """Return the explanation that `to_document` made JSON values of."""
    suites = tuple(
        Explained(
            **{
                **_known(Explained, suite),
                "total": _step(suite["total"]),
                "kinds": tuple(StepChange(**kind) for kind in suite["kinds"]),
                "phases": tuple(StepChange(**phase) for phase in suite["phases"]),
                "rows": tuple(_row(row) for row in suite["rows"]),
                "ops": tuple(_row(row) for row in suite["ops"]),
                "kernel_counters": tuple(
                    KernelCounter(**counter) for counter in suite.get("kernel_counters", ())
                ),
                "counters": {n: (b, h) for n, (b, h) in suite["counters"].items()},
                "frames": tuple(
                    Frame(**{**frame, "path": tuple(frame["path"])}) for frame in suite["frames"]
                ),
                "traces": tuple(suite["traces"]),
                "trace_pairs": tuple((b, h) for b, h in suite.get("trace_pairs", ())),
            }
        )
        for suite in document["suites"]
    )
    rest = _known(Explanation, document)
    return Explanation(
        **{
            **rest,
            "cause": Cause(**document["cause"]),
            "suites": suites,
            "changed": tuple(document["changed"]),
            "warnings": tuple(document["warnings"]),
        }
    )


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: values[f.name] for f in fields(kind) if f.name in values}


def _step(values: Mapping[str, Any] | None) -> StepChange | None:
    return None if values is None else StepChange(**values)


def _row(values: Mapping[str, Any]) -> Row:
    calls = values["calls"]
    return Row(**{**values, "calls": None if calls is None else (calls[0], calls[1])})
