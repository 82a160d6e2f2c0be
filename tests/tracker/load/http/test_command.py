"""``python -m tracker.load`` against servers on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import threading

import pytest

from tests.tracker.load.http.scripted import CLOSE, Scripted, event, text_chunk, usage
from tracker.artifacts import read_launch, read_requests
from tracker.domain import Launch
from tracker.load.__main__ import main
from tracker.load.errors import ScenarioError
from tracker.load.http import workers
from tracker.load.lengths import Fixed, Production
from tracker.load.scenario import Bursts, ClosedLoop, Conversations, OpenLoop, Ramp, Replay
from tracker.load.spec import read_scenarios, scenario_of

ANSWER = [
    (0.0, event(text_chunk("one"))),
    (0.01, event(text_chunk(" two", "length"))),
    (0.01, event({"choices": [], **usage(2)})),
    (0.01, event("[DONE]")),
]


@pytest.fixture
def serve():
    """Return a function that serves a script on a port of this machine and returns the URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    listening = []

    def start(server: Scripted, tls: ssl.SSLContext | None = None) -> str:
        opened = asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
        listening.append(asyncio.run_coroutine_threadsafe(opened, loop).result())
        port = listening[-1].sockets[0].getsockname()[1]
        return f"http{'s' if tls else ''}://127.0.0.1:{port}"

    yield start

    async def end() -> None:
        for server in listening:
            server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


LAX = ["--max-lag-ms", "60000"]  # a busy machine that runs tests is no fair client
SMALL = ["--requests", "4", "--output", "2", "--text", *LAX]


