"""`tracker plan`: which hardware holds the limits, measured and modelled apart."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from tracker.cli import DEFAULT_DB, Settings
from tracker.errors import SchemaError, StoreError, UsageError
from tracker.load.capacity import LIMITS
from tracker.plan.evidence import Point, launch_points, series_points
from tracker.plan.hardware import GPUS, find_gpu
from tracker.plan.models import KNOWN, find_model
from tracker.plan.planner import SCENARIOS, WEIGHTS, Limits, Plan, make_plan
from tracker.plan.roofline import Workload
from tracker.report.plan import (
    matrix_markdown,
    matrix_text,
    plan_document,
    plan_markdown,
    plan_text,
)
from tracker.store import Store, queries

__all__ = ["command"]

_MATRIX_GPUS = ("l4", "l40s", "a100", "h100", "h200", "b200")


@click.command("plan")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A known model, or a config.json; repeatable.",
)
@click.option(
    "--gpu",
    "gpus",
    multiple=True,
    metavar="NAME",
    help="Such as h100; repeatable (default: the common ones).",
)
@click.option(
    "--weights", multiple=True, type=click.Choice(WEIGHTS), help="Only this format; repeatable."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Requests in flight.",
)
@click.option(
    "--ttft",
    type=click.FloatRange(min=0, min_open=True),
    default=LIMITS.ttft,
    show_default=True,
    help="Seconds to the first token that 95 % of the requests may take.",
)
@click.option(
    "--tpot",
    type=click.FloatRange(min=0, min_open=True),
    default=LIMITS.tpot,
    show_default=True,
    help="Seconds that each further token may take.",
)
@click.option(
    "--scenario", type=click.Choice(list(SCENARIOS)), help="Lengths of a request (default: long)."
)
@click.option("--prompt", type=click.IntRange(1), help="Tokens in, instead of the scenario's.")
@click.option("--output", type=click.IntRange(1), help="Tokens out, instead of the scenario's.")
@click.option("--matrix", is_flag=True, help="Scenario and model size against GPU.")
@click.option(
    "--project", metavar="NAME", help="Measured loads of this project only (default: of all)."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
)
@click.pass_obj
def command(
    settings: Settings,
    models: tuple[str, ...],
    gpus: tuple[str, ...],
    weights: tuple[str, ...],
    concurrency: int,
    ttft: float,
    tpot: float,
    scenario: str | None,
    prompt: int | None,
    output: int | None,
    matrix: bool,
    project: str | None,
    form: str,
) -> None:
    """Say which GPU, how many, which weights and which concurrency hold the limits.

    What the store has measured of the model on the GPU counts first; a roofline gives the rest, and its
    assumptions are printed. Needs no GPU; without --db the store may be missing.
    """  # fmt: skip
    if not models and not matrix:
        raise UsageError(
            f"give --model: {', '.join(KNOWN)}, or the path of a config.json; or --matrix"
        )
    sizes = [find_model(name) for name in models] or list(KNOWN.values())
    devices = [find_gpu(name) for name in dict.fromkeys(gpus)] or [GPUS[n] for n in _MATRIX_GPUS]
    limits = Limits(concurrency, ttft, tpot)
    workloads = _workloads(scenario, prompt, output, all_of_them=matrix)
    points, note = _points(settings.db, project)
    plans = [
        make_plan(size, devices, weights or WEIGHTS, workload, limits, points)
        for workload in workloads
        for size in sizes
    ]
    click.echo(_rendered(plans, form, matrix=matrix), nl=False)
    if note is not None:
        click.echo(f"note: {note}", err=True)


def _workloads(
    scenario: str | None, prompt: int | None, output: int | None, *, all_of_them: bool
) -> list[Workload]:
    if all_of_them and scenario is None and prompt is None and output is None:
        return list(SCENARIOS.values())
    given = SCENARIOS[scenario or "long"]
    if prompt is None and output is None:
        return [given]
    return [Workload("as given", prompt or given.prompt, output or given.output)]


def _points(db: str, project: str | None) -> tuple[list[Point], str | None]:
    """Return all that the store has measured, and why it is nothing where there is no store."""
    try:
        store = Store.open(db, read_only=True)
    except SchemaError:
        raise
    except StoreError as error:
        if project is not None or db != DEFAULT_DB:
            raise
        return [], f"no store, so nothing measured: {error}"
    with store:
        known = [info.name for info in queries.list_projects(store)]
        if project is not None and project not in known:
            from tracker.cli.project import stored_project

            stored_project(store, project)  # raises, with the names there are
        points: list[Point] = []
        for name in known if project is None else [project]:
            points += launch_points(queries.newest_launches(store, name))
            points += series_points(queries.list_series(store, name))
    return points, None


def _rendered(plans: Sequence[Plan], form: str, *, matrix: bool) -> str:
    if form == "json":
        return json.dumps(plan_document(plans), indent=2, allow_nan=False) + "\n"
    if matrix:
        return matrix_text(plans) if form == "text" else matrix_markdown(plans)
    return "\n".join(map(plan_text if form == "text" else plan_markdown, plans))
