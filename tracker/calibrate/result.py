"""What A/A gates show: the rate of false regressions and the noise of each metric."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracker.domain import GateInfo, Outcome
from tracker.gate.alpha_check import tightened
from tracker.gate.policy import Policy
from tracker.measure.git import Commit
from tracker.stats.calibration import Noise, lower_bound, trials_to_confirm, upper_bound

__all__ = ["Calibration", "MetricNoise"]


@dataclass(frozen=True, slots=True)
class MetricNoise:
    """One noisy metric over all A/A gates.

    Attributes:
        metric: Its name.
        noise: Its spread; None without a pair.
        mde: Median over gates of the minimum detectable effect; None where no gate could have
            called or excluded a slowdown.
        called: Gates that called it a regression.
        undecided: Gates that could not decide it.
        gates: Gates that judged it.
    """

    metric: str
    noise: Noise | None
    mde: float | None
    called: int
    undecided: int
    gates: int


@dataclass(slots=True)
class Calibration:
    """The state of a calibration, and at its end its result: A/A gates of one commit and one policy.

    Attributes:
        project: Its name.
        machine: Where they ran.
        commit: What was measured against itself.
        policy: Without absolute limits, which no chance breaks.
        wanted: Gates asked for.
        gates: Those that ended with a valid measurement, oldest first.
        uncounted: (outcome, headline) of this call's gates without a valid measurement: "broken",
            "infrastructure" or "invalid". None of them is a pass.
        metrics: The noise of each noisy metric, the noisiest first.
        unsteady: Exact metrics that differed between launches of the commit.
        pooled: (gates, false blocks) over every block with the policy's alpha on this machine.
        stopped: Why no more gates were run.
        interrupted: Whether somebody pressed Ctrl-C.
    """

    project: str
    machine: str
    commit: Commit
    policy: Policy
    wanted: int
    gates: list[GateInfo] = field(default_factory=list)
    uncounted: list[tuple[Outcome, str]] = field(default_factory=list)
    metrics: list[MetricNoise] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    pooled: tuple[int, int] = (0, 0)
    stopped: str = ""
    interrupted: bool = False

    @property
    def false_blocks(self) -> int:
        """Gates that called a regression though nothing changed."""
        return sum(gate.exit_code == 1 for gate in self.gates)

    @property
    def lowest_rate(self) -> float:
        """Lower end of the false-block rate, one-sided 95 %, exact."""
        return lower_bound(self.false_blocks, len(self.gates))

    @property
    def highest_rate(self) -> float:
        """Upper end of the false-block rate, one-sided 95 %, exact."""
        return upper_bound(self.false_blocks, len(self.gates))

    @property
    def refuted(self) -> bool:
        """Whether the gates refute the policy's alpha."""
        return self.lowest_rate > self.policy.alpha

    @property
    def broken(self) -> int:
        """Gates in which a benchmark failed in one of two arms of one commit: it fails at random."""
        return sum(outcome == "broken" for outcome, _ in self.uncounted)

    @property
    def to_confirm(self) -> int:
        """Gates without a false block that would confirm alpha."""
        return trials_to_confirm(self.policy.alpha)

    @property
    def alpha_to_try(self) -> float:
        """See `tracker.gate.alpha_check.tightened`; the policy's own where it is not refuted."""
        alpha = self.policy.alpha
        return tightened(alpha, len(self.gates), self.false_blocks) if self.refuted else alpha

    @property
    def exit_code(self) -> int:
        """4 where alpha is refuted, a gate broke or none was valid, 130 interrupted, else 0."""
        if self.interrupted:
            return 130
        return 4 if self.refuted or self.broken or not self.gates else 0
