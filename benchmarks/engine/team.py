"""What a serving team asks of any engine, as scenarios made from a model's sizes.

Lengths are those of a full-size model, divided by ``scale`` for one that a CPU runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from tracker.load.capacity import LIMITS, Capacity
from tracker.load.lengths import Between, Fixed
from tracker.load.metrics import STRICT, Slo
from tracker.load.scenario import Bursts, ClosedLoop, Independent, Model, OpenLoop, Probed, Scenario
from tracker.load.suite import Sweep

__all__ = [
    "LONG",
    "QWEN_0_6B",
    "QWEN_8B",
    "SHORT",
    "SMOL",
    "TINY_TEAM",
    "Team",
    "arrivals",
    "cancellations",
    "capacity",
    "documents",
    "frontier",
    "stalls",
]

SHORT, LONG = (256, 128), (1024, 512)  # tokens in, tokens out
CONCURRENCY = (1, 2, 4, 8, 16, 32, 64, 100)


@dataclass(frozen=True, slots=True)
class Team:
    """How much of everything a model is given.

    Attributes:
        model: Which.
        scale: Divides every length.
        waves: Requests of a closed loop over its concurrency.
        least: Requests of a load at least.
        document_scale: Divides the lengths of documents.
        probe_tokens_per_second: Of the stream of a stall probe, so that it lasts as long as the load.
        slos: Service levels of the goodputs.
    """

    model: Model
    scale: int
    waves: int
    least: int
    document_scale: int = 1
    probe_tokens_per_second: float = 50.0
    slos: tuple[Slo, Slo] = (LIMITS, STRICT)

    def tokens(self, count: int, scale: int | None = None) -> Fixed:
        """Return ``count`` over ``scale`` (None: the model's), at least 2."""
        return Fixed(max(2, count // (scale or self.scale)))


TINY_TEAM = Team(
    TINY,
    scale=16,
    waves=2,
    least=8,
    probe_tokens_per_second=200.0,
    # So short a load never waits two seconds: the limits are those of a model this small.
    slos=(Slo(ttft=0.05, tpot=0.02), Slo(ttft=0.02, tpot=0.005)),
)
SMOL = Team(SMOLLM2, scale=64, waves=1, least=2, document_scale=16, probe_tokens_per_second=4.0)
QWEN_0_6B = Team(QWEN3_0_6B, scale=1, waves=2, least=8)
QWEN_8B = Team(QWEN3_8B, scale=1, waves=2, least=8)


def frontier(team: Team, lengths: tuple[int, int]) -> Sweep:
    """Return closed loops from one request in flight to a hundred: the latency-throughput frontier.

    Args:
        team: The model and its sizes.
        lengths: Tokens in and out at full size: `SHORT` or `LONG`.
    """
    prompt, output = (team.tokens(count) for count in lengths)
    most = max(CONCURRENCY)
    return Sweep(
        "concurrency",
        {
            concurrency: Scenario(
                version="1",
                model=team.model,
                workload=Independent(max(team.least, team.waves * concurrency), prompt, output),
                load=ClosedLoop(concurrency),
                engine={
                    "max_num_seqs": most,
                    "max_model_len": prompt.tokens + output.tokens + 16,
                },
                seed=concurrency,  # else the points of one server would find each other's prefixes
                warmup_output=2,
                limit=300.0,
            )
            for concurrency in CONCURRENCY
        },
    )


def documents(team: Team, *, requests: int) -> Scenario:
    """Return long prompts, 2,000 to 3,500 tokens, one after another: the memory they take at its peak."""
    prompt = Between(*(team.tokens(count, team.document_scale).tokens for count in (2000, 3500)))
    return Scenario(
        version="1",
        model=team.model,
        workload=Independent(requests, prompt, team.tokens(128)),
        load=ClosedLoop(2),
        engine={"max_model_len": prompt.most + 144, "max_num_seqs": 4},
        warmup_output=2,
    )


def arrivals(team: Team, *, rate: float, requests: int, burst: int | None = None) -> Scenario:
    """Return short requests that arrive whether or not the engine keeps up.

    Args:
        team: The model and its sizes.
        rate: Requests a second.
        requests: How many.
        burst: That many arrive at once; None: Poisson.
    """
    prompt, output = (team.tokens(count) for count in SHORT)
    return Scenario(
        version="1",
        model=team.model,
        workload=Independent(requests, prompt, output),
        load=OpenLoop(rate) if burst is None else Bursts(rate, burst),
        engine={"max_model_len": prompt.tokens + output.tokens + 16},
        warmup=8,
        slos=team.slos,
    )


def capacity(team: Team, *, start: float, requests: int) -> Capacity:
    """Return the search for the highest Poisson rate that holds the model's relaxed service level.

    Args:
        team: The model and its sizes.
        start: Requests a second to begin with.
        requests: Of each load.
    """
    return Capacity(arrivals(team, rate=start, requests=requests))


def stalls(team: Team, *, rate: float, requests: int) -> Scenario:
    """Return one stream of tokens beside long prompts that arrive at ``rate`` a second."""
    prompt, output = team.tokens(LONG[0], team.document_scale), team.tokens(16)
    probe = int(requests / rate * team.probe_tokens_per_second)
    return Scenario(
        version="1",
        model=team.model,
        workload=Probed(requests, prompt, output, probe_prompt=16, probe_output=probe),
        load=OpenLoop(rate),
        engine={"max_model_len": max(prompt.tokens + output.tokens, 16 + probe) + 16},
        warmup=4,
    )


def cancellations(team: Team, *, requests: int) -> Scenario:
    """Return a closed loop in which every third client goes away after four tokens."""
    prompt, output = (team.tokens(count) for count in LONG)
    return Scenario(
        version="1",
        model=team.model,
        workload=Independent(requests, prompt, output, cancel_every=3, cancel_after=4),
        load=ClosedLoop(8),
        engine={"max_model_len": prompt.tokens + output.tokens + 16},
    )
