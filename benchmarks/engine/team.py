"""What a serving team asks of any engine, as scenarios made from a model's sizes.

Lengths are those of a full-size model, divided by ``scale`` for one that a CPU runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.engine.models import QWEN3_0_6B, QWEN3_8B, SMOLLM2, TINY
from tracker.load.lengths import Fixed
from tracker.load.scenario import ClosedLoop, Independent, Model, Scenario
from tracker.load.suite import Sweep

__all__ = ["QWEN_0_6B", "QWEN_8B", "SMOL", "TINY_TEAM", "Team", "frontier"]

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
    """

    model: Model
    scale: int
    waves: int
    least: int

    def tokens(self, count: int) -> Fixed:
        """Return ``count`` scaled, at least 2."""
        return Fixed(max(2, count // self.scale))


TINY_TEAM = Team(TINY, scale=16, waves=2, least=8)
SMOL = Team(SMOLLM2, scale=64, waves=1, least=2)
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
