"""An asv results directory as asv 0.6 writes it, of a serving suite that got slower once."""

import json
import random
from datetime import UTC, datetime, timedelta

COLUMNS = [
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
    "stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile",
]  # fmt: skip

# metric: (unit, better, kind, first level, {commit: factor of the level from there on})
METRICS = {
    "track_ttft_p50": ("s", "lower", "timing", 0.0123, {40: 1.31}),
    "track_itl_p50": ("s", "lower", "timing", 0.0031, {40: 1.12}),
    "track_throughput": ("tokens/s", "higher", "rate", 5230.0, {40: 0.9}),
    "track_mbu": ("1", "higher", "utilization", 0.62, {55: 1.1}),
    "track_peak_memory": ("bytes", "lower", "exact", 3.2e9, {}),
    "track_steps": ("1", "lower", "exact", 141.0, {55: 1.25}),
    "track_energy": ("J/token", None, "energy", 0.21, {}),
}
CLASSES = ("bench_serving.Chat", "bench_serving.Summarise")
WORST = "bench_serving.Chat.track_ttft_p50"  # Summarise stays as it was
FAILED_AT = 20  # throughput failed there
REPEATED = (2, 12, 22, 32, 52, 62)  # measured by two launches, which tell the noise
NUM_COMMITS = 80
SEED = 1000
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def commit(place):
    return random.Random(place).randbytes(20).hex()


def write_results(root, *, machine="runner-a", num_commits=NUM_COMMITS):
    """Write benchmarks.json, machine.json and a result file a commit; return the directory."""
    folder = root / "results" / machine
    folder.mkdir(parents=True)
    benchmarks = {"version": 2}
    for cls in CLASSES:
        for name, (unit, better, kind, _, _) in METRICS.items():
            full = f"{cls}.{name}"
            benchmarks[full] = {
                "name": full, "code": "", "type": "track", "unit": unit, "version": "1",
                "param_names": [], "params": [], "timeout": 600, "kind": kind,
                **({"better": better} if better else {}),
            }  # fmt: skip
    (root / "results" / "benchmarks.json").write_text(json.dumps(benchmarks))
    facts = {"machine": machine, "arch": "x86_64", "cpu": "A CPU", "num_cpu": "16",
             "os": "Linux", "ram": "128G"}  # fmt: skip
    (folder / "machine.json").write_text(json.dumps({**facts, "version": 1}))
    for place in range(num_commits):
        for launch in range(2 if place in REPEATED else 1):
            content = json.dumps(_result_file(place, facts, launch))
            (folder / f"{commit(place)[:8]}-existing{launch or ''}.json").write_text(content)
    return root / "results"


def _result_file(place, facts, launch):
    moment = START + timedelta(hours=20 * place)
    millis = int(moment.timestamp() * 1000)
    started = millis + 60_000 * (1 + launch)
    rng = random.Random(SEED + place + 1000 * launch)
    results = {}
    for cls in CLASSES:
        for name, (_, _, kind, level, factors) in METRICS.items():
            value = level
            if cls == CLASSES[0]:
                for since, factor in factors.items():
                    value *= factor if place >= since else 1
            value = round(value) if kind == "exact" else value * (1 + rng.gauss(0, 0.008))
            if name == "track_throughput" and place == FAILED_AT:
                value = None
            sure = value is None or kind == "exact"
            low, high = (None, None) if sure else (value * 0.99, value * 1.01)
            results[f"{cls}.{name}"] = [
                [value], [], "1", started, 1.5, [low], [high], [low], [high], [1], [5],
            ]  # fmt: skip
    torch = "2.12.0" if place < 60 else "2.13.0"
    return {
        "commit_hash": commit(place),
        "env_name": "existing-py_home_ci_venv_bin_python",
        "date": millis,
        "params": {**facts, "python": "3.11", "torch": torch},
        "python": "3.11",
        "requirements": {"torch": torch},
        "env_vars": {},
        "result_columns": COLUMNS,
        "results": results,
        "durations": {},
        "version": 2,
    }
