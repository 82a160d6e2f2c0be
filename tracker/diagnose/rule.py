"""A rule: a figure of the machine, of a launch, of traces or of a server, and the limit it should keep to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tracker.fingerprint import Gpu
from tracker.host import Blas, HostFacts

__all__ = ["LAYERS", "Advice", "Facts", "Figure", "Judged", "Rule", "judge"]

Layer = Literal["system", "model", "data"]
LAYERS: tuple[Layer, ...] = ("system", "model", "data")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known; None, or an empty mapping, is what is not.

    Attributes:
        host: The processor now.
        blas: What NumPy multiplies with, and how fast.
        gpus: As NVML sees them now.
        driver_cuda: The newest CUDA that the driver runs.
        suite: The launch that the figures below are of.
        metrics: Of the launch, or of the requests sent to a server, by name of the catalogue.
        counters: The engine's, over the launch's timed part.
        engine: The engine's settings.
        telemetry: Of the GPU that served the load.
        fingerprint: Of the launch.
        phases: Seconds a step by phase, from traces of this commit.
        server_url: A running server; the launch is then the requests sent to it.
    """

    host: HostFacts | None = None
    blas: Blas | None = None
    gpus: tuple[Gpu, ...] = ()
    driver_cuda: str | None = None
    suite: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    engine: Mapping[str, object] = field(default_factory=dict)
    telemetry: Mapping[str, object] = field(default_factory=dict)
    fingerprint: Mapping[str, object] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    server_url: str = ""


Figure = Mapping[str, Any] | None  # "x" is judged; "limit" where it depends; the rest is shown


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table. The texts are formats of the figure's values, ``limit``, ``of`` and ``url``.

    Attributes:
        name, layer: Of the condition.
        figure: From the facts; None where they do not say.
        beyond: How ``x`` passes the limit.
        limit: Where the figure brings none of its own.
        shown, limit_shown: The figure and its limit with units.
        source: Where the figure is from.
        action: What to do.
        gain: What that brings at most.
        needs: What is missing where there is no figure.
        severity: What `tracker doctor` makes of it; None: not the machine's, so not the doctor's.
    """

    name: str
    layer: Layer
    figure: Callable[[Facts], Figure]
    beyond: Literal[">", "<", ">="]
    limit: float
    shown: str
    limit_shown: str
    source: str
    action: str
    gain: str
    needs: str
    severity: Literal["warn", "fail"] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule's answer to facts.

    Attributes:
        rule: Which.
        figure: The figure with its unit; None where it is not known.
        advice: Where it is beyond the limit.
    """

    rule: Rule
    figure: str | None
    advice: Advice | None


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding.

    Attributes:
        name: Of the condition.
        layer: "system", "model" or "data".
        figure: What was measured, with its unit.
        limit: What it should keep to.
        source: Where the figure is from.
        action: What to do.
        gain: What that is expected to bring, at most.
    """

    name: str
    layer: Layer
    figure: str
    limit: str
    source: str
    action: str
    gain: str


def judge(rule: Rule, facts: Facts) -> Judged:
    """Return a rule's answer."""
    figure = rule.figure(facts)
    if figure is None:
        return Judged(rule, None, None)
    of = f"requests to {facts.server_url}" if facts.server_url else f"launch of {facts.suite}"
    values = {"limit": rule.limit, "of": of, "url": facts.server_url, **figure}
    x, limit = values["x"], values["limit"]
    is_beyond = {">": x > limit, "<": x < limit, ">=": x >= limit}[rule.beyond]
    texts = (rule.shown, rule.limit_shown, rule.source, rule.action, rule.gain)
    shown, *rest = (text.format(**values) for text in texts)
    return Judged(rule, shown, Advice(rule.name, rule.layer, shown, *rest) if is_beyond else None)
