"""`tracker db`: maintenance of the store."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from tracker.cli import Settings
from tracker.cli.project import stored_project
from tracker.cli.timespan import moment
from tracker.errors import StoreError, UsageError
from tracker.report.numbers import count_of

if TYPE_CHECKING:
    from tracker.domain import ExportRow
    from tracker.store import Store

HEADER = (
    "machine",
    "commit",
    "env_name",
    "date_ms",
    "benchmark",
    "bench_version",
    "param_index",
    "param",
    "value",
)
# Every whole number below this is printed as one; a double this large has no fraction anyway.
MAX_WHOLE = 2.0**63


@click.group("db")
def command() -> None:
    """Upgrade, check, prune, export and import the store."""


@command.command("upgrade")
@click.pass_obj
def upgrade_command(settings: Settings) -> None:
    """Create the tables or migrate an older schema to this version. Back up first."""
    from tracker.store.engine import parse_url, require_place, shown
    from tracker.store.schema import upgrade

    url = parse_url(settings.db)
    require_place(url)
    before, after = upgrade(url)
    if before == after:
        click.echo(f"{shown(url)}: schema {after}, nothing to do")
    else:
        click.echo(f"{shown(url)}: schema {before or 'none'} -> {after}")


@command.command("check")
@click.option("--rebuild", is_flag=True, help="Recompute the derived counters first.")
@click.pass_obj
def check_command(settings: Settings, rebuild: bool) -> None:
    """Check the store for errors and list them; exits 5 if there are any."""
    from tracker.store import Store
    from tracker.store.check import check_store
    from tracker.store.derived import rebuild as build_again

    with Store.open(settings.db, read_only=not rebuild) as store:
        if rebuild:
            store.write(build_again)
        findings = check_store(store)
        for finding in findings:
            click.echo(finding)
        if findings:
            raise StoreError(f"{store.url}: the store is not whole (see above)")
        click.echo(f"{store.url}: whole")


@command.command("prune")
@click.option(
    "--keep-days", type=click.IntRange(min=0), metavar="N", help="Keep the data of the last N days."
)
@click.option("--before", metavar="DATE", help="Delete data measured before DATE (ISO, UTC).")
@click.option("--yes", is_flag=True, help="Delete (default: only show what would be deleted).")
@click.pass_obj
def prune_command(settings: Settings, keep_days: int | None, before: str | None, yes: bool) -> None:
    """Delete old raw samples and launch artifacts; values and verdicts stay."""
    from tracker.store import Store
    from tracker.store.prune import count_prunable, prune

    oldest = _oldest_kept(keep_days, before)
    with Store.open(settings.db, read_only=not yes) as store:
        gone = prune(store, oldest) if yes else count_prunable(store, oldest)
    verb = "deleted" if yes else "would delete"
    hint = "" if yes else " (repeat with --yes)"
    click.echo(
        f"before {oldest:%Y-%m-%d %H:%M} UTC: {verb} the samples of {gone.samples} results "
        f"and {gone.artifacts} artifacts{hint}"
    )


@command.command("export")
@click.option("--rows", is_flag=True, help="Print CSV: the latest attempt at each parameter point.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["asv", "csv", "json", "parquet"]),
    help="Export every attempt in this format; asv writes a results directory.",
)
@click.option("--project", metavar="NAME", help="Only this project; --format asv needs one.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File or directory to write. Alone: the whole store as JSON lines for `db import` (.gz: gzipped).",
)
@click.pass_obj
def export_command(
    settings: Settings, rows: bool, form: str | None, project: str | None, out: Path | None
) -> None:
    """Export results, or the whole store in a form that any backend can import."""
    from tracker.store import Store
    from tracker.store.dump import export_store

    if rows and form is not None:
        raise UsageError("--rows is a format of its own: give it or --format, not both")
    if not rows and form is None:
        if out is None:
            raise UsageError(
                "say what to export: --format asv|csv|json|parquet or --rows for what was measured, "
                "--out FILE for the whole store"
            )
        if project is not None:
            raise UsageError(
                "--project goes with --format or --rows; --out alone writes everything"
            )
    if form in ("asv", "parquet") and out is None:
        raise UsageError(f"--format {form} needs --out")
    with Store.open(settings.db, read_only=True) as store:
        if form is not None:
            num, what = _export(store, form, project, out)
            click.echo(f"{out or 'printed'}: {count_of(num, what)}", err=True)
        elif rows:
            from tracker.store.queries import export_rows

            if project is not None:
                stored_project(store, project)  # before anything is written
            with _text_out(out) as stream:
                write_rows(export_rows(store, project), stream)
        elif out is not None:
            num_rows = export_store(store, out)
            click.echo(f"{out}: {num_rows} rows", err=True)


def _export(store: Store, form: str, project: str | None, out: Path | None) -> tuple[int, str]:
    from tracker.export import to_asv, to_csv, to_json, to_parquet
    from tracker.store.queries import list_projects

    if form == "asv" and out is not None:
        return to_asv(store, stored_project(store, project), out), "result file"
    if project is None:
        projects = [info.name for info in list_projects(store)]
    else:
        projects = [stored_project(store, project)]
    if form == "parquet" and out is not None:
        return to_parquet(store, projects, out), "row"
    with _text_out(out) as stream:
        return (to_csv if form == "csv" else to_json)(store, projects, stream), "row"


@command.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def import_command(settings: Settings, file: Path) -> None:
    """Import what `export --out` wrote, into any backend; a repeat adds nothing."""
    from tracker.store import Store
    from tracker.store.dump import import_store

    with Store.open(settings.db) as store:
        read, added = import_store(store, file)
    click.echo(f"{file}: {read} rows read, {added} added")


def write_rows(rows: Iterator[ExportRow], stream: TextIO) -> None:
    """Write rows as CSV under `HEADER`; lines end as RFC 4180 says."""
    writer = csv.writer(stream)
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow(
            (
                row.machine,
                row.commit,
                row.env_name,
                row.date_ms,
                row.benchmark,
                row.bench_version,
                row.param_index,
                "|".join(row.params),
                _value(row),
            )
        )


def _value(row: ExportRow) -> str:
    if row.value is None:
        return "nan" if row.status == "skipped" else ""
    if row.value.is_integer() and abs(row.value) < MAX_WHOLE:
        return str(int(row.value))
    return repr(row.value)


@contextmanager
def _text_out(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    try:
        stream = out.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from None
    with stream:
        yield stream


def _oldest_kept(keep_days: int | None, before: str | None) -> datetime:
    if (keep_days is None) == (before is None):
        raise UsageError("give one of --keep-days N and --before DATE")
    if keep_days is not None:
        try:
            return datetime.now(UTC) - timedelta(days=keep_days)
        except OverflowError:
            raise UsageError(f"--keep-days {keep_days}: before the calendar begins") from None
    return moment("--before", before or "")
