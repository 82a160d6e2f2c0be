"""`tracker diagnose`: where the time is going now, as advice with figures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from tracker.cli import Settings
from tracker.cli.project import stored_project
from tracker.diagnose import LAYERS, Diagnosis, Facts, diagnose
from tracker.doctor import read_host
from tracker.errors import MeasurementError, UsageError
from tracker.explain.explanation import from_document
from tracker.fingerprint import read_gpus
from tracker.load.metrics import Values
from tracker.store import Store, queries

__all__ = ["command"]


@click.command("diagnose")
@click.option("--suite", metavar="NAME", help="Newest launch of this suite (default: of any).")
@click.option("--project", metavar="NAME", help="Name in the store.")
@click.option("--url", metavar="URL", help="A running server: asks its /metrics twice.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.0), default=5.0, show_default=True,
    help="Between the two looks at the server's metrics.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    settings: Settings,
    suite: str | None,
    project: str | None,
    url: str | None,
    seconds: float,
    as_json: bool,
) -> int:
    """Say where the time is going, in the layers system, model and data: figure, limit, what to do.

    Looks at this machine, at the newest stored launch of the project and the newest traces of its
    commit; with --url at a running server instead of a launch.

    Exits 0, whatever it finds; 4 where there is neither a launch nor a server's metrics.
    """
    known: dict[str, Any] = {"host": read_host(), "gpus": read_gpus().gpus}
    if url is not None:
        known |= {"server": _server(url.rstrip("/"), seconds), "server_url": url.rstrip("/")}
    else:
        known |= _launch(settings.db, project, suite)
    facts = Facts(**known)
    result = diagnose(facts)
    click.echo(_json(result, facts) if as_json else _text(result, facts), nl=False)
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
    header = launch.header
    phases = {
        phase.name: phase.head
        for one in explained
        for traced in from_document(one.document).suites
        if traced.benchmark == launch.benchmark
        for phase in traced.phases
    }
    threads = _table(header, "fingerprint").get("threads")
    return {
        "suite": f"{launch.benchmark} at {launch.revision.commit[:8]}",
        "metrics": _table(header, "metrics"),
        "counters": _table(header, "counters"),
        "engine": _table(_table(header, "scenario"), "engine"),
        "telemetry": _table(header, "telemetry"),
        "threads": threads if isinstance(threads, int) else None,
        "phases": phases,
    }


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _server(url: str, seconds: float) -> Values:
    """Return the numbers of a server's own metrics over a few seconds.

    Raises:
        UsageError: It has no /metrics.
        MeasurementError: Nothing answers.
    """
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


def _text(result: Diagnosis, facts: Facts) -> str:
    lines = [f"looked at: this machine, {facts.server_url or facts.suite}"]
    for layer in LAYERS:
        found = [item for item in result.advice if item.layer == layer]
        lines += ["", f"{layer}:", *([] if found else ["  nothing beyond its limit"])]
        for item in found:
            lines += [
                f"  {item.figure} (limit: {item.limit}; {item.source})",
                f"    do: {item.action}",
                f"    gain: {item.gain}",
            ]
    if result.unknown:
        lines += ["", "not known, so not judged:"]
        lines += [f"  {name}: needs {missing}" for name, missing in result.unknown]
    return "\n".join(lines) + "\n"


def _json(result: Diagnosis, facts: Facts) -> str:
    document = {"format": 1, "suite": facts.suite, "url": facts.server_url, **asdict(result)}
    return json.dumps(document, indent=2) + "\n"
