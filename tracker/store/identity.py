"""Identity of environments, parameter points and attempts. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

from tracker.domain import Measurement, Problem
from tracker.store.base import to_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXISTING = re.compile(r"existing(-py.*)?")


def environment_of(env_name: str) -> str:
    """Return the environment a series belongs to, from the name asv gave it.

    asv names an existing environment after the path of its interpreter; a virtual environment
    that moved is not another series.
    """
    return "existing" if _EXISTING.fullmatch(env_name) else env_name


def params_digest(params: tuple[str, ...]) -> str:
    return hashlib.sha256(to_json(list(params)).encode()).hexdigest()


def attempt_key(measurement: Measurement) -> int:
    """Return what identifies an attempt at one revision: the start in ms since 1970.

    Where no start is known, a negative number made of status and value: the same content is
    the same attempt.
    """
    if measurement.started_at is not None:
        return milliseconds(measurement.started_at)
    content = to_json([measurement.status, measurement.value])
    digest = hashlib.sha256(content.encode()).digest()
    return -1 - int.from_bytes(digest[:7], "big")


def milliseconds(moment: datetime) -> int:
    """Return a moment in whole milliseconds since 1970, as asv writes it."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment(key: int) -> datetime | None:
    """Return the start that an attempt's key stands for, or None where none was known."""
    return _EPOCH + timedelta(milliseconds=key) if key >= 0 else None


def problem_digest(problem: Problem) -> str:
    content = to_json([problem.path, problem.benchmark, problem.reason])
    return hashlib.sha256(content.encode()).hexdigest()