def test_it_prints_metrics_and_writes_an_artifact_that_the_tracker_reads(serve, tmp_path, capsys):
    url = serve(Scripted([ANSWER]))
    assert main([url, *SMALL, "--concurrency", "2", "--json", "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    ttft = printed["metrics"]["ttft_p50"]
    assert (ttft["unit"], ttft["better"], ttft["kind"], ttft["version"]) == (
        "s",
        "lower",
        "timing",
        "1",
    )
    assert 0 < ttft["value"] < 10
    assert printed["metrics"]["error_rate"]["value"] == 0.0
    assert printed["work"]["output_tokens"] == 8
    (artifact,) = tmp_path.iterdir()
    launch = read_launch(artifact)
    assert isinstance(launch, Launch), launch
    assert dict(launch.fingerprint.extra)["server"] == "unknown"
    requests = read_requests(artifact)
    assert len(requests) == 4
    assert all(len(r.gaps) == 1 for r in requests)


def test_processes_share_the_load_and_start_together(serve, tmp_path, capsys):
    url = serve(Scripted([ANSWER]))
    assert main([url, *SMALL, "--rate", "50", "--processes", "2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["failures"] == []
    assert printed["work"]["requests"] == 4
    assert printed["work"]["output_tokens"] == 8


def test_a_process_that_dies_fails_its_requests_and_no_more(serve, monkeypatch, capsys):
    url = serve(Scripted([ANSWER]))
    real, started = workers._started, []

    async def started_and_killed(*job):
        child = await real(*job)
        started.append(child)
        if len(started) == 1:
            monkeypatch.setattr(workers, "_ready", ready_then_killed)
        return child

    ready = workers._ready

    async def ready_then_killed(child):
        await ready(child)
        if child is started[0]:
            child.kill()
            await child.wait()

    monkeypatch.setattr(workers, "_started", started_and_killed)
    assert main([url, *SMALL, "--concurrency", "2", "--processes", "2", "--json"]) == 4
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["failures"]) == 2
    assert "client process died" in printed["failures"][0]
    assert printed["void"].startswith("2 of 4 requests failed")
    assert printed["metrics"]["ttft_p50"]["value"] is None


def test_a_server_that_dies_in_the_middle_is_named(serve, capsys):
    url = serve(Scripted([ANSWER, [(0.0, event(text_chunk("one"))), (0.01, CLOSE)]]))
    assert main([url, *SMALL]) == 4
    said = capsys.readouterr().err
    assert "broken stream" in said
    assert "not valid: 4 of 4 requests failed" in said


def test_what_does_not_answer_is_named_with_the_mend(serve, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main([f"http://127.0.0.1:{port}", *SMALL]) == 4
    assert "refused" in (said := capsys.readouterr().err)
    assert "is the server up" in said
    assert main(["http://no-such-host.invalid", *SMALL]) == 4
    assert "refused" in capsys.readouterr().err
    assert main([serve(Scripted([ANSWER])), "--model", "other", *SMALL]) == 2
    assert "no model 'other'" in capsys.readouterr().err


def test_a_certificate_of_nobody_known_is_refused_until_it_is_given(serve, tmp_path, capsys):
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    url = serve(Scripted([ANSWER]), tls)
    assert main([url, *SMALL]) == 4
    assert "tls" in (said := capsys.readouterr().err)
    assert "--ca" in said
    assert main([url, "--ca", "/nowhere.pem", *SMALL]) == 2
    assert "/nowhere.pem" in capsys.readouterr().err
    assert main([url, "--ca", certificate, *SMALL]) == 0


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_url_may_end_in_v1(serve, suffix):
    assert main([serve(Scripted([ANSWER])) + suffix, *SMALL]) == 0


def test_scenarios_come_from_a_file(tmp_path):
    file = tmp_path / "load.toml"
    file.write_text(
        "[scenarios.chat]\nrequests = 3\nprompt = 5\noutput = 2\ntext = true\nload = {concurrency = 2}\n"
        "slos = [[1.0, 0.1], [0.5, 0.05]]\n"
        "[scenarios.turns]\nchats = 2\nturns = 3\nsystem = 8\nprompt = 4\noutput = 2\nversion = '3'\n"
        "[scenarios.poisson]\nrequests = 3\noutput = 2\nload = {rate = 2.0}\n"
        "prompt = {table = 'azure_conv_prompt', scale = 0.1, most = 9}\n"
        "[scenarios.bursts]\nrequests = 3\nprompt = 5\noutput = 2\nload = {rate = 2.0, burst = 2}\n"
        "[scenarios.ramp]\nrequests = 3\nprompt = 5\noutput = 2\nload = {from = 1, to = 4.0}\n"
        "[scenarios.replay]\ntrace = true\nrequests = 3\nscale = 0.5\nload = {rate = 2.0}\n"
    )
    made = read_scenarios(file)
    assert made["chat"].load == ClosedLoop(2)
    assert made["chat"].workload.text
    assert made["chat"].slos[1].tpot == 0.05
    assert made["turns"].workload == Conversations(2, 3, 8, Fixed(4), Fixed(2))
    assert made["turns"].version == "3"
    assert made["poisson"].load == OpenLoop(2.0)
    assert made["poisson"].workload.prompt == Production("azure_conv_prompt", scale=0.1, most=9)
    assert made["bursts"].load == Bursts(2.0, 2)
    assert made["ramp"].load == Ramp(1.0, 4.0)
    assert made["replay"].workload == Replay(3, scale=0.5)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"request": 3, "prompt": 1, "output": 1}, "did you mean 'requests'"),
        ({"prompt": 1, "output": 1}, "requests is None"),
        ({"requests": 3, "output": 1}, "prompt is None"),
        ({"requests": 3, "prompt": True, "output": 1}, "prompt is True"),
        ({"requests": 3, "prompt": 1, "output": 1, "load": {"rate": 1.0, "to": 2}}, "load is"),
        ({"requests": 3, "prompt": 1, "output": 1, "load": {"rate": "fast"}}, "rate is 'fast'"),
        ({"requests": 3, "prompt": 1, "output": 1, "scale": 2}, "trace = true"),
        ({"requests": 3, "prompt": {"tables": "x"}, "output": 1}, "did you mean 'table'"),
        ({"chats": 3, "turns": 2, "prompt": 1, "output": 1, "load": {"rate": 1.0}}, "ClosedLoop"),
    ],
)
def test_an_impossible_scenario_is_named(table, why):
    with pytest.raises(ScenarioError, match=rf"scenario 'x'.*{why}"):
        scenario_of("x", table)


def test_a_file_without_scenarios_is_named(tmp_path, capsys):
    (tmp_path / "a.toml").write_text("[scenario.x]\n")
    assert main(["http://x", "--scenarios", str(tmp_path / "a.toml")]) == 2
    assert "[scenarios.NAME]" in capsys.readouterr().err
    assert main(["http://x", "--scenarios", str(tmp_path / "b.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_tokenizer_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["http://x", "--tokenizer", str(tmp_path)]) == 4
    assert str(tmp_path) in capsys.readouterr().err
