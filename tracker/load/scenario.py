"""What one launch runs. A scenario is a value: equal scenarios ask for equal work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tracker.load.errors import ScenarioError
from tracker.load.lengths import Lengths
from tracker.load.metrics import RELAXED, STRICT, Slo

__all__ = [
    "Bursts",
    "ClosedLoop",
    "Conversations",
    "Independent",
    "Load",
    "Model",
    "OpenLoop",
    "Probed",
    "Ramp",
    "Replay",
    "Scenario",
    "describe",
]


@dataclass(frozen=True, slots=True)
class Model:
    """A model, and where it runs.

    Attributes:
        name: A preset of the engine, or a directory of the cache.
        device: ``"cpu"`` or ``"cuda"``: fixed, since a series on either is a series of its own.
        weights: ``"dummy"`` (a preset) or ``"cache"`` (converted weights under the cache).
    """

    name: str
    device: str = "cpu"
    weights: str = "dummy"


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A next request as soon as one ends.

    Args:
        concurrency: Requests in flight, >= 1.
    """

    concurrency: int

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ScenarioError(f"concurrency is {self.concurrency}; give at least 1")


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests arrive whether or not the engine keeps up.

    Args:
        rate: Arrivals a second: Poisson, or of a replayed trace its own gaps stretched to it.
    """

    rate: float

    def __post_init__(self) -> None:
        _require_rate(self.rate)


@dataclass(frozen=True, slots=True)
class Bursts:
    """Groups of requests that arrive at once, evenly spaced.

    Args:
        rate: Requests a second over all.
        size: Requests of a burst, >= 1.
    """

    rate: float
    size: int

    def __post_init__(self) -> None:
        _require_rate(self.rate)
        if self.size < 1:
            raise ScenarioError(f"burst of {self.size}; give at least 1 request")


@dataclass(frozen=True, slots=True)
class Ramp:
    """Arrivals whose rate grows, or falls, evenly from the first request to the last.

    Args:
        start, end: Requests a second at either end.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        _require_rate(self.start)
        _require_rate(self.end)


Load = ClosedLoop | OpenLoop | Bursts | Ramp


def _require_rate(rate: float) -> None:
    if not rate > 0:
        raise ScenarioError(f"arrival rate is {rate!r}; give requests a second, above 0")


@dataclass(frozen=True, slots=True)
class Independent:
    """Requests that have nothing in common.

    Args:
        requests: How many.
        prompt, output: Their lengths, tokens.
        text: Prompts are text, for the engine to tokenize; else random token ids.
        cancel_every: The client of every so many-th request goes away; None: all wait.
        cancel_after: Tokens that it reads first.
    """

    requests: int
    prompt: Lengths
    output: Lengths
    text: bool = False
    cancel_every: int | None = None
    cancel_after: int = 1


@dataclass(frozen=True, slots=True)
class Probed:
    """One short request that streams to its end while long prompts arrive: it shows every stall.

    Args:
        requests: How many in all; the first is the probe.
        prompt, output: Lengths of the others, tokens.
        probe_prompt, probe_output: Tokens of the probe.
    """

    requests: int
    prompt: Lengths
    output: Lengths
    probe_prompt: int
    probe_output: int


@dataclass(frozen=True, slots=True)
class Conversations:
    """Chats of several turns behind one system prompt: prefixes are shared.

    Args:
        chats: How many; each is one client, waiting for its answer before it writes again.
        turns: Requests of each chat.
        system: Tokens of the system prompt, common to all.
        user, output: Lengths of what the user and the model add at a turn, tokens.
        text: Turns are text, lengths of ``system`` and ``user`` are words; else random token ids.
    """

    chats: int
    turns: int
    system: int
    user: Lengths
    output: Lengths
    text: bool = False

    @property
    def requests(self) -> int:
        """How many requests in all."""
        return self.chats * self.turns


@dataclass(frozen=True, slots=True)
class Replay:
    """The first requests of the trace file that ``PACEKEEPER_TRACE`` names.

    Args:
        requests: How many at most.
        scale: Factor on prompt lengths, and so on the size of the trace's prefix blocks.
        output_scale: Factor on output lengths.
        most_prompt, most_output: Longer ones are cut, after scaling, tokens.
    """

    requests: int
    scale: float = 1.0
    output_scale: float = 1.0
    most_prompt: int = 1_000_000
    most_output: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One engine launch: model, engine, work, load.

    Args:
        version: Set by hand; raise it whenever the work changes, since numbers of different work
            are different series.
        model: What to serve; None: whatever the server at hand serves.
        workload: The requests.
        load: How they arrive.
        engine: Keyword arguments of ``EngineConfig``.
        seed: Of lengths, tokens, arrivals and dummy weights (``engine`` may give the weights
            their own).
        warmup: Requests run before the clock starts, and never fewer than a closed loop's
            concurrency, at which they run; 0 is none. They have the workload's first lengths but
            tokens of their own, so that nothing of the timed part is in the cache.
        warmup_output: Tokens asked of each of them at most, >= 1.
        slos: The relaxed and the strict service level of the goodputs.
        temperature: 0 is greedy.
        natural_end: Outputs may end before their length, at the model's end-of-sequence token.
        limit: Seconds after which unfinished requests have timed out.
        max_error_rate: Share of failed requests above which no latency of the load is valid.
    """

    version: str
    model: Model | None = None
    workload: Independent | Probed | Conversations | Replay
    load: Load
    engine: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    warmup: int = 2
    warmup_output: int = 32
    slos: tuple[Slo, Slo] = (RELAXED, STRICT)
    temperature: float = 0.0
    natural_end: bool = False
    limit: float = 120.0
    max_error_rate: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "engine", dict(self.engine))  # not the caller's to change later
        if not self.version:
            raise ScenarioError("a scenario needs a version, set by hand")
        if self.warmup < 0:
            raise ScenarioError(f"warmup is {self.warmup}; give a number of requests, or 0")
        if self.warmup_output < 1:
            raise ScenarioError(f"warmup_output is {self.warmup_output}; give at least 1 token")
        if self.workload.requests < 1:
            raise ScenarioError(f"{self.workload.requests} requests: give at least 1")
        if not 0.0 <= self.max_error_rate < 1.0:
            raise ScenarioError(f"max_error_rate is {self.max_error_rate!r}; give 0 <= rate < 1")
        if isinstance(self.workload, Conversations) and not isinstance(self.load, ClosedLoop):
            raise ScenarioError("a chat waits for its answers: give Conversations a ClosedLoop")


def describe(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario as JSON values, each choice of a kind tagged with its name.

    What came later than the first recorded digests is left out at its default.
    """
    plain = asdict(scenario)
    if not plain["max_error_rate"]:
        del plain["max_error_rate"]
    if isinstance(scenario.workload, Conversations) and not scenario.workload.text:
        del plain["workload"]["text"]
    if isinstance(scenario.workload, Independent) and scenario.workload.cancel_every is None:
        del plain["workload"]["cancel_every"], plain["workload"]["cancel_after"]
    for key in ("workload", "load"):
        plain[key] = {"type": type(getattr(scenario, key)).__name__, **plain[key]}
    plain["slos"] = list(plain["slos"])
    return plain
