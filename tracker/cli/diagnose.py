"""`tracker diagnose`: where the time is going now, as advice with figures."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from tracker.cli import Settings
from tracker.cli.project import stored_project
from tracker.diagnose import LAYERS, Diagnosis, Facts, diagnose
from tracker.errors import MeasurementError, UsageError
from tracker.explain.explanation import from_document
from tracker.fingerprint import read_gpus
from tracker.host import read_blas, read_host
from tracker.load.address import is_local
from tracker.load.metrics import Values
from tracker.quarantine import serving_gpus
from tracker.store import Store, queries

__all__ = ["command"]


@click.command("diagnose")
@click.option("--suite", metavar="NAME", help="Newest launch of this suite (default: of any).")
@click.option("--project", metavar="NAME", help="Name in the store.")
@click.option(
    "--url", metavar="URL", help="A running server: reads its /metrics, and sends requests."
)
@click.option(
    "--requests", type=click.IntRange(min=0), default=8, show_default=True,
    help="With --url: short requests that show the client's view; 0 sends none.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(min=0.0), default=5.0, show_default=True,
    help="With --requests 0: between the two looks at the server's metrics.",
)  # fmt: skip
@click.option("--model", metavar="NAME", help="With --url: the model to ask for.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    settings: Settings, suite: str | None, project: str | None, url: str | None,
    requests: int, seconds: float, model: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Say where the time is going, in the layers system, model and data: figure, limit, what to do.

    Looks at this machine, at the newest stored launch of the project and the newest traces of its
    commit; with --url at a running server instead of a launch: its /metrics, its GPU where it is on
    this machine, and what a client sees of a few requests.

    Exits 0, whatever it finds; 4 where there is neither a launch nor an answer of a server.
    """
    known: dict[str, Any] = {}
    notes: list[str] = []
    if url is not None:
        known = _server(url.rstrip("/"), model, requests, seconds, notes)
    else:
        known = _launch(settings.db, project, suite)
    if url is None or is_local(url):
        gpus = read_gpus()
        known |= {"host": read_host(), "blas": read_blas(), "gpus": gpus.gpus, "driver_cuda": gpus.cuda}  # fmt: skip
    else:
        notes.append(f"{url} is another machine: its processor and GPUs cannot be seen from here")
    facts = Facts(**known)
    result = diagnose(facts)
    shown = _json(result, facts, notes) if as_json else _text(result, facts, notes)
    click.echo(shown, nl=False)
    return 0


def _launch(db: str, project: str | None, suite: str | None) -> dict[str, Any]:
    """Return the facts of the newest launch that has metrics."""
    with Store.open(db, read_only=True) as store:
        name = stored_project(store, project)
        launches = [
            launch
            for launch in queries.newest_launches(store, name)
            if launch.header.get("metrics") and suite in (None, launch.benchmark)
        ]
        if not launches:
            which = f"of {suite!r} " if suite else ""
            raise MeasurementError(
                f"no launch {which}with metrics in the store; `tracker run HEAD` makes one, "
                "--url URL asks a running server"
            )
        launch = launches[0]
        explained = queries.list_explanations(store, name, head=launch.revision.commit)
    phases = {
        phase.name: phase.head
        for kept in explained
        for traced in from_document(kept.document).suites
        if traced.benchmark == launch.benchmark
        for phase in traced.phases
    }
    return {
        "suite": f"{launch.benchmark} at {launch.revision.commit[:8]}",
        "phases": phases,
        **_of_header(launch.header),
    }


def _of_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that a launch's artifact holds."""
    return {
        "metrics": _table(header, "metrics"),
        "counters": _table(header, "counters"),
        "engine": _table(_table(header, "scenario"), "engine"),
        "telemetry": next(iter(serving_gpus(header).values()), {}),
        "fingerprint": _table(header, "fingerprint"),
    }


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _server(
    url: str, model: str | None, requests: int, seconds: float, notes: list[str]
) -> dict[str, Any]:
    """Return the facts of a server: its own metrics, and those of requests sent to it.

    Raises:
        UsageError: No request is to be sent, and it has no /metrics.
        MeasurementError: Nothing answers.
    """
    facts: dict[str, Any] = {"server_url": url}
    if requests:
        try:
            return facts | _client_view(url, model, requests)
        except MeasurementError as error:
            notes.append(f"no request could be sent: {error}")
    return facts | {"metrics": _own_metrics(url, seconds)}


def _client_view(url: str, model: str | None, requests: int) -> dict[str, Any]:
    """Send a few short requests; return what client, server and NVML say of them."""
    from tracker.artifacts import read_launch, read_requests
    from tracker.domain import Launch
    from tracker.load.http import Endpoint
    from tracker.load.run import run_scenario
    from tracker.load.spec import scenario_of

    table = {"requests": requests, "prompt": 64, "output": 16, "natural_end": True, "load": {"concurrency": 2}}  # fmt: skip
    endpoint = Endpoint(url=url, model=model)
    with tempfile.TemporaryDirectory() as folder:
        result = run_scenario(
            "diagnose", scenario_of("diagnose", table), endpoint, directory=Path(folder)
        )
        assert result.artifact is not None
        launch, times = read_launch(result.artifact), read_requests(result.artifact) or []
    assert isinstance(launch, Launch)
    facts = _of_header(launch.header)
    first = [request.ttft for request in times if request.ttft is not None]
    facts["metrics"] = {**facts["metrics"], "ttft_mean": fmean(first) if first else None}
    # What ran the client is not what serves.
    facts["fingerprint"] = {}
    return facts


def _own_metrics(url: str, seconds: float) -> Values:
    """Return the numbers of a server's own metrics over a few seconds."""
    from tracker.load.http.client import open_session
    from tracker.load.http.prometheus import parse, server_metrics
    from tracker.load.http.server import get

    async def scrape() -> list[Mapping[str, float]]:
        session = open_session({}, time.perf_counter)
        scrapes: list[Mapping[str, float]] = []
        async with session.http:
            for number in range(2):
                if number:
                    await asyncio.sleep(seconds)
                status, body = await get(session, f"{url}/metrics")
                if status != 200:
                    raise UsageError(f"{url}/metrics answers {status}: the server has no metrics")
                scrapes.append(parse(body.decode("utf-8", "replace")))
        return scrapes

    return server_metrics(asyncio.run(scrape()))


def _text(result: Diagnosis, facts: Facts, notes: Sequence[str]) -> str:
    here = "" if facts.host is None else "this machine, "
    lines = [f"looked at: {here}{facts.server_url or facts.suite}", *notes]
    for layer in LAYERS:
        advice = [item for item in result.advice if item.layer == layer]
        lines += ["", f"{layer}:", *([] if advice else ["  nothing beyond its limit"])]
        for item in advice:
            lines += [
                f"  {item.figure} (limit: {item.limit}; {item.source})",
                f"    do: {item.action}",
                f"    gain: {item.gain}",
            ]
    if result.unknown:
        lines += ["", "not known, so not judged:"]
        missing: dict[str, list[str]] = {}
        for name, needs in result.unknown:
            missing.setdefault(needs, []).append(name)
        lines += [f"  {', '.join(names)}: needs {needs}" for needs, names in missing.items()]
    return "\n".join(lines) + "\n"


def _json(result: Diagnosis, facts: Facts, notes: Sequence[str]) -> str:
    where = {"suite": facts.suite, "url": facts.server_url, "notes": list(notes)}
    return json.dumps({"format": 1, **where, **asdict(result)}, indent=2) + "\n"
