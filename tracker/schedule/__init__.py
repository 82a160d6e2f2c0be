"""The service: queues what a project needs measured, and hands it to executors.

* `Options`: what is asked for. `tasks`: what the service does by itself, with the times of `plan`.
* `Dispatcher`: between the queue in the store and the executors.
* `Service`: both, step by step; `run_service`: until a signal, or once.
* `status_of`: what runs, what waits and why. `service_lock`: one service in a checkout.
"""

from tracker.schedule.dispatch import Dispatcher
from tracker.schedule.lock import service_lock
from tracker.schedule.plan import Options, parse_interval, parse_time
from tracker.schedule.service import Service, run_service
from tracker.schedule.status import ServiceStatus, status_of

__all__ = [
    "Dispatcher",
    "Options",
    "Service",
    "ServiceStatus",
    "parse_interval",
    "parse_time",
    "run_service",
    "service_lock",
    "status_of",
]
