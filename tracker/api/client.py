"""A store whose writes go to a `tracker serve`: `tracker ingest --to URL` reads files into it.

It keeps what it sends in memory as well, so that an ingest finds there what it asks a store for.
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Self

from tracker.domain import (
    BenchmarkInfo,
    MachineInfo,
    NewRun,
    Problem,
    Recorded,
    RevisionRecord,
)
from tracker.errors import UsageError
from tracker.http_client import Api, ApiError
from tracker.metrics import MetricRule
from tracker.push import PUSH_FORMAT
from tracker.store import Store

__all__ = ["TOKEN_VARIABLE", "PushingStore"]

TOKEN_VARIABLE = "PACEKEEPER_TOKEN"
_TOO_LARGE = 413


class PushingStore(Store):
    """A store in memory that sends what is written to it to a service.

    Results are sent as they are recorded; what belongs to them waits for the next results or
    for `flush`. Each request carries a key of its own and is repeated until it is answered, so that
    a lost answer writes nothing twice.

    Attributes:
        withheld: Settings that the token may not write, and that were therefore not sent.
    """

    _api: Api
    _scopes: frozenset[str]
    _waiting: dict[str, Any]
    _project: str | None
    withheld: set[str]

    @classmethod
    def to(cls, url: str, token: str | None) -> Self:
        """Return a store that pushes to the service at `url`.

        Raises:
            UsageError: There is no token, or the service refuses it or may not be written with it.
            ApiError: There is no such service.
        """
        if not token:
            raise UsageError(f"--to needs a token: set {TOKEN_VARIABLE} (tracker token create)")
        store = cls.open("sqlite://")
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "pacekeeper"}
        store._api = Api(url, headers, deadline=120.0, tries=6)
        try:
            scopes = store._api.request("GET", "/api/v1/token", repeatable=True)["scopes"]
        except (TypeError, KeyError):
            raise UsageError(f"{url} is no Pacekeeper service (tracker serve)") from None
        except ApiError as error:
            if error.status == 401:
                raise UsageError(f"{url} refuses the token in {TOKEN_VARIABLE}: {error}") from None
            raise
        if "ingest" not in scopes:
            raise UsageError(f"the token in {TOKEN_VARIABLE} lacks the scope 'ingest'")
        store._scopes = frozenset(scopes)
        store._waiting, store._project, store.withheld = {}, None, set()
        return store

    def record_project(self, name: str, *, commit_url: str | None = None) -> None:
        super().record_project(name, commit_url=commit_url)
        if commit_url is not None:
            self._set(name, "commit_url", commit_url, what="the commits' address")

    def record_metric_rules(self, project: str, rules: Iterable[MetricRule]) -> None:
        listed = list(rules)
        super().record_metric_rules(project, listed)
        self._set(project, "metric_rules", [asdict(r) for r in listed], what="[gate.metrics]")

    def record_machine(self, project: str, machine: MachineInfo) -> None:
        super().record_machine(project, machine)
        self._add(project, "machines", [machine])

    def record_benchmarks(self, project: str, infos: Iterable[BenchmarkInfo]) -> None:
        listed = list(infos)
        super().record_benchmarks(project, listed)
        self._add(project, "benchmarks", listed)

    def record_revisions(self, project: str, records: Iterable[RevisionRecord]) -> None:
        listed = list(records)
        super().record_revisions(project, listed)
        self._add(project, "revisions", listed)

    def record_problems(self, project: str, problems: Iterable[Problem]) -> None:
        listed = list(problems)
        super().record_problems(project, listed)
        self._add(project, "problems", listed)

    def forget_problems(
        self, project: str, places: Iterable[str], *, keep: Iterable[Problem] = ()
    ) -> None:
        # What is kept stands in `problems`, which an ingest records just before.
        self._of(project).setdefault("read_places", []).extend(places)

    def record_runs(self, project: str, runs: Sequence[NewRun]) -> list[Recorded]:
        super().record_runs(project, runs)
        listed = [
            {
                "file": asdict(run.file),
                "benchmarks": {
                    m.benchmark: asdict(run.benchmarks[m.benchmark])
                    for m in run.file.measurements
                    if m.benchmark in run.benchmarks
                },
                "fingerprint": None if run.fingerprint is None else asdict(run.fingerprint),
            }
            for run in runs
        ]
        waiting, self._waiting = self._of(project), {}
        return self._push(project, waiting, listed)

    def flush(self) -> None:
        """Send what still waits."""
        waiting, self._waiting = self._waiting, {}
        if waiting and self._project is not None:
            self._push(self._project, waiting, [])

    def _push(
        self, project: str, waiting: Mapping[str, Any], files: Sequence[Mapping[str, Any]]
    ) -> list[Recorded]:
        """Send one request; one that is too large is sent again as two halves."""
        document = {"format": PUSH_FORMAT, **waiting, "files": files}
        try:
            answer = self._send(project, document)
        except ApiError as error:
            if error.status != _TOO_LARGE or len(files) < 2:
                raise
            half = len(files) // 2
            first = self._push(project, waiting, files[:half])
            return [*first, *self._push(project, {}, files[half:])]
        return [
            Recorded(
                item["run_id"],
                item["added"],
                item["unchanged"],
                tuple(Problem(**problem) for problem in item["problems"]),
            )
            for item in answer
        ]

    def _send(self, project: str, document: Mapping[str, Any]) -> Any:
        text = json.dumps(document, default=_plain, allow_nan=False, separators=(",", ":"))
        return self._api.request(
            "POST",
            "/api/v1/results",
            content=gzip.compress(text.encode(), compresslevel=5, mtime=0),
            query={"project": project},
            headers={
                "Content-Type": "application/json",
                "Content-Encoding": "gzip",
                "Idempotency-Key": uuid.uuid4().hex,
            },
            repeatable=True,
        )

    def _of(self, project: str) -> dict[str, Any]:
        """What waits to be sent for this project; what waits for another one is sent now."""
        if project != self._project:
            self.flush()
            self._project = project
        return self._waiting

    def _add(self, project: str, key: str, values: Iterable[Any]) -> None:
        self._of(project).setdefault(key, []).extend(asdict(value) for value in values)

    def _set(self, project: str, key: str, value: Any, *, what: str) -> None:
        if "settings" in self._scopes:
            self._of(project)[key] = value
        else:
            self.withheld.add(what)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
