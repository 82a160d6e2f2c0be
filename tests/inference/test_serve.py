"""The server: what it answers, that its tokens are the engine's, and that it stops for nobody."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from benchmarks.engine.in_process import InProcess
from benchmarks.engine.models import TINY
from inference import LLM, EngineConfig, SamplingParams
from inference.replicas import Replicas, open_engine
from inference.serve.app import App
from tracker.load.http import Endpoint, Lag
from tracker.load.http.prometheus import parse
from tracker.load.lengths import Fixed
from tracker.load.run import run_scenario
from tracker.load.scenario import ClosedLoop, Independent, Scenario

ROOT = Path(__file__).parents[2]
TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[go]"
CHAT = [{"role": "user", "content": "the cat"}]
GREEDY = SamplingParams(max_tokens=12, ignore_eos=True)


@contextlib.contextmanager
def serving(llm: LLM | Replicas, name: str) -> Iterator[str]:
    """Serve ``llm`` on a free port and yield ``HOST:PORT``."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(App(llm, name), log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        address = "{}:{}".format(*listening.getsockname())
        until(lambda: server.started)
        yield address
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def until(holds: Any, seconds: float = 30.0) -> None:
    """Return as soon as ``holds()`` is true; fail where it does not become so."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def ask(address: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        plain = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, plain)
        reply = connection.getresponse()
        text = reply.read()
        kind = reply.headers["content-type"]
        return reply.status, json.loads(text) if kind == "application/json" else text.decode()
    finally:
        connection.close()


def events(text: str) -> list[Any]:
    """Return the events of a stream, the last of which must be [DONE]."""
    *found, last = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert last == "[DONE]"
    return [json.loads(event) for event in found]


@pytest.fixture(scope="module")
def chatty(text_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random Llama with a tokenizer, and a chat template."""
    directory = tmp_path_factory.mktemp("chatty")
    for file in text_directory.iterdir():
        (directory / file.name).symlink_to(file)
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    return directory


@pytest.fixture(scope="module")
def llm(chatty: Path) -> Iterator[LLM]:
    """An engine beside the served one, to compare with."""
    with LLM(chatty, EngineConfig(num_blocks=64)) as made:
        yield made


@pytest.fixture(scope="module", params=["engine", "replicas"])
def address(request: pytest.FixtureRequest, chatty: Path) -> Iterator[str]:
    config = EngineConfig(num_blocks=64, replicas=2 if request.param == "replicas" else 1)
    with serving(open_engine(chatty, config), "chatty") as served:
        yield served


def completion(**more: Any) -> dict[str, Any]:
    return {"prompt": "the cat", "max_tokens": 12, "temperature": 0, "ignore_eos": True, **more}


def test_a_completion_is_the_engines_own(address: str, llm: LLM) -> None:
    expected = llm.generate(["the cat"], GREEDY)[0]
    status, plain = ask(address, "/v1/completions", completion(return_token_ids=True))
    assert status == 200
    (choice,) = plain["choices"]
    assert choice["text"] == expected.text
    assert choice["token_ids"] == expected.token_ids
    assert choice["finish_reason"] == "length"
    assert plain["usage"]["completion_tokens"] == 12
    assert plain["usage"]["prompt_tokens"] == expected.num_prompt_tokens


def test_a_stream_has_a_chunk_for_each_token(address: str, llm: LLM) -> None:
    expected = llm.generate(["the cat"], GREEDY)[0]
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = completion(stream=True, stream_options=options, return_token_ids=True)
    status, text = ask(address, "/v1/completions", body)
    assert status == 200
    *chunks, last = events(text)
    assert [c["choices"][0]["token_ids"] for c in chunks] == [[t] for t in expected.token_ids]
    assert "".join(c["choices"][0]["text"] for c in chunks) == expected.text
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * 11 + ["length"]
    assert [c["usage"]["completion_tokens"] for c in chunks] == list(range(1, 13))
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 12)


def test_several_prompts_are_several_choices(address: str, llm: LLM) -> None:
    prompts = ["the cat", [1, 2, 3]]
    expected = [o.text for o in llm.generate(prompts, GREEDY)]
    _, plain = ask(address, "/v1/completions", completion(prompt=prompts))
    assert [c["text"] for c in plain["choices"]] == expected
    _, text = ask(address, "/v1/completions", completion(prompt=prompts, stream=True))
    texts = ["", ""]
    for chunk in events(text):
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == expected


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_laid_out_by_the_checkpoints_template(
    address: str, llm: LLM, stream: bool
) -> None:
    expected = llm.chat(CHAT, GREEDY)[0]
    body = completion(messages=CHAT, stream=stream)
    del body["prompt"]
    status, plain = ask(address, "/v1/chat/completions", body)
    assert status == 200
    if stream:
        deltas = [chunk["choices"][0]["delta"] for chunk in events(plain)]
        assert deltas[0]["role"] == "assistant"
        assert "".join(delta["content"] for delta in deltas) == expected.text
    else:
        message = plain["choices"][0]["message"]
        assert message == {"role": "assistant", "content": expected.text}
        assert plain["usage"]["prompt_tokens"] == len(llm.chat_prompt(CHAT))


