"""Advice: a planted condition for each rule, and nothing without its figure."""

import http.server
import json
import threading
from dataclasses import replace

import pytest

from tests.tracker.cli.commands import tracker
from tracker.diagnose import LAYERS, Facts, diagnose
from tracker.fingerprint import Gpu
from tracker.host import Blas, HostFacts, read_blas, read_host

GPU = Gpu(
    "H100", max_sm_clock=1980, compute="9.0", ecc_errors=0, power_limit=700.0,
    default_power_limit=700.0, pcie_width=16, max_pcie_width=16,
)  # fmt: skip
FINE = Facts(
    host=HostFacts(8, 0.5, "performance", 1.0),
    blas=Blas("scipy-openblas", 60e9),
    gpus=(GPU,),
    driver_cuda="12.8",
    suite="bench.A",
    metrics={
        "cpu_steal": 0.0, "mbu_decode": 0.7, "mfu_decode": 0.1, "mfu_prefill": 0.6,
        "server_queue_time": 0.01, "server_kv_usage": 0.5, "server_preemptions": 0.0,
        "server_ttft": 0.3, "ttft_mean": 0.31, "ttft_p50": 0.3, "ttft_p95": 0.4, "tpot_p95": 0.02,
        "client_lag_p99": 0.001, "error_rate": 0.0,
    },
    counters={
        "steps": 110, "prefill_steps": 10, "decode_tokens": 3200, "useful_tokens": 4000,
        "padded_tokens": 0, "preemptions": 0, "prompt_tokens": 800, "prefill_tokens": 800,
        "prefix_hit_tokens": 0,
    },
    engine={"max_num_seqs": 64},
    telemetry={
        "sm_clock_busy": 1950e6, "sm_clock_limit": 1980e6, "throttled_share": {"gpu_idle": 0.5},
    },
    fingerprint={"threads": 8, "cuda": "12.8"},
    phases={"decode": 8.0, "host gap": 1.0, "tokenize": 0.1},
    server_url="http://x",
)  # fmt: skip


def changed(field, **values):
    return replace(FINE, **{field: {**getattr(FINE, field), **values}})


def gpu(**values):
    return replace(FINE, gpus=(GPU, replace(GPU, **values)))


PLANTED = {
    "stolen processor time": (changed("metrics", cpu_steal=0.07), "7.0%"),
    "other processes": (replace(FINE, host=HostFacts(8, 6.0, "performance", 1.0)), "load average 6.0 on 8 cores"),
    "processor clock": (replace(FINE, host=HostFacts(8, 0.1, "powersave", 0.4)), "40%"),
    "threads": (changed("fingerprint", threads=16), "16 threads on 8 cores"),
    "BLAS": (replace(FINE, blas=Blas("netlib", 1.5e9)), "netlib reaches 1.5 GFLOP/s"),
    "GPU clock": (changed("telemetry", sm_clock_busy=480e6), "480 MHz"),
    "throttling": (
        changed("telemetry", throttled_share={"hw_thermal_slowdown": 0.4}), "hw_thermal_slowdown in 40%",
    ),
    "shared GPU": (gpu(processes=(42,)), "1 processes on GPU 1 (process 42)"),
    "memory errors": (gpu(ecc_errors=3), "3 uncorrected memory errors on GPU 1"),
    "power cap": (gpu(power_limit=350.0), "GPU 1 may draw 350 W"),
    "PCIe width": (gpu(pcie_width=4), "GPU 1 has 4 PCIe lanes"),
    "driver": (replace(FINE, driver_cuda="11.4"), "CUDA 11.4"),
    "CUDA build": (changed("fingerprint", cuda="11.7"), "CUDA 11.7"),
    "decode bound by memory": (changed("metrics", mbu_decode=0.91), "91%"),
    "decode far from every ceiling": (changed("metrics", mbu_decode=0.2), "20% of bandwidth"),
    "prefill far from its ceiling": (changed("metrics", mfu_prefill=0.25), "25%"),
    "padding": (changed("counters", padded_tokens=1000), "20.0%"),
    "small batch": (changed("counters", decode_tokens=200), "2.0 sequences"),
    "cache too small": (changed("counters", preemptions=5, prefill_tokens=1000), "5 preemptions; 25%"),
    "host gap": (changed("phases", **{"host gap": 4.0}), "of a step is host code"),
    "text": (changed("phases", detokenize=2.0), "tokenizing and detokenizing"),
    "server's queue": (changed("metrics", server_queue_time=1.5), "1.50 s"),
    "server's cache": (changed("metrics", server_kv_usage=0.99), "99%"),
    "client": (changed("metrics", client_lag_p99=0.06), "60.0 ms"),
    "way to the server": (changed("metrics", ttft_mean=0.6), "0.30 s longer"),
    "first token": (changed("metrics", ttft_p95=2.5), "2.50 s"),
    "time per token": (changed("metrics", tpot_p95=0.7), "0.70 s"),
    "failing requests": (changed("metrics", error_rate=0.02), "2.0%"),
}  # fmt: skip


