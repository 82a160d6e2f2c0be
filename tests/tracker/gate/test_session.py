import dataclasses
import html
import itertools

import pytest

from tests.tracker.gate.fakes import BASE, BENCHMARKS, HEAD, WORK, Lab, Notes
from tracker.domain import Fingerprint
from tracker.errors import MeasurementError
from tracker.gate.assembly import make_report
from tracker.gate.judge import Pair
from tracker.gate.order import PairOrder
from tracker.gate.policy import Policy
from tracker.gate.session import Earlier, Session
from tracker.measure.launch import LaunchFault
from tracker.metrics import MetricRule
from tracker.report import FORMATS, render

TTFT, RATE, STEPS = "suite.A.track_ttft", "suite.A.track_rate", "suite.A.track_steps"
E2E, MOOD = "suite.B.track_e2e", "suite.B.track_mood"


DEFAULT = Policy()


def gate(lab, policy=DEFAULT, *, notes=None, **options):
    session = Session(lab, BASE, HEAD, policy, listener=notes or Notes(), **options)
    session.run()
    report = make_report(
        session.judge, session.course, project="toy", machine="m", base=BASE, head=HEAD
    )
    return session, report


def outcomes(report):
    return {row.metric: row.outcome for row in report.rows}


def test_nothing_changed_passes_and_says_what_it_would_have_seen():
    session, report = gate(Lab())
    assert report.exit_code == 0
    assert outcomes(report) == {
        TTFT: "pass", RATE: "pass", STEPS: "pass", E2E: "pass", MOOD: "not judged",
    }  # fmt: skip
    assert session.course.stopped == "every metric is decided"
    assert all(row.sees is not None for row in report.rows if row.metric in (TTFT, RATE, E2E))


@pytest.mark.parametrize(("metric", "effect"), [(TTFT, 0.08), (RATE, -0.08)])
def test_a_slowdown_blocks_in_the_metric_that_has_it(metric, effect):
    _, report = gate(Lab(effect={metric: effect}))
    assert report.exit_code == 1
    assert [row.metric for row in report.rows if row.outcome == "regression"] == [metric]
    (row,) = [row for row in report.rows if row.metric == metric]
    assert row.effect == pytest.approx(effect, abs=0.01)
    assert metric in report.headline


def test_a_speedup_does_not_block():
    _, report = gate(Lab(effect={TTFT: -0.2}))
    assert report.exit_code == 0
    assert outcomes(report)[TTFT] == "improvement"


def test_a_coin_for_each_pair_decides_which_commit_goes_first():
    order = PairOrder(3)
    pairs = [next(order) for _ in range(400)]
    assert all(sorted(pair) == ["base", "head"] for pair in pairs)
    first = [pair[0] == "base" for pair in pairs]
    assert 160 < sum(first) < 240
    for lag in range(1, 9):  # no pair tells the order of another
        assert 160 < sum(a == b for a, b in zip(first, first[lag:], strict=False)) < 240
    again = PairOrder(3)
    assert [next(again) for _ in range(400)] == pairs