def test_a_chat_without_a_limit_may_fill_the_context(address: str) -> None:
    body = {"messages": CHAT, "temperature": 0, "ignore_eos": True}
    _, plain = ask(address, "/v1/chat/completions", body)
    assert plain["usage"]["total_tokens"] == 256


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("/v1/completions", b"{", 400, "not JSON"),
        ("/v1/completions", [], 400, "not a JSON object"),
        ("/v1/completions", {}, 400, "prompt must be"),
        ("/v1/completions", completion(prompt=[]), 400, "prompt must be"),
        ("/v1/completions", completion(prompt=[True]), 400, "prompt must be"),
        ("/v1/completions", completion(prompt=[10**6]), 400, "token"),
        ("/v1/completions", completion(promt="x"), 400, "did you mean 'prompt'"),
        ("/v1/completions", completion(model="other"), 404, "'other' is not served"),
        ("/v1/completions", completion(max_tokens=0), 400, "max_tokens is 0"),
        ("/v1/completions", completion(temperature=-1), 400, "temperature"),
        ("/v1/completions", completion(n=2), 400, "n is 2"),
        ("/v1/completions", completion(stream="yes"), 400, "give true or false"),
        ("/v1/completions", completion(stream_options={"x": 1}), 400, "no stream option"),
        ("/v1/chat/completions", {"messages": []}, 400, "messages must be"),
        ("/v1/chat/completions", {"messages": [{"content": "x"}]}, 400, "messages must be"),
        ("/v1/nothing", {}, 404, "no POST /v1/nothing"),
        ("/health", {}, 405, "no POST /health"),
    ],
)
def test_what_cannot_be_served_is_named(
    address: str, path: str, body: Any, status: int, why: str
) -> None:
    got, plain = ask(address, path, body)
    assert (got, why in plain["error"]["message"]) == (status, True), plain


def test_a_client_that_goes_away_ends_its_request(address: str) -> None:
    def gauge(name: str) -> float:
        return parse(ask(address, "/metrics")[1])[f"pacekeeper:{name}"]

    before = gauge("tokens_generated_total")
    connection = http.client.HTTPConnection(address, timeout=60)
    body = completion(prompt=[1] * 8, max_tokens=240, stream=True)
    connection.request("POST", "/v1/completions", json.dumps(body))
    reply = connection.getresponse()
    reply.read(10)
    reply.close()
    connection.close()
    until(lambda: gauge("requests_running") == 0)
    assert 0 < gauge("tokens_generated_total") - before < 240
    assert gauge("kv_usage") == 0.0


def test_metrics_health_and_models(address: str) -> None:
    assert ask(address, "/health") == (200, {"status": "ok"})
    (model,) = ask(address, "/v1/models")[1]["data"]
    assert (model["id"], model["owned_by"]) == ("chatty", "pacekeeper")
    assert model["vocab_size"] == model["settings"]["vocab_size"] > 250
    values = parse(ask(address, "/metrics")[1])
    assert values["pacekeeper:requests_submitted_total"] > 0
    assert values["pacekeeper:queue_time_seconds_count"] > 0


def test_an_engine_that_fails_says_so_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = LLM("tiny", EngineConfig(num_blocks=16))
    steps = iter(range(3))
    step = broken.step

    def fail() -> Any:
        next(steps, None)
        if next(steps, None) is None:
            raise RuntimeError("the device is lost")
        return step()

    monkeypatch.setattr(broken, "step", fail)
    with serving(broken, "tiny") as served:
        body = completion(prompt=[1, 2], stream=True)
        _, text = ask(served, "/v1/completions", body)
        assert json.loads(text.split("\n\n")[-2].removeprefix("data: "))["error"]["message"] == (
            "the device is lost"
        )
        assert ask(served, "/health")[0] == 503
        status, plain = ask(served, "/v1/completions", body)
        assert (status, "the device is lost" in plain["error"]["message"]) == (503, True)


SCENARIO = Scenario(
    version="1",
    model=TINY,
    workload=Independent(6, prompt=Fixed(20), output=Fixed(5)),
    load=ClosedLoop(3),
    engine={"max_model_len": 128},
)


def test_a_load_over_http_does_the_work_of_the_same_load_in_process() -> None:
    here = run_scenario("x", SCENARIO, InProcess)
    with serving(LLM("tiny", EngineConfig(device="cpu", max_model_len=128, seed=0)), "tiny") as at:
        endpoint = Endpoint(url=f"http://{at}", lag=Lag(seconds=60.0))
        there = run_scenario("x", SCENARIO, endpoint)
    assert there.failures == ()
    assert there.work == here.work
    for name in ("ttft_p50", "itl_p50", "throughput", "server_running", "server_queue_time"):
        assert there.metrics[name] is not None, name


def test_the_command_names_what_is_wrong() -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "inference.serve", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return done.returncode, done.stderr

    assert run("tyni", "--port", "0")[0] == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = run("tiny", "--port", str(taken.getsockname()[1]))
    assert (code, "cannot listen" in said) == (2, True)
