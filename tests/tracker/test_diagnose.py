"""Advice: a planted condition for each rule, and nothing without its figure."""

import http.server
import json
import threading
from dataclasses import replace

import pytest

from tests.tracker.cli.commands import tracker
from tracker.diagnose import LAYERS, Facts, diagnose
from tracker.doctor import HostFacts, read_host
from tracker.fingerprint import Gpu

FINE = Facts(
    host=HostFacts(8, 0.5, "performance", 1.0),
    gpus=(Gpu("H100", max_sm_clock=1980),),
    suite="bench.A",
    metrics={"cpu_steal": 0.0, "mbu_decode": 0.7, "mfu_decode": 0.1, "mfu_prefill": 0.6},
    counters={
        "steps": 110, "prefill_steps": 10, "decode_tokens": 3200, "useful_tokens": 4000,
        "padded_tokens": 0, "preemptions": 0, "prompt_tokens": 800, "prefill_tokens": 800,
        "prefix_hit_tokens": 0,
    },
    engine={"max_num_seqs": 64},
    telemetry={"sm_clock_mean": 1950.0, "throttled_share": {"gpu_idle": 0.5}},
    threads=8,
    phases={"decode": 8.0, "host gap": 1.0, "tokenize": 0.1},
    server={"server_queue_time": 0.01, "server_kv_usage": 0.5, "server_preemptions": 0.0},
    server_url="http://x",
)  # fmt: skip


def changed(field, **values):
    return replace(FINE, **{field: {**getattr(FINE, field), **values}})


PLANTED = {
    "stolen processor time": (changed("metrics", cpu_steal=0.07), "7.0%"),
    "other processes": (replace(FINE, host=HostFacts(8, 6.0)), "load average 6.0 on 8 cores"),
    "slow processor clock": (replace(FINE, host=HostFacts(8, 0.1, "powersave", 0.4)), "40%"),
    "too many threads": (replace(FINE, threads=16), "16 threads on 8 cores"),
    "slow GPU clock": (changed("telemetry", sm_clock_mean=480.0), "480 MHz"),
    "throttled GPU": (
        changed("telemetry", throttled_share={"hw_thermal_slowdown": 0.4}), "hw_thermal_slowdown in 40%",
    ),
    "shared GPU": (replace(FINE, gpus=(Gpu("H100", max_sm_clock=1980, processes=(42,)),)), "42"),
    "decode bound by memory": (changed("metrics", mbu_decode=0.91), "91%"),
    "decode far from every ceiling": (changed("metrics", mbu_decode=0.2), "20% of bandwidth"),
    "prefill far from its ceiling": (changed("metrics", mfu_prefill=0.25), "25%"),
    "padding": (changed("counters", padded_tokens=1000), "20.0%"),
    "small batch": (changed("counters", decode_tokens=200), "2.0 sequences"),
    "cache too small": (changed("counters", preemptions=5, prefill_tokens=1000), "5 preemptions; 25%"),
    "host gap": (changed("phases", **{"host gap": 4.0}), "of a step is host code"),
    "text": (changed("phases", detokenize=2.0), "tokenizing and detokenizing"),
    "server's queue": (changed("server", server_queue_time=1.5), "1.50 s"),
    "server's cache": (changed("server", server_kv_usage=0.99), "99%"),
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


def test_the_probe_of_the_host_is_the_doctors(tmp_path):
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
    text = tracker(tmp_path, "diagnose", "--url", server, "--seconds", "0").out
    assert "98% of the KV cache in use" in text and "not known, so not judged:" in text
    monkeypatch.setattr(Metrics, "status", 404)
    done = tracker(tmp_path, "diagnose", "--url", server, "--seconds", "0")
    assert done.code == 2 and "/metrics answers 404: the server has no metrics" in done.err


def test_what_cannot_be_asked_is_an_error_that_says_so(tmp_path):
    done = tracker(tmp_path, "diagnose", "--url", "http://127.0.0.1:1", "--seconds", "0")
    assert done.code == 4 and "http://127.0.0.1:1/metrics" in done.err