def test_nothing_is_said_of_what_keeps_to_its_limit():
    result = diagnose(FINE)
    assert result.advice == () and result.unknown == ()
    assert set(result.fine) == set(PLANTED), "every rule has a planted condition"


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_condition_is_found_alone_with_figure_limit_and_gain(name):
    facts, figure = PLANTED[name]
    (advice,) = diagnose(facts).advice
    assert advice.name == name and figure in advice.figure and advice.layer in LAYERS
    assert all((advice.limit, advice.source, advice.action, advice.gain))
    assert any(character.isdigit() for character in advice.figure)


def test_without_figures_there_is_no_advice_and_each_is_named_as_unknown():
    result = diagnose(Facts())
    assert result.advice == () and result.fine == ()
    assert {name for name, _ in result.unknown} == set(PLANTED)


def test_the_probes_of_the_host(tmp_path):
    blas = read_blas()
    assert blas.name and blas.flops > 1e8

    scaling = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    scaling.mkdir(parents=True)
    for name, value in (("scaling_governor", "powersave"), ("scaling_cur_freq", "1000"),
                        ("cpuinfo_max_freq", "4000")):  # fmt: skip
        (scaling / name).write_text(f"{value}\n")
    host = read_host(tmp_path, load=lambda: 0.25)
    assert (host.load, host.governor, host.frequency) == (0.25, "powersave", 0.25)
    assert read_host(tmp_path / "none", load=lambda: 0.0).frequency is None


class Metrics(http.server.BaseHTTPRequestHandler):
    status, text = 200, "vllm:kv_cache_usage_perc 0.98\nvllm:num_requests_running 4\n"

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *words):
        pass


@pytest.fixture
def server():
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


def test_a_foreign_server_is_diagnosed_by_its_own_metrics(server, monkeypatch, tmp_path):
    done = tracker(tmp_path, "diagnose", "--url", server, "--seconds", "0", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert "server's cache" in {advice["name"] for advice in document["advice"]}
    assert "server's queue" in {name for name, _ in document["unknown"]}
    assert "no request could be sent" in document["notes"][0]
    text = tracker(tmp_path, "diagnose", "--url", server, "--requests", "0", "--seconds", "0").out
    assert "98% of the KV cache in use" in text and "not known, so not judged:" in text
    monkeypatch.setattr(Metrics, "status", 404)
    done = tracker(tmp_path, "diagnose", "--url", server, "--seconds", "0")
    assert done.code == 2 and "/metrics answers 404: the server has no metrics" in done.err


def test_what_cannot_be_asked_is_an_error_that_says_so(tmp_path):
    done = tracker(tmp_path, "diagnose", "--url", "http://127.0.0.1:1", "--seconds", "0")
    assert done.code == 4 and "http://127.0.0.1:1/metrics" in done.err
