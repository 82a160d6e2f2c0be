"""A real server by others as the target of a load: ``transformers serve`` on a small random model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker.errors import MeasurementError
from tracker.load.http import Endpoint, Lag
from tracker.load.lengths import Fixed
from tracker.load.run import run_scenario
from tracker.load.scenario import ClosedLoop, Conversations, Independent, Scenario

START_SECONDS = 180.0


@pytest.fixture(scope="module")
def url(text_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for package in ("fastapi", "uvicorn", "openai", "accelerate"):
        pytest.importorskip(
            package, reason="transformers serve needs pip install 'pacekeeper[dev]'"
        )
    directory = tmp_path_factory.mktemp("hub") / "tiny-chat"
    directory.mkdir()
    for file in text_directory.iterdir():
        (directory / file.name).symlink_to(file)
    (directory / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("transformers")
    run = (
        [str(command)]
        if command.exists()
        else [sys.executable, "-m", "transformers.cli.transformers"]
    )
    log = tmp_path_factory.mktemp("log") / "serve.log"
    with log.open("w") as written:
        server = subprocess.Popen(
            [
                *run,
                "serve",
                str(directory),
                "--device",
                "cpu",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
            ],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}/health"):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"transformers serve cannot run here: {log.read_text()[-500:]}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def scenario(**more) -> Scenario:
    plain = {
        "version": "1",
        "workload": Independent(3, prompt=Fixed(3), output=Fixed(8), text=True),
        "load": ClosedLoop(1),
        "natural_end": True,
    }
    return Scenario(**(plain | more))


@pytest.mark.parametrize("api", ["completions", "chat"])
@pytest.mark.parametrize("stream", [True, False])
def test_it_is_loaded_and_timed(url: str, api: str, stream: bool) -> None:
    endpoint = Endpoint(url=url, api=api, stream=stream, lag=Lag(seconds=60.0))
    result = run_scenario("x", scenario(), endpoint)
    assert result.failures == ()
    assert 0 < result.work["output_tokens"] <= 24
    assert result.metrics["throughput"] > 0
    assert (result.metrics["ttft_p50"] is None) == (not stream)


def test_what_it_does_not_take_is_found_out_before_the_load(url: str) -> None:
    chats = Conversations(chats=1, turns=2, system=2, user=Fixed(2), output=Fixed(4), text=True)
    result = run_scenario(
        "x",
        scenario(workload=chats, natural_end=False),
        Endpoint(url=url, api="chat", lag=Lag(seconds=60.0)),
    )
    assert result.failures == ()  # ignore_eos is refused with 422 there
    assert result.metrics["ttft_last_turn"] is not None
    ids = Independent(2, prompt=Fixed(3), output=Fixed(4))
    with pytest.raises(MeasurementError, match="text = true"):
        run_scenario("x", scenario(workload=ids), Endpoint(url=url))
