"""The models' tables, for statements in Core: bulk writes and reads that build no objects."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table

from tracker.store import models


def _table(model: type) -> Table:
    return cast(Table, model.__table__)  # type: ignore[attr-defined]


metadata = models.Project.metadata

project = _table(models.Project)
machine = _table(models.Machine)
fingerprint = _table(models.FingerprintRow)
revision = _table(models.Revision)
benchmark = _table(models.Benchmark)
param_point = _table(models.ParamPoint)
series = _table(models.Series)
gate = _table(models.Gate)
run = _table(models.Run)
result = _table(models.Result)
sample = _table(models.Sample)
artifact = _table(models.Artifact)
change_point = _table(models.ChangePoint)
detection = _table(models.Detection)
verdict = _table(models.Verdict)
alert = _table(models.Alert)
delivery = _table(models.Delivery)
alert_event = _table(models.AlertEventRow)
job = _table(models.Job)
service_task = _table(models.ServiceTask)
node_quarantine = _table(models.NodeQuarantine)
account = _table(models.Account)
calibration = _table(models.Calibration)
expectation = _table(models.ExpectationRow)
explanation = _table(models.ExplanationRow)
quarantine = _table(models.QuarantineRow)
seen_file = _table(models.SeenFile)
ingest_problem = _table(models.IngestProblem)
api_token = _table(models.ApiToken)
api_push = _table(models.ApiPush)