def test_the_first_commit_of_a_pair_is_measured_first():
    lab, notes = Lab(), Notes()
    gate(lab, notes=notes, seed=5)
    order = PairOrder(5)
    expected = [arm for _ in range(len(lab.calls) // 2) for arm in next(order)]
    assert [arm for arm, _ in lab.calls] == expected


def test_an_exact_regression_waits_for_the_noisy_metrics_first_look():
    session, report = gate(Lab(effect={STEPS: 0.025}, noise=0.02))
    assert report.exit_code == 1
    assert session.judge.pairs == 6
    assert session.course.stopped == "a regression is decided"


def test_fail_fast_does_not_wait():
    session, report = gate(Lab(effect={STEPS: 0.025}), fail_fast=True)
    assert (session.judge.pairs, report.exit_code) == (1, 1)


@pytest.mark.parametrize(("steps", "code"), [(39, 1), (41, 0)])
def test_fail_fast_ends_at_the_first_broken_limit(steps, code):
    from tracker.gate.policy_file import parse_policy

    session, report = gate(Lab(), parse_policy({"limits": {"track_steps": steps}}), fail_fast=True)
    assert report.exit_code == code
    assert (
        (session.judge.pairs == 1)
        == (session.course.stopped == "stopped at the first broken limit")
        == bool(code)
    )


def test_exact_metrics_alone_take_one_pair():
    session, report = gate(Lab(), Policy(bench=("track_steps",)))
    assert (session.judge.pairs, report.exit_code) == (1, 0)


def test_whoever_waits_is_told_what_is_undecided_and_how_long_it_takes():
    notes, ticks = Notes(), itertools.count(0, 10)
    gate(Lab(noise=0.01), notes=notes, clock=lambda: float(next(ticks)))
    first, sixth = notes.standings[0], notes.standings[5]
    assert set(first.left) == {TTFT, RATE, E2E} and first.pairs_left is first.seconds_left is None
    assert sixth.pairs == 6 and 0 < sixth.pairs_left <= 44
    assert sixth.seconds_left == pytest.approx(sixth.pairs_left * sixth.seconds_per_pair)
    assert notes.standings[-1].left == {} and notes.standings[-1].pairs_left == 0
    assert set(first.verdicts) == {TTFT, RATE, STEPS, E2E}


def earlier(lab, pairs):
    """The first pairs of a gate as the store would give them back, and their launches."""
    order, values, launches = PairOrder(0), [], []
    for _ in range(pairs):
        arms = {arm: lab(BASE if arm == "base" else HEAD, arm, ()) for arm in next(order)}
        values.append(Pair(arms["base"].values(), arms["head"].values(), {}, next(iter(arms))))
        launches += arms["base"].launches
    return Earlier(BENCHMARKS, values, launches)


def test_a_gate_that_goes_on_ends_as_one_that_was_not_cut_off():
    whole, report = gate(Lab(effect={TTFT: 0.04}, noise=0.01))
    lab, notes = Lab(effect={TTFT: 0.04}, noise=0.01), Notes()
    again, same = gate(lab, notes=notes, earlier=earlier(lab, 4))
    assert notes.resumed_after == 4 and len(notes.standings) == whole.judge.pairs - 4
    assert [arm for arm, _ in lab.calls] == [
        arm for arm, _ in zip(itertools.chain.from_iterable(order_of(0)), lab.calls, strict=False)
    ]
    assert again.judge.points == whole.judge.points
    assert dataclasses.replace(same, seconds=0.0) == dataclasses.replace(report, seconds=0.0)


def order_of(seed):
    order = PairOrder(seed)
    while True:
        yield next(order)


def test_a_gate_that_goes_on_holds_new_launches_against_the_old_environment():
    lab = Lab()
    before = earlier(lab, 3)
    moved = dataclasses.replace(before.launches[0], fingerprint=Fingerprint(driver="550"))
    before = dataclasses.replace(before, launches=[moved])
    session, report = gate(lab, earlier=before)
    assert report.exit_code == 4 and "driver from 550 to 570" in report.headline
    assert session.judge.pairs == 3


def test_what_is_decided_is_measured_no_more():
    lab = Lab(effect={E2E: 0.018}, noise=0.02)
    session, _ = gate(lab, Policy(max_pairs=12, metrics=(MetricRule("A.track", detect=0.5),)))
    assert session.judge.pairs > 6
    narrowed = [bench for _, bench in lab.calls[12:]]
    assert narrowed and all(bench and "track_e2e" in bench[0] for bench in narrowed)
    assert len(session.judge.points[TTFT]) == 6 < len(session.judge.points[E2E])
    assert len(session.judge.points[MOOD]) == len(
        session.judge.points[E2E]
    )  # of the same suite class


def test_out_of_pairs_is_undecided_and_the_policy_says_what_then():
    lab = {"effect": {TTFT: 0.02}, "noise": 0.03}
    session, report = gate(Lab(**lab), Policy(max_pairs=6))
    assert session.course.stopped == "out of pairs"
    assert outcomes(report)[TTFT] == "inconclusive"
    assert report.exit_code == 0 and report.headline.startswith("INCONCLUSIVE")
    assert "6 pairs cannot call a regression at alpha 0.01; 8 can" in report.warnings
    _, report = gate(Lab(**lab), Policy(max_pairs=6, on_inconclusive="block"))
    assert report.exit_code == 3 and report.headline.startswith("INCONCLUSIVE")


def test_the_budget_asks_for_no_pair_that_would_end_later():
    ticks = itertools.count(0, 10)  # every look at the clock is 10 s later
    session, _ = gate(Lab(noise=0.05), Policy(budget=100), clock=lambda: float(next(ticks)))
    assert session.course.stopped == "the budget of 100 s is spent"
    assert 1 <= session.judge.pairs < 6


def test_a_failed_launch_is_dropped_in_both_arms_and_repeated():
    notes = Notes()
    lab = Lab(script={3: MeasurementError("out of memory")})
    session, report = gate(lab, notes=notes)
    assert report.exit_code == 0
    assert session.course.dropped == 1 and len(notes.dropped) == 1
    # The launch beside the failed one belongs to no pair; the others are numbered without a gap.
    assert [pair for _, pair in notes.launched_as].count(None) == 1
    numbered = [pair for _, pair in notes.launched_as if pair is not None]
    assert numbered == [n for n in range(1, session.judge.pairs + 1) for _ in range(2)]


def failing(*arms, log=None):
    """A lab in which whole launches of these arms fail."""

    def lab(commit, arm, bench):
        if arm in arms:
            raise MeasurementError("it does not start", log=log)
        return Lab()(commit, arm, bench)

    return lab


def test_a_head_that_cannot_be_measured_is_broken_with_its_log(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("first\n" * 100 + "RuntimeError: no device code\n\n")
    session, report = gate(failing("head", log=log))
    assert (report.outcome, report.exit_code) == ("broken", 1)
    assert session.course.dropped == 1 and session.judge.pairs == 0
    assert {m.metric for m in report.missing} == set(outcomes(gate(Lab())[1]))
    assert report.headline.startswith("BROKEN: HEAD fails") and "does not start" in report.headline
    assert report.missing[0].log[-1] == "RuntimeError: no device code"
    assert len(report.missing[0].log) == 12


@pytest.mark.parametrize("arms", [("base",), ("base", "head")])
def test_a_base_that_cannot_be_measured_is_the_infrastructures_fault(arms):
    _, report = gate(failing(*arms))
    assert (report.outcome, report.exit_code) == ("infrastructure", 4)
    assert "it does not start" in report.headline + str(report.missing)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_benchmark_that_only_head_fails_twice_in_a_row_is_broken(seed):
    session, report = gate(Lab(broken={"head": [TTFT]}), seed=seed)
    assert (report.outcome, report.exit_code) == ("broken", 1)
    assert (session.course.dropped, session.judge.pairs) == (1, 1)
    assert TTFT in report.headline and "it broke" in report.headline
    assert [(m.metric, m.where, m.fails) for m in report.missing] == [(TTFT, "head", True)]
    assert outcomes(report)[STEPS] == "pass" and TTFT not in outcomes(report)


def test_a_benchmark_that_head_fails_once_is_measured_again():
    def crash(result):
        return dataclasses.replace(
            result,
            file=dataclasses.replace(
                result.file,
                measurements=tuple(
                    dataclasses.replace(m, status="failed", value=None)
                    for m in result.file.measurements
                ),
            ),
        )

    heads = [n for n, arm in enumerate(itertools.islice(_arms(0), 12)) if arm == "head"]
    session, report = gate(Lab(script={heads[3]: crash}))
    assert report.outcome == "pass" and session.course.dropped == 1


def _arms(seed):
    order = PairOrder(seed)
    while True:
        yield from next(order)


def test_a_broken_benchmark_beside_a_regression_names_both():
    _, report = gate(Lab(broken={"head": [TTFT]}, effect={STEPS: 0.1}))
    assert report.outcome == "broken" and f"REGRESSION: {STEPS}" in report.headline


def test_what_has_no_vote_may_fail_and_is_named():
    policy = Policy(metrics=(MetricRule("ttft", vote=False),))
    session, report = gate(Lab(broken={"head": [TTFT]}), policy)
    assert report.outcome == "pass" and session.course.dropped == 0
    assert [(m.metric, m.where, m.fails) for m in report.missing] == [(TTFT, "head", False)]


def test_a_benchmark_that_both_fail_hides_no_verdict_and_is_no_pass():
    session, report = gate(Lab(broken={"head": [TTFT], "base": [TTFT]}))
    assert (report.outcome, report.exit_code) == ("infrastructure", 4)
    assert [(m.metric, m.where, m.reason) for m in report.missing] == [(TTFT, "both", "it broke")]
    assert session.course.dropped == 0
    assert outcomes(report) == {RATE: "pass", STEPS: "pass", E2E: "pass", MOOD: "not judged"}
    assert f"{TTFT} fails in both commits; 3 metrics pass" in report.headline
    slow = Lab(broken={"head": [TTFT], "base": [TTFT]}, effect={E2E: 0.1})
    _, report = gate(slow)
    assert (report.outcome, report.exit_code) == ("regression", 1)
    assert f"{TTFT} fails in both commits" in report.headline


def test_a_benchmark_that_only_base_fails_is_the_infrastructures_fault_and_the_others_go_on():
    session, report = gate(Lab(broken={"base": [TTFT]}))
    assert (report.outcome, report.exit_code) == ("infrastructure", 4)
    assert session.course.dropped == 1
    assert [(m.metric, m.where) for m in report.missing] == [(TTFT, "base")]
    assert outcomes(report)[E2E] == "pass"


def test_a_benchmark_that_fails_in_both_later_on_is_given_up():
    class Later(Lab):
        def __call__(self, commit, arm, bench):
            self.broken = {arm: [E2E]} if len(self.calls) >= 6 else {}
            return super().__call__(commit, arm, bench)

    session, report = gate(Later(noise=0.01))
    assert report.outcome == "infrastructure" and session.judge.pairs > 6
    assert [(m.metric, m.where) for m in report.missing] == [(E2E, "both")]
    assert E2E not in outcomes(report) and outcomes(report)[TTFT] == "pass"


def skipping(arm, metric, pairs=1000):
    """A lab in which an arm declines to measure a metric in its first launches."""

    class Skipping(Lab):
        def __call__(self, commit, which, bench):
            result = super().__call__(commit, which, bench)
            if which != arm or sum(a == arm for a, _ in self.calls) > pairs:
                return result
            changed = tuple(
                dataclasses.replace(m, status="skipped", value=None) if m.benchmark == metric else m
                for m in result.file.measurements
            )
            return dataclasses.replace(
                result, file=dataclasses.replace(result.file, measurements=changed)
            )

    return Skipping()


@pytest.mark.parametrize("arm", ["base", "head"])
def test_a_metric_that_one_arm_skips_now_and_then_is_judged_by_the_other_pairs(arm):
    session, report = gate(skipping(arm, TTFT, pairs=2))
    assert report.outcome == "pass" and session.course.dropped == 0
    (row,) = [row for row in report.rows if row.metric == TTFT]
    assert (row.outcome, row.pairs) == ("pass", session.judge.pairs - 2)


@pytest.mark.parametrize(
    ("arm", "outcome", "code"), [("head", "inconclusive", 0), ("base", "invalid", 4)]
)
def test_an_arm_that_skips_everything_is_no_failure_and_no_pass(arm, outcome, code):
    session, report = gate(skipping(arm, STEPS), Policy(bench=("track_steps",)))
    assert (report.outcome, report.exit_code) == (outcome, code)
    assert session.course.dropped == 0 and report.missing == ()


def test_a_metric_that_head_skips_for_good_is_undecided_by_name():
    session, report = gate(skipping("head", TTFT))
    assert (report.outcome, report.exit_code) == ("inconclusive", 0)
    assert outcomes(report)[TTFT] == "inconclusive" and TTFT in report.headline
    assert session.course.dropped == 0 and session.judge.pairs <= 8


def test_other_tokens_are_different_work_where_the_policy_says_so():
    lab = Lab(work={"head": WORK | {"tokens_sha256": "bb"}})
    session, report = gate(lab, Policy(same_work="tokens"))
    assert report.exit_code == 4 and session.course.dropped == 2
    assert "work differs in suite.A" in report.headline and "tokens" in report.headline


def test_other_tokens_are_judged_and_named_but_not_another_number_of_them():
    _, report = gate(Lab(work={"head": WORK | {"tokens_sha256": "bb"}}))
    assert report.exit_code == 0
    (warning,) = report.warnings
    assert "different tokens, the same number of them, in suite.A" in warning
    _, report = gate(Lab(work={"head": WORK | {"output_tokens": 60}}))
    assert report.exit_code == 4
    assert "output_tokens 64 in base, 60 in head" in report.headline


def test_a_base_whose_tokens_vary_proves_nothing_against_head():
    numbers = itertools.count()

    class Unsteady(Lab):
        def __call__(self, commit, arm, bench):
            self.work = {arm: WORK | {"tokens_sha256": str(next(numbers))}}
            return super().__call__(commit, arm, bench)

    session, report = gate(Unsteady(), Policy(same_work="tokens"))
    assert report.exit_code == 0 and session.course.dropped == 1
    assert any("vary between launches" in warning for warning in report.warnings)


def test_other_finish_reasons_are_different_work():
    stopped = WORK | {"finish_reasons": {"stop": 4}}
    _, report = gate(Lab(work={"base": WORK | {"finish_reasons": {"length": 4}}, "head": stopped}))
    assert report.exit_code == 4 and "finish_reasons" in report.headline


def test_lost_prefix_hits_are_told_of_and_left_to_their_counter():
    work = {"base": WORK | {"cached_tokens": 560}, "head": WORK | {"cached_tokens": 0}}
    _, report = gate(Lab(work=work, effect={STEPS: 0.5}))
    assert report.exit_code == 1 and report.headline.startswith(f"REGRESSION: {STEPS};")
    (warning,) = [one for one in report.warnings if "prefix hits differ" in one]
    assert "suite.A: 560 prompt tokens in base, 0 in head" in warning


def throttled(result):
    (header,) = result.launches
    telemetry = {"throttle_reasons": ["sw_thermal_slowdown"]}
    changed = dataclasses.replace(header, header=header.header | {"telemetry": telemetry})
    return dataclasses.replace(result, launches=(changed,))


def test_throttling_twice_running_is_dropped_and_no_more():
    session, report = gate(Lab(script={2: throttled, 4: throttled}))
    assert report.exit_code == 0 and session.course.dropped == 2


def test_more_than_a_third_dropped_is_invalid():
    session, report = gate(Lab(script=dict.fromkeys(range(0, 100, 4), throttled)))
    assert report.exit_code == 4
    assert (
        "4 of 7 pairs are not valid" in report.headline and "sw_thermal_slowdown" in report.headline
    )
    assert session.judge.pairs == 3


def test_a_benchmark_that_takes_its_own_proof_with_it_is_broken_and_not_invalid():
    """A process that hangs or crashes records no imports; what the others import may be nothing."""
    lab = Lab(broken={"head": [STEPS]})

    def measure(commit, arm, bench):
        fault = LaunchFault("unseen", "no module of the commit was imported")
        return dataclasses.replace(lab(commit, arm, bench), faults=(fault,) * (arm == "head"))

    _, report = gate(measure)
    assert report.outcome == "broken" and STEPS in report.headline
    assert "head: no module of the commit was imported" in report.warnings
    lab.broken = {}
    assert gate(measure)[1].outcome == "invalid"


def test_other_processes_on_a_gpu_are_a_fault_in_one_arm_and_a_warning_in_both():
    def shared(*pids):
        def changed(result):
            (header,) = result.launches
            telemetry = {"gpus": [{"co_tenants": []}, {"co_tenants": list(pids)}]}
            header = dataclasses.replace(header, header=header.header | {"telemetry": telemetry})
            return dataclasses.replace(result, launches=(header,))

        return changed

    alone, visited = shared(), shared(7)
    session, report = gate(Lab(script={0: alone, 1: visited}))
    assert (session.course.dropped, report.outcome) == (1, "pass")
    session, report = gate(Lab(script={0: visited, 1: visited}))
    assert (session.course.dropped, report.outcome) == (0, "pass")
    assert "other processes were on GPU 1 during suite.A, in both commits" in report.warnings


def test_what_a_launch_could_not_prove_is_in_every_report():
    def noted(*notes):
        return lambda result: dataclasses.replace(result, notes=notes)

    both, alone = "which code ran is not proved", "kernels.so comes from the environment"
    _, report = gate(Lab(script={0: noted(both), 1: noted(both), 2: noted(both, alone)}))
    assert report.outcome == "pass"
    alone = next(text for text in report.warnings if alone in text)
    assert alone.partition(": ")[0] in ("base", "head")
    assert report.warnings.count(both) == 1
    for form in FORMATS.keys() - {"junit"}:
        text = html.unescape(render(report, form))
        assert both in text and alone in text, form


def test_interrupted_keeps_the_verdicts_and_is_not_green():
    notes = Notes()
    session, report = gate(Lab(script={5: KeyboardInterrupt()}), notes=notes)
    assert (session.judge.pairs, report.outcome, report.exit_code) == (2, "inconclusive", 130)
    assert outcomes(report)[STEPS] == "pass"
    assert notes.launched_as[-1][1] is None and len(notes.launched_as) == 5


def test_interrupted_after_a_regression_is_a_regression():
    _, report = gate(Lab(effect={STEPS: 0.1}, script={5: KeyboardInterrupt()}))
    assert report.exit_code == 1


def test_what_does_not_vote_is_judged_and_does_not_block():
    policy = Policy(metrics=(MetricRule("ttft", vote=False),))
    _, report = gate(Lab(effect={TTFT: 0.2}), policy, notes=Notes())
    (row,) = [row for row in report.rows if row.metric == TTFT]
    assert (row.votes, row.blocks) == (False, False)
    assert row.effect == pytest.approx(0.2, abs=0.02)
    assert report.exit_code == 0


def test_no_direction_anywhere_is_not_a_pass():
    policy = Policy(bench=("track_mood",))
    _, report = gate(Lab(), policy)
    assert report.exit_code == 4 and "which direction is better" in report.headline


def test_a_noisy_metric_that_falls_to_zero_is_judged():
    _, report = gate(Lab(effect={RATE: -1.0}))
    (row,) = [row for row in report.rows if row.metric == RATE]
    assert (row.outcome, row.effect) == ("regression", pytest.approx(-1.0))
    assert report.exit_code == 1


def test_an_absolute_limit_blocks_whatever_the_base_does():
    from tracker.gate.policy_file import parse_policy

    slow = parse_policy({"limits": {"ttft": 0.09}})
    _, report = gate(Lab(), slow)
    assert report.exit_code == 1
    (row,) = [row for row in report.rows if row.limit is not None]
    assert (row.metric, row.outcome) == (TTFT, "pass")
    _, report = gate(Lab(), parse_policy({"limits": {"ttft": 0.11, "rate": 400}}))
    assert report.exit_code == 0


def test_a_default_limit_that_base_breaks_too_only_warns(monkeypatch):
    from tests.tracker.gate import fakes

    monkeypatch.setitem(fakes.VALUES, TTFT, 3.0)
    policy = dataclasses.replace(
        Policy(), limits=(dataclasses.replace(Policy().limits[0], pattern="ttft"),)
    )
    _, report = gate(Lab(), policy)
    (row,) = [row for row in report.rows if row.limit is not None]
    assert (row.limit, row.limit_blocks, report.exit_code) == (2.0, False, 0)


def test_the_same_seed_gives_the_same_verdict():
    one = gate(Lab(effect={TTFT: 0.03}, noise=0.01), seed=7)[1]
    two = gate(Lab(effect={TTFT: 0.03}, noise=0.01), seed=7)[1]
    assert dataclasses.replace(one, seconds=0.0) == dataclasses.replace(two, seconds=0.0)


@pytest.mark.parametrize("arm", [0, 1])
@pytest.mark.parametrize(
    ("telemetry", "dropped"),
    [
        ({"throttled_share": {"sw_power_cap": 1.0, "sync_boost": 1.0}}, 0),
        ({"throttled_share": {"hw_thermal_slowdown": 0.04}}, 0),
        ({"throttled_share": {"hw_thermal_slowdown": 0.2}}, 1),
        ({"gpus": [{"throttled_share": {}}, {"throttled_share": {"hw_slowdown": 0.5}}]}, 1),
        ({"gpus": [{"serves": False, "throttled_share": {"hw_slowdown": 1.0}}]}, 0),
        ({"gpus": [{"failed_samples": 9, "samples": 10, "problem": "GPU is lost"}]}, 1),
        ({"gpus": [{"failed_samples": 0, "samples": 10, "problem": None}]}, 0),
        ({"throttle_reasons": ["hw_power_brake_slowdown"]}, 1),
        ({"throttle_reasons": ["sw_power_cap"]}, 0),
        (None, 0),
    ],
)
def test_only_a_slow_down_by_heat_or_hardware_is_a_fault(telemetry, dropped, arm):
    def changed(result):
        (header,) = result.launches
        header = dataclasses.replace(header, header=header.header | {"telemetry": telemetry})
        return dataclasses.replace(result, launches=(header,))

    session, report = gate(Lab(script={arm: changed}))
    assert (session.course.dropped, report.outcome) == (dropped, "pass")
