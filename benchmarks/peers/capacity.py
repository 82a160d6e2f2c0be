"""What a client carries: requests and streamed tokens a second with a lag below 1 ms at p99."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import environments
from benchmarks.peers.fake import TTFT
from benchmarks.peers.servers import PeerServer, running
from tracker.errors import MeasurementError
from tracker.load.run import run_scenario
from tracker.load.spec import scenario_of

__all__ = ["Carried", "carried"]

OUTPUT = 64  # tokens of a request
SECONDS = 10.0  # of a load
RATES = (10, 25, 50, 100, 150, 200, 300, 400)
LAG = 1e-3  # seconds, p99

FAKE = PeerServer("fake", lambda port: [sys.executable, "-m", "benchmarks.peers.fake", str(port)])


@dataclass(frozen=True, slots=True)
class Carried:
    """The highest rate that a client carried, and what it said at the rate above.

    Attributes:
        client: Its name.
        rate: Requests a second; None where it carried none of them.
        excess: What the p99 of its time to first token was above the server's, there, s.
    """

    client: str
    rate: float | None
    excess: float | None

    @property
    def tokens(self) -> float | None:
        """Streamed tokens a second at that rate."""
        return None if self.rate is None else self.rate * OUTPUT


def carried() -> list[Carried]:
    """Load the fake server at rising rates with each client; stop where it is late."""
    clients = {
        "tracker.load": _ours,
        "vllm bench serve": _vllm,
        "guidellm": _guidellm,
    }
    results = []
    with running(FAKE) as url:
        for name, excess_at in clients.items():
            best: Carried = Carried(name, None, None)
            try:
                for rate in RATES:
                    excess = excess_at(url, rate)
                    if excess > LAG:
                        break
                    best = Carried(name, rate, excess)
            except MeasurementError as error:
                sys.stderr.write(f"{name}: {error}\n")
                continue
            results.append(best)
    return results


def _ours(url: str, rate: float) -> float:
    # Late on a loaded client voids the metric, and the artifact still has it.
    from tracker.load.http import Endpoint, Lag

    table = {
        "requests": round(rate * SECONDS),
        "prompt": 16,
        "output": OUTPUT,
        "load": {"rate": rate},
    }
    endpoint = Endpoint(url=url, lag=Lag(seconds=60.0))
    result = run_scenario("capacity", scenario_of("capacity", table), endpoint)
    if result.void is not None:
        raise MeasurementError(result.void)
    ttft = result.metrics["ttft_p99"]
    assert ttft is not None
    return ttft - TTFT


def _vllm(url: str, rate: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        _run(
            [
                str(environments.vllm()), "bench", "serve", "--backend", "openai",
                "--base-url", url, "--model", "fake", "--tokenizer", _tokenizer(),
                "--dataset-name", "random", "--random-input-len", "16",
                "--random-output-len", str(OUTPUT), "--num-prompts", str(round(rate * SECONDS)),
                "--request-rate", str(rate), "--ignore-eos", "--percentile-metrics", "ttft",
                "--metric-percentiles", "99", "--save-result", "--result-filename", str(out),
            ]
        )  # fmt: skip
        return float(json.loads(out.read_text())["p99_ttft_ms"]) / 1e3 - TTFT


def _guidellm(url: str, rate: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        _run(
            [
                str(environments.guidellm()), "run", "--disable-progress",
                "--backend", f"kind=openai_http,target={url},model=fake,request_format=/v1/completions",
                "--profile", f"kind=constant,rate={rate}",
                "--constraint", f"kind=max_requests,count={round(rate * SECONDS)}",
                "--tokenizer", f"kind=huggingface_auto,model={_tokenizer()}",
                "--data", f"kind=synthetic_text,prompt_tokens=16,output_tokens={OUTPUT}",
                "--output", f"kind=json,path={folder}/result.json",
            ]
        )  # fmt: skip
        plain = json.loads((Path(folder) / "result.json").read_text())
        metrics = plain["benchmarks"][0]["metrics"]["time_to_first_token_ms"]["successful"]
        return float(metrics["percentiles"]["p99"]) / 1e3 - TTFT


def _tokenizer() -> str:
    from benchmarks.engine.models import SMOLLM2, locate

    return locate(SMOLLM2)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise MeasurementError(f"`{' '.join(command[:3])}` failed: {last}")
