"""The judge of a gate: pairs of launches in, verdicts out. Pure.

One judge serves the live gate, which gives it each pair as it is measured, and the replay of a
stored gate, which gives it the pairs of the store: the verdicts follow from the pairs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import NamedTuple

from tracker.domain import Arm, BenchmarkInfo, Expectation
from tracker.expected import nearest
from tracker.gate.control import Controls, control_differs, controls_of
from tracker.gate.family import (
    in_report_terms,
    judge_metric,
    make_gate,
    without_expected_change,
)
from tracker.gate.forecast import pairs_left
from tracker.gate.judged import Judged
from tracker.gate.policy import Policy
from tracker.stats import PairedGate, Verdict

__all__ = ["Judge", "Pair", "Point"]

Values = Mapping[str, float]
Point = tuple[float | None, float | None]  # (base, head); None: this launch gave no value


class Pair(NamedTuple):
    """One valid pair: the values of base and head by metric, the control's times, and which arm ran
    first (None: not known)."""

    base: Values
    head: Values
    controls: Controls
    first: Arm | None = None


class Judge:
    """Judges the metrics of a gate by the pairs that it is given.

    Args:
        policy: How strictly.
        seed: Of the random sign flips.
        expectations: Changes that are intended.

    Attributes:
        judged: By metric: those that any launch gave a value of, in the order of their first values.
        points: By metric, its values in every pair that had one.
        pairs: Pairs so far.
        invalid: Why these metrics decide nothing; empty when they do.
    """

    def __init__(
        self, policy: Policy, *, seed: int = 0, expectations: Iterable[Expectation] = ()
    ) -> None:
        self.policy = policy
        self.seed = seed
        self.judged: dict[str, Judged] = {}
        self.points: dict[str, list[Point]] = {}
        self.pairs = 0
        self.invalid: list[str] = []
        self._expectations = tuple(expectations)
        self._left_out: set[str] = set()
        self._pairs: list[Pair] = []
        self._known: dict[str, BenchmarkInfo] = {}  # by metric, with a value or without
        self._voting: PairedGate | None = None
        self._watching: PairedGate | None = None  # judges what has no vote

    def add(self, pair: Pair, benchmarks: Mapping[str, BenchmarkInfo]) -> None:
        """Judge one more pair.

        Args:
            pair: Its values. A metric without a value in both arms has none in this pair.
            benchmarks: By metric. A metric is judged from the first pair on that gives it a value.
        """
        pair = pair._replace(base=_unsigned_zeros(pair.base), head=_unsigned_zeros(pair.head))
        self._known |= benchmarks
        if self._declare(pair) or not self._pairs:
            self._make_gates()
        self._pairs.append(pair)
        self.pairs += 1
        for name in self.judged:
            point = (pair.base.get(name), pair.head.get(name))
            if point != (None, None):
                self.points[name].append(point)
        self._test(pair)

    def leave_out(self, metrics: Iterable[str]) -> None:
        """Wait for no more values of these metrics, and give them no verdict: launches fail."""
        self._left_out.update(metrics)

    def pending(self) -> frozenset[str]:
        """Return the metrics with a vote for which another pair is worth measuring."""
        return (self._voting.pending() if self._voting else frozenset()) - self._left_out

    def shown(self) -> list[Judged]:
        """Return the metrics that belong into a report, in the order they were declared."""
        return [judged for name, judged in self.judged.items() if name not in self._left_out]

    def verdicts(self, *, voting: bool = False) -> dict[str, Verdict]:
        """Return the verdicts as they are now; with `voting`, of the metrics with a vote only."""
        gates = (self._voting,) if voting else (self._voting, self._watching)
        verdicts: dict[str, Verdict] = {}
        for gate in gates:
            if gate is not None:
                verdicts |= in_report_terms(self.judged, gate.verdicts())
        return {name: verdicts[name] for name in self.judged if name in verdicts}

    def regressions(self) -> frozenset[str]:
        """Return the metrics with a vote that are called a regression so far."""
        return self._voting.regressions() - self._left_out if self._voting else frozenset()

    @property
    def is_look(self) -> bool:
        """Whether the last pair was one at which noisy metrics are judged."""
        return self._voting is not None and self._voting.pairs in self._voting.looks

    @property
    def out_of_pairs(self) -> bool:
        return self._voting is not None and self._voting.pairs >= self._voting.max_pairs

    def pairs_left(self) -> dict[str, int | None]:
        """Return the further pairs that would probably decide each pending metric; None: not known."""
        if self._voting is None:
            return {}
        ratios = self._voting.log_ratios()
        return {
            name: pairs_left(
                ratios.get(name, ()),
                margin=self.judged[name].policy.margin,
                detect=self.judged[name].policy.detect,
                looks=self._voting.looks,
            )
            for name in self.pending()
        }

    def skipped(self) -> list[str]:
        """Return the metrics with a vote that neither arm gave a value of in any pair."""
        return [
            name
            for name, info in self._known.items()
            if name not in self.judged
            and name not in self._left_out
            and judge_metric(name, info, self.policy, 0.0).votes
        ]

    def medians(self, name: str) -> Point:
        """Return the medians of a metric over the pairs with both values, else over what there is."""
        points = self.points[name]
        both = [point for point in points if None not in point] or points
        base, head = ([v for v in arm if v is not None] for arm in zip(*both, strict=True))
        return (median(base) if base else None, median(head) if head else None)

    def breaks_limit(self, name: str) -> tuple[float, bool] | None:
        """Return the limit that HEAD breaks and whether that blocks, or None."""
        judged = self.judged[name]
        base, head = self.medians(name)
        limit = self.policy.limit(name, judged.benchmark.unit)
        better = judged.policy.better
        if limit is None or head is None or not limit.is_broken_by(head, better):
            return None
        return limit.worst, base is None or limit.blocks(base, better)

    def warnings(self) -> list[str]:
        """Return the warnings that belong beside the verdicts."""
        unused = [
            f"an expectation is of no use here: {unknown}"
            for item in self._expectations
            if self.pairs and (unknown := nearest(item.metric, self.judged)) is not None
        ]
        return unused + control_differs([pair.controls for pair in self._pairs])

    def _tested(self, name: str, pair: Pair) -> tuple[float, float] | None:
        base, head = pair.base.get(name), pair.head.get(name)
        if base is None or head is None:
            return None
        return without_expected_change(self.judged[name], (base, head))

    def _declare(self, pair: Pair) -> bool:
        """Judge the metrics that have their first value in this pair; return whether there are any."""
        num_judged = len(self.judged)
        # By benchmark, then as the suites order its parameter points: the same live and replayed.
        for name, info in sorted(self._known.items(), key=lambda item: item[1].name):
            value = pair.base.get(name, pair.head.get(name))
            if value is not None and name not in self.judged:
                self.judged[name] = judge_metric(name, info, self.policy, value, self._expectations)
                self.points[name] = []
        return len(self.judged) > num_judged

    def _make_gates(self) -> None:
        """Make the tests of all metrics judged so far, and give them the pairs so far.

        A metric that was skipped in the first pairs has no evidence in them, so that it changes
        nothing of what they decided.
        """
        watched = [judged for judged in self.judged.values() if judged.watched]
        self._voting = make_gate([j for j in watched if j.votes], self.policy, self.seed)
        self._watching = make_gate([j for j in watched if not j.votes], self.policy, self.seed)
        self.invalid = []
        if self._voting is None:
            self.invalid = [
                "no benchmark gave a value" if not self.judged
                else "no metric that was measured has a vote" if watched
                else "no metric can be judged: none that was measured says which direction is better "
                "(set `better` on the benchmark or in [gate.metrics])"
            ]  # fmt: skip
        for pair in self._pairs:
            self._test(pair)

    def _test(self, pair: Pair) -> None:
        controls = controls_of(
            {name: judged.benchmark.name for name, judged in self.judged.items()}, pair.controls
        )
        for gate, votes in ((self._voting, True), (self._watching, False)):
            if gate is None or gate.pairs >= gate.max_pairs:
                continue
            tested = {
                name: self._tested(name, pair)
                for name, judged in self.judged.items()
                if judged.watched and judged.votes is votes
            }
            have = {name for name, values in tested.items() if values is not None}
            try:
                gate.add(
                    tested,
                    {name: controls[name] for name in have & controls.keys()},
                    first=pair.first,
                )
            except ValueError as error:  # a value that is no finite number
                self.invalid = [str(error)]


def _unsigned_zeros(values: Values) -> Values:
    """-0.0 as 0.0: not every database keeps the sign, and a replay must equal the gate."""
    return {name: value + 0.0 for name, value in values.items()}
