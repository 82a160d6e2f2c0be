"""What results refer to: projects, machines, benchmarks, revisions, fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import bindparam, select, update

from tracker.domain import BenchmarkInfo, Fingerprint, MachineInfo, RevisionRecord
from tracker.metrics import MetricRule, rules_to_text
from tracker.store import tables as t
from tracker.store.base import to_json
from tracker.store.transaction import Transaction


def ensure_project(tx: Transaction, name: str) -> int:
    ids = tx.ensure(t.project, ["name"], [{"name": name, "commit_url": None}])
    return ids[(name,)]


def record_project(tx: Transaction, name: str, *, commit_url: str | None = None) -> None:
    """Make sure the project exists; a `commit_url` (with `{commit}`) replaces the one before."""
    project_id = ensure_project(tx, name)
    if commit_url is not None:
        tx.conn.execute(
            update(t.project).where(t.project.c.id == project_id).values(commit_url=commit_url)
        )


def record_metric_rules(tx: Transaction, project: str, rules: Iterable[MetricRule]) -> None:
    """Keep what the project's pacekeeper.toml says of its metrics; replaces what stood.

    Series are read with these rules from then on, those measured before included.
    """
    project_id, text = ensure_project(tx, project), rules_to_text(list(rules))
    tx.conn.execute(
        update(t.project)
        .where(t.project.c.id == project_id, t.project.c.metric_rules.is_distinct_from(text))
        .values(metric_rules=text)
    )


def ensure_machine(tx: Transaction, project_id: int, machine: MachineInfo) -> int:
    row = {"project_id": project_id, **asdict(machine)}
    ids = tx.ensure(t.machine, ["project_id", "name"], [row])
    return ids[(project_id, machine.name)]


def record_machine(tx: Transaction, project: str, machine: MachineInfo) -> None:
    """Make sure the machine exists; fields that are known replace those stored."""
    machine_id = ensure_machine(tx, ensure_project(tx, project), machine)
    known = {name: value for name, value in asdict(machine).items() if value is not None}
    tx.conn.execute(update(t.machine).where(t.machine.c.id == machine_id).values(**known))


def benchmark_row(project_id: int, info: BenchmarkInfo) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "name": info.name,
        "version": info.version,
        "type": info.type,
        "unit": info.unit,
        "better": info.better,
        "kind": info.kind,
        "step": info.step,
        "param_names": list(info.param_names),
    }


def ensure_benchmarks(
    tx: Transaction,
    project_id: int,
    wanted: Iterable[tuple[str, str]],
    benchmarks: Mapping[str, BenchmarkInfo],
) -> dict[tuple[str, str], int]:
    """Return ids by (name, version); what `benchmarks` says of the name serves every version.

    A name that `benchmarks` lacks becomes a metric without direction, in asv's default unit.
    """
    rows = []
    for name, version in wanted:
        info = benchmarks.get(name) or BenchmarkInfo(name, version, "track", "unit", None, "other")
        if info.version != version:
            info = replace(info, version=version)
        rows.append(benchmark_row(project_id, info))
    ids = tx.ensure(t.benchmark, ["project_id", "name", "version"], rows)
    return {(key[1], key[2]): benchmark_id for key, benchmark_id in ids.items()}


def record_benchmarks(tx: Transaction, project: str, infos: Iterable[BenchmarkInfo]) -> None:
    """Insert benchmarks, or renew unit, direction and kind of the same name and version."""
    project_id = ensure_project(tx, project)
    rows = [benchmark_row(project_id, info) for info in infos]
    if not rows:
        return
    ids = tx.ensure(t.benchmark, ["project_id", "name", "version"], rows)
    changing = ("type", "unit", "better", "kind", "step", "param_names")
    statement = (
        update(t.benchmark)
        .where(t.benchmark.c.id == bindparam("row_id"))
        .values({name: bindparam(f"new_{name}") for name in changing})
    )
    parameters = []
    for row in rows:
        row_id = ids[(project_id, row["name"], row["version"])]
        parameters.append({"row_id": row_id} | {f"new_{name}": row[name] for name in changing})
    tx.conn.execute(statement, sorted(parameters, key=lambda row: int(row["row_id"])))


_FROM_GIT = ("parents", "subject", "branch", "author")


def record_revisions(tx: Transaction, project: str, records: Iterable[RevisionRecord]) -> None:
    """Insert revisions, or fill in the parents, subject and branch of known ones.

    The commit time of a revision that stands already is kept: it came from the commit too.
    """
    project_id = ensure_project(tx, project)
    by_commit = {record.commit: record for record in records}
    if not by_commit:
        return
    rows = [revision_row(project_id, record) for record in by_commit.values()]
    ids = tx.ensure(t.revision, ["project_id", "commit_hash"], rows)
    filling: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for (_, commit), revision_id in sorted(ids.items(), key=lambda item: item[1]):
        row = revision_row(project_id, by_commit[commit])
        known = tuple(name for name in _FROM_GIT if row[name] is not None)
        if known:
            values = {f"new_{name}": row[name] for name in known}
            filling.setdefault(known, []).append({"row_id": revision_id} | values)
    for known, parameters in filling.items():
        statement = (
            update(t.revision)
            .where(t.revision.c.id == bindparam("row_id"))
            .values({name: bindparam(f"new_{name}") for name in known})
        )
        tx.conn.execute(statement, parameters)


def revision_row(project_id: int, record: RevisionRecord) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "commit_hash": record.commit,
        "committed_at": record.committed_at,
        "parents": None if record.parents is None else list(record.parents),
        "subject": record.subject,
        "branch": record.branch,
        "author": record.author,
        "num_results": 0,
    }


def ensure_revisions(
    tx: Transaction, project_id: int, records: Iterable[RevisionRecord]
) -> dict[str, int]:
    """Return the ids of revisions by their hash; of two records of one hash the first counts."""
    rows = [revision_row(project_id, record) for record in records]
    ids = tx.ensure(t.revision, ["project_id", "commit_hash"], rows)
    return {str(commit): revision_id for (_, commit), revision_id in ids.items()}


def find_revision(tx: Transaction, project_id: int, commit: str) -> int | None:
    """Return the id of a revision by its full hash, or None."""
    statement = select(t.revision.c.id).where(
        t.revision.c.project_id == project_id, t.revision.c.commit_hash == commit
    )
    return tx.conn.execute(statement).scalar()


def ensure_fingerprint(tx: Transaction, fingerprint: Fingerprint) -> int:
    row = asdict(fingerprint)
    row["extra"] = [list(item) for item in fingerprint.extra]
    digest = hashlib.sha256(to_json(row).encode()).hexdigest()
    return tx.ensure(t.fingerprint, ["digest"], [{"digest": digest, **row}])[(digest,)]
