"""The service: new commits of a branch, nightly repeats, backfill, A/A gates, pruning.

Jobs are kept in the store.

* `Options` and `plan`: what is asked for, as jobs.
* `run_service`: until a signal, or once; `list_jobs`: what is planned.
* `service_lock`: one service at a time in a checkout.
"""

from tracker.schedule.lock import service_lock
from tracker.schedule.plan import Options, parse_interval, parse_time, plan
from tracker.schedule.service import ListedJob, list_jobs, run_service

__all__ = [
    "ListedJob",
    "Options",
    "list_jobs",
    "parse_interval",
    "parse_time",
    "plan",
    "run_service",
    "service_lock",
]
