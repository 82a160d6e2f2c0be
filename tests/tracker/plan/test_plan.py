"""The planner against hand-computed figures, an exhaustive search, and a store."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from inference.architecture import ModelConfig
from inference.presets import PRESETS, preset
from inference.roofline import CostModel
from tracker.cli import cli
from tracker.domain import LaunchInfo, RevisionInfo
from tracker.errors import StoreError, UsageError
from tracker.load.datasheet import DATASHEETS, datasheet
from tracker.plan.evidence import launch_points, names_model
from tracker.plan.hardware import GPUS, find_gpu, gpu_named_in
from tracker.plan.models import KNOWN, find_model
from tracker.plan.planner import GOALS, SCENARIOS, WEIGHTS, Limits, make_plan
from tracker.plan.roofline import (
    Deployment,
    Shares,
    Workload,
    decode_bytes,
    most_that_fit,
    predict,
    weight_bytes,
)

H100 = GPUS["h100"]
QWEN_32B, QWEN_8B = KNOWN["qwen3-32b"], KNOWN["qwen3-8b"]
WHOLE = Shares(1.0, 1.0, "the ceiling itself")
LONG = SCENARIOS["long"]
LIMITS = Limits(100, 2.0, 0.5)


@pytest.mark.parametrize(
    ("name", "gigabytes"), [("qwen3-32b", 63.97), ("qwen3-8b", 15.14), ("qwen3-0.6b", 1.19)]
)
def test_a_decoding_step_reads_the_bytes_computed_by_hand(name, gigabytes):
    assert decode_bytes(KNOWN[name], "bf16") / 1e9 == pytest.approx(gigabytes, abs=0.005)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "tiny"])
def test_the_sizes_are_those_that_the_engine_counts(name):
    config, size = preset(name), KNOWN[name]
    cost = CostModel(config, weight_itemsize=2, kv_itemsize=2).step([0], [1], num_sampled=1)
    assert decode_bytes(size, "bf16") == cost.weight_bytes
    assert cost.linear_flops == 2 * (size.body_weights + size.vocab_weights)
    assert cost.kv_bytes == 2 * 2 * size.kv_values  # one token written and read
    # The engine counts norms as well, which are under a thousandth.
    assert weight_bytes(size, "bf16") == pytest.approx(2 * config.num_parameters, rel=1e-3)


def test_a_step_at_the_ceiling_is_bytes_over_bandwidth():
    # 63.97 GB over 3.35 TB/s, four rows: 208 tokens/s, the bf16 roofline of an H100.
    made = predict(Deployment(QWEN_32B, H100, 1, "bf16"), Workload("w", 1, 200_000), 4, WHOLE)
    kv = 4 * 100_001 * QWEN_32B.kv_values * 2 / 63.97e9
    assert made.throughput == pytest.approx(209.5 / (1 + kv), rel=0.005)
    eight = predict(Deployment(QWEN_8B, H100, 1, "bf16"), Workload("w", 1024, 64), 1, WHOLE)
    # 1,024 tokens x 2 x 7.0 G weights, over 989 TFLOP/s, and attention.
    assert eight.ttft == pytest.approx(2 * 1024 * 6.95e9 / 989e12, rel=0.05)
    assert eight.communication == 0.0


def test_two_gpus_halve_the_bytes_and_pay_for_the_all_reduces():
    one, two = (predict(Deployment(QWEN_32B, H100, n, "bf16"), LONG, 1, WHOLE) for n in (1, 2))
    moved = 2 * 64 * (10e-6 + 5120 * 2 / 450e9)
    assert two.tpot == pytest.approx(one.tpot / 2 + moved, rel=1e-6)
    assert two.communication == pytest.approx(moved / two.tpot, rel=1e-6)


def test_memory_holds_weights_and_every_request_at_full_length():
    assert most_that_fit(Deployment(QWEN_32B, H100, 1, "bf16"), LONG) == 16
    # 65.52 GB of 72: 6.48 GB over 1,536 tokens of 262,144 bytes.
    plan = make_plan(QWEN_32B, [GPUS["l40s"]], ["bf16"], LONG, LIMITS, [])
    assert plan.best("l40s").deployment.num_gpus > 1
    nothing = make_plan(QWEN_32B, [GPUS["l4"]], ["bf16"], Workload("w", 40_000, 10_000), LIMITS, [])
    assert nothing.best("l4") is None or nothing.best("l4").deployment.num_gpus == 8


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("ttft", [0.05, 0.3, 2.0])
def test_the_highest_concurrency_is_the_one_that_an_exhaustive_search_finds(weights, ttft):
    limits = Limits(100, ttft, 0.05)
    (option,) = make_plan(QWEN_8B, [H100], [weights], LONG, limits, []).options
    deployment = option.deployment

    def holds(count):
        made = predict(deployment, LONG, count, GOALS)
        return made.ttft <= ttft and made.tpot <= 0.05 and count <= most_that_fit(deployment, LONG)

    held = [count for count in range(1, 4097) if holds(count)]
    assert option.highest == max(held, default=0)
    if held:
        assert held == list(range(1, option.highest + 1))
        assert option.replicas == -(-100 // option.highest)
        assert option.ttft <= ttft


def header(**more):
    return {
        "scenario": {"model": {"name": "qwen3-32b"}, "load": {"type": "ClosedLoop", "concurrency": 60}, "engine": {}},
        "fingerprint": {"gpu_model": "NVIDIA H100 80GB HBM3"},
        "engine": {"dtype": "bfloat16"},
        "work": {"requests": 10, "prompt_tokens": 10_000, "output_tokens": 5_000},
        "metrics": {"ttft_p95": 1.5, "tpot_p50": 0.04, "throughput": 1234.0, "mbu_decode_datasheet": 0.61},
        "void": None,
        **more,
    }  # fmt: skip


def launch(**more):
    revision = RevisionInfo(1, "c" * 40, datetime(2026, 1, 1, tzinfo=UTC))
    return LaunchInfo(1, 1, "bench_sweep.X", "m", "e", revision, "run", revision.committed_at, header(**more), "p", "d")  # fmt: skip


def test_what_was_measured_overrules_the_model():
    (point,) = launch_points([launch()])
    plan = make_plan(QWEN_32B, [H100], ["bf16"], LONG, LIMITS, [replace(point, num_gpus=2)])
    (option,) = plan.options
    assert option.measured is None  # 100 in flight, measured were 60
    assert plan.shares["h100"] == GOALS  # two GPUs: no share of one
    slow = replace(point, num_gpus=2, ttft=2.5)
    (option,) = make_plan(QWEN_32B, [H100], ["bf16"], LONG, LIMITS, [slow]).options
    assert (option.deployment.num_gpus, option.highest, option.replicas) == (2, 59, 2) or (
        option.deployment.num_gpus == 4
    )
    (option,) = make_plan(QWEN_32B, [H100], ["bf16"], LONG, replace(LIMITS, concurrency=55), [replace(point, num_gpus=2)]).options  # fmt: skip
    assert option.measured is not None
    assert (option.ttft, option.tpot, option.throughput) == (1.5, 0.04, 1234.0)
    # A launch of one GPU says which share of the ceiling is reached.
    plan = make_plan(QWEN_8B, [H100], ["bf16"], LONG, LIMITS, [point])
    assert (plan.shares["h100"].bandwidth, plan.shares["h100"].measured) == (0.61, True)


def test_a_load_that_names_no_device_or_failed_is_no_evidence():
    assert launch_points([launch(void="3 of 10 requests failed")]) == []
    assert launch_points([launch(fingerprint={"gpu_model": None})]) == []
    assert launch_points([launch(fingerprint={"gpu_model": "Some Card"})]) == []
    (cpu,) = launch_points(
        [launch(fingerprint={"gpu_model": None, "cpu": "EPYC"},
                utilization={"ceiling": {"bandwidth": 20e9, "flops": 90e9}})]
    )  # fmt: skip
    assert (cpu.gpu.name, cpu.on_gpu, cpu.gpu.ceiling.bandwidth) == ("EPYC", False, 20e9)


def test_names_of_models_and_gpus():
    assert names_model("Qwen/Qwen3-32B-FP8", "qwen3-32b")
    assert names_model("smollm2-135m-instruct", "smollm2-135m")
    assert not names_model("Qwen/Qwen3-32B-draft", "qwen3-32b")
    for name, ceiling in DATASHEETS.items():
        assert find_gpu(name).ceiling == ceiling
    assert find_gpu("H100 PCIe") is GPUS["h100-pcie"]
    for named in ("NVIDIA H100 80GB HBM3", "NVIDIA A100 80GB PCIe", "NVIDIA GH200 480GB"):
        assert gpu_named_in([named]).ceiling == datasheet(named)
    assert gpu_named_in(["h100-node-3"]) is H100
    assert gpu_named_in(["node-3"]) is None


def test_a_config_file_gives_the_size_of_any_dense_model(tmp_path):
    raw = {
        "model_type": "qwen3", "hidden_size": 5120, "intermediate_size": 25600, "head_dim": 128,
        "num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8,
        "vocab_size": 151936,
    }  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(raw))
    assert replace(find_model(str(tmp_path)), name="qwen3-32b") == QWEN_32B
    config = ModelConfig.from_hf(raw | {"max_position_embeddings": 40960}, name="x")
    assert config.num_kv_heads == find_model(str(file)).kv_heads
    for broken, word in (
        ({"model_type": "qwen3_moe"}, "did you mean 'qwen3'"),
        ({"hidden_size": None}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
    ):
        file.write_text(json.dumps(raw | broken))
        with pytest.raises(UsageError, match=word):
            find_model(str(file))
    file.write_text("{")
    with pytest.raises(UsageError, match="JSON"):
        find_model(str(file))


def run(*args, db=None):
    return CliRunner().invoke(cli, [*(["--db", db] if db else []), "plan", *args])


@pytest.fixture(autouse=True)
def no_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACEKEEPER_DB", raising=False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--model", "qwen3-23b"), "did you mean 'qwen3-32b'?"),
        (("--model", "qwen3-32b", "--gpu", "h10"), "did you mean"),
        ((), "give --model"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest(args, message):
    result = run(*args)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_the_command_marks_every_figure(tmp_path):
    result = run("--model", "qwen3-32b", "--gpu", "h100", "--ttft", "2", "--concurrency", "100")
    assert result.exit_code == 0
    rows = [line for line in result.stdout.splitlines() if line.startswith("h100  ")]
    assert len(rows) == len(WEIGHTS)
    assert all(line.endswith("modelled") for line in rows)
    assert "none: every figure above is modelled" in result.stdout
    assert "no store, so nothing measured" in result.stderr
    named = run("--model", "qwen3-32b", db="sqlite:///misspelt.db")
    assert isinstance(named.exception, StoreError)  # a store that was named must be there
    assert "63.97 GB" in result.stdout
    matrix = run("--matrix", "--model", "qwen3-8b", "--model", "qwen3-32b", "--format", "markdown")
    body = [
        line
        for line in matrix.stdout.splitlines()
        if line.startswith(("| chat", "| long", "| doc"))
    ]
    assert len(body) == 2 * len(SCENARIOS)
    assert all(cell.strip()[0] in "=~-" for line in body for cell in line.split("|")[4:-1])


def test_another_tools_results_are_evidence_where_they_name_model_and_gpu(tmp_path):
    sample = Path(__file__).parents[2] / "testdata" / "readers" / "vllm-serve.json"
    content = json.loads(sample.read_text())
    content |= {
        "model_id": "Qwen/Qwen3-32B",
        "max_concurrency": 100,
        "p95_ttft_ms": 900.0,
        "mean_tpot_ms": 30.0,
    }
    (tmp_path / "serve.json").write_text(json.dumps(content))
    db = f"sqlite:///{tmp_path / 'store.db'}"
    given = ["--project", "p", "--commit", "a" * 40, "--committed-at", "2026-01-01T00:00:00+00:00"]
    for machine in ("h100-node", "laptop"):
        done = CliRunner().invoke(
            cli, ["--db", db, "ingest", "serve.json", *given, "--machine", machine]
        )
        assert done.exit_code == 0, done.output
    result = run("--model", "qwen3-32b", "--gpu", "h100", "--format", "json", db=db)
    (plan,) = json.loads(result.stdout)["plans"]
    (measured,) = plan["measured"]
    assert measured["source"] == "vllm-bench-serve on h100-node"
    assert measured["measured"] == {
        "ttft": 0.9,
        "tpot": 0.03,
        "throughput": content["output_throughput"],
    }
    assert measured["modelled"] is None  # vLLM's file names no number of GPUs
    assert {option["basis"] for option in plan["options"]} == {"modelled"}
