"""Every question the store answers: plain functions, the store first, domain values back.

Each costs a few statements however much the store holds, and raises `UsageError` for a project,
machine, series or commit that is not there and `StoreError` where the database fails.
"""

from tracker.store.queries.accounts import list_accounts, role_of
from tracker.store.queries.alerts import alerts_at, get_alert, list_alerts, neighbour
from tracker.store.queries.attempts import attempts
from tracker.store.queries.compare import compare, paired_values
from tracker.store.queries.deliveries import list_deliveries
from tracker.store.queries.expectations import list_expectations
from tracker.store.queries.explanations import list_explanations
from tracker.store.queries.export import export_rows
from tracker.store.queries.finding import commits_between, shifts_at
from tracker.store.queries.gate_pairs import gate_pairs
from tracker.store.queries.gates import (
    calibration,
    calibration_blocks,
    gate_environment,
    gate_launches,
    gated_pairs,
    gates_between,
    get_gate,
    list_gates,
)
from tracker.store.queries.histories import histories
from tracker.store.queries.history import history
from tracker.store.queries.jobs import (
    device_seconds,
    failed_runs,
    get_job,
    job_launches,
    list_jobs,
    list_tasks,
    quarantined_nodes,
)
from tracker.store.queries.launches import newest_launches
from tracker.store.queries.members import member_launches, member_values
from tracker.store.queries.overview import overview
from tracker.store.queries.problems import ingest_problems
from tracker.store.queries.projects import list_machines, list_projects
from tracker.store.queries.quarantines import quarantined_gpus
from tracker.store.queries.reader import Reader, open_reader
from tracker.store.queries.revisions import newest_revisions, resolve_revision
from tracker.store.queries.runs import machine_uses, newest_runs
from tracker.store.queries.searches import last_searches
from tracker.store.queries.series import get_series, list_series
from tracker.store.queries.stamp import version_stamp
from tracker.store.queries.tokens import find_token, list_tokens
from tracker.store.queries.trust import calibration_records, searched_series
from tracker.store.queries.week import week
