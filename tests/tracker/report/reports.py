"""One report with everything in it, for the golden files."""

from tracker.report import Missing, Report, ReportRow
from tracker.report.creep import Creep, Drift
from tracker.report.tails import Tail


def row(metric, unit, better, kind, base, head, outcome, **more):
    values = {
        "effect": head / base - 1 if base else None, "low": None, "high": None, "votes": True,
        "pairs": 12, "mde": None, "reason": "",
    }  # fmt: skip
    return ReportRow(
        metric=metric, unit=unit, better=better, kind=kind, base=base, head=head,
        outcome=outcome, **(values | more),
    )  # fmt: skip


def full_report(**changes):
    rows = (
        row("bench_serving.C4.track_ttft_p50", "s", "lower", "timing", 0.0123, 0.0136,
            "regression", low=0.0972, high=0.1142, mde=0.0141),
        row("bench_serving.C4.track_throughput", "tokens/s", "higher", "rate", 152340.0, 152110.0,
            "pass", low=-0.0061, high=0.0031, mde=0.0152, detect=0.03),
        row("bench_serving.C4.track_peak_memory", "bytes", "lower", "exact", 2.5e9, 2.5e9, "pass",
            low=0.0, high=0.0, pairs=6),
        row("bench_decode.Step.track_step(1, 'int8')", "s", "lower", "timing", 3.1e-5, 3.0e-5,
            "improvement", low=-0.041, high=-0.023, mde=0.018, detect=0.03),
        row("bench_decode.Step.track_step(64, 'int8')", "s", "lower", "timing", 4.1e-5, 4.2e-5,
            "inconclusive", low=-0.06, high=0.11, mde=0.14,
            reason="pair noise of 9.0% at 12 pairs; about 729 pairs would decide"),
        row("bench_decode.Step.track_syncs", "1", "lower", "exact", 0.0, 2.0, "regression",
            votes=False, reason="exact: 0 -> 2"),
        row("bench_memory.track_mood", "points", None, "other", 3.0, 4.0, "not judged",
            votes=False, reason="no direction is stated"),
        row("bench_serving.C4.track_tpot_p50", "s", "lower", "timing", 0.51, 0.52, "pass",
            low=-0.01, high=0.02, detect=0.03, limit=0.5, limit_blocks=True),
    )  # fmt: skip
    values = {
        "project": "pacekeeper <toy>",
        "machine": "gpu-1",
        "base": "0123456789abcdef" * 2 + "01234567",
        "head": "fedcba9876543210" * 2 + "fedcba98",
        "base_subject": "Fuse the sampler",
        "head_subject": "Simplify the scheduler & <more>",
        "configuration": (("policy", "alpha 0.01, margin 1.0%, detect 3.0%"), ("gpu", "H100")),
        "rows": rows,
        "missing": (
            Missing("bench_spec.track_accept", "head", "AttributeError: no attribute 'draft'"),
            Missing("bench_tp.track_two", "both", "needs two GPUs"),
        ),
        "warnings": ("uncommitted changes are not measured: inference/engine.py",),
        "invalid": (),
        "stopped": "a regression is decided",
        "pairs": 12,
        "dropped": 1,
        "seconds": 754.2,
        "alpha": 0.01,
        "outcome": "regression",
        "gate_id": "abc",
    }
    return Report(**(values | changes))


REPORTS = {
    "gate-regression": full_report(),
    "gate-pass": full_report(
        outcome="improvement", missing=(), warnings=(), dropped=0, rows=full_report().rows[1:4]
    ),
    "gate-invalid": full_report(
        outcome="invalid", rows=(), pairs=0, invalid=("head cannot be measured: it does not start",)
    ),
    "gate-undecided": full_report(
        outcome="inconclusive", missing=(), warnings=(), rows=full_report().rows[1:5]
    ),
    "gate-expected": full_report(
        outcome="pass",
        missing=(),
        warnings=(),
        dropped=0,
        rows=(
            row(
                "bench_serving.C4.track_ttft_p50",
                "s",
                "lower",
                "timing",
                0.0123,
                0.0130,
                "pass",
                low=0.0472,
                high=0.0642,
                mde=0.0714,
                expected=0.06,
                reason="as expected +6.00% because prompts are checked first",
            ),
            full_report().rows[1],
        ),
    ),
    "gate-tails": full_report(
        outcome="pass",
        missing=(),
        warnings=(),
        dropped=0,
        rows=full_report().rows[1:3],
        tails=(
            Tail("bench_serving.C4", "ITL p99", 0.0213, 0.0221, 0.0376, -0.011, 0.082),
            Tail(
                "bench_serving.C4",
                "TTFT p99",
                0.31,
                0.45,
                0.4516,
                None,
                None,
                "192 requests an arm; 1000 would do",
            ),
        ),
    ),
    "gate-creep": full_report(
        missing=(),
        warnings=(),
        dropped=0,
        rows=full_report().rows[1:4],
        stopped="every metric is decided",
        creep=Creep(
            "v1.2",
            "measured",
            note="measured in 19 pairs",
            gate_id="def",
            drifts=(
                Drift("bench_serving.C4.track_peak_memory", "lower", 0.0, 0.0, 0.0, 0.05),
                Drift("bench_serving.C4.track_throughput", "higher", -0.0312, -0.05, -0.02, 0.05),
                Drift(
                    "bench_decode.Step.track_step(1, 'int8')",
                    "lower",
                    0.071,
                    0.062,
                    0.081,
                    0.05,
                    over=True,
                ),
            ),
        ),
    ),
    "gate-broken": full_report(
        outcome="broken",
        rows=full_report().rows[1:3],
        missing=(
            Missing(
                "bench_spec.track_accept(1)",
                "head",
                "RuntimeError: no device code",
                fails=True,
                log=("Traceback (most recent call last):", "RuntimeError: no device code ``` &"),
            ),
            Missing(
                "bench_spec.track_accept(2)", "head", "RuntimeError: no device code", fails=True
            ),
            Missing("bench_tp.track_two", "both", "needs two GPUs", fails=True),
        ),
        stopped="HEAD fails a benchmark that BASE runs",
    ),
    "gate-infrastructure": full_report(
        outcome="infrastructure",
        rows=full_report().rows[1:3],
        missing=(Missing("bench_tp.track_two", "both", "needs two GPUs", fails=True),),
        warnings=(),
        stopped="every metric is decided",
    ),
    "gate-inconclusive": full_report(
        outcome="inconclusive",
        undecided_blocks=True,
        missing=(),
        warnings=(),
        rows=full_report().rows[1:5],
    ),
}
