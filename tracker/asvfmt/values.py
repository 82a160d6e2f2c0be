"""Single values of asv's files: numbers, statuses, moments. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from tracker.domain import ResultStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadValueError(ValueError):
    """A value that does not mean what its place says; its message is the reason."""


def read_value(raw: Any) -> tuple[ResultStatus, float | None]:
    """Return status and value of one result: null is failed, NaN skipped.

    Raises:
        BadValueError: Not a finite number.
    """
    if raw is None:
        return "failed", None
    if type(raw) is float and math.isfinite(raw):  # nearly every one: the rest need not be fast
        return "ok", raw
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise BadValueError(f"the value is a {_name(raw)}, not a number")
    if raw != raw:
        return "skipped", None
    return "ok", _finite(raw, "the value")


def read_number(raw: Any, what: str) -> float | None:
    """Return a statistic; null and NaN are not known.

    Raises:
        BadValueError: Neither null nor a number.
    """
    if raw is None or (type(raw) is float and math.isfinite(raw)):
        return raw
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise BadValueError(f"{what} is a {_name(raw)}, not a number")
    if raw != raw or raw in (math.inf, -math.inf):
        return None  # asv's interval of too few samples is infinite: no interval
    return _finite(raw, what)


def read_count(raw: Any, what: str) -> int | None:
    """Return a whole number, or None where it is not known.

    Raises:
        BadValueError: Neither null nor a whole number below 2**63.
    """
    if type(raw) is int and abs(raw) < 2**63:
        return raw
    number = read_number(raw, what)
    if number is None:
        return None
    if number != int(number) or abs(number) >= 2**63:
        raise BadValueError(f"{what} is {raw}, not a count")
    return int(number)


def read_moment(raw: Any, what: str) -> datetime | None:
    """Return a moment from JavaScript's milliseconds, in UTC.

    Raises:
        BadValueError: Neither null nor milliseconds of a year up to 9999.
    """
    number = read_number(raw, what)
    if number is None:
        return None
    try:
        return _moment(int(number))
    except (OverflowError, ValueError):
        raise BadValueError(f"{what} is {raw}, not a time in milliseconds") from None


@lru_cache(maxsize=4096)  # the benchmarks of a file often began together
def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def read_samples(raw: Any) -> tuple[float, ...] | None:
    """Return the raw samples of one result, or None where none were kept.

    Raises:
        BadValueError: Neither null nor a list of finite numbers.
    """
    if raw is None:
        return None
    if not isinstance(raw, list):
        raise BadValueError(f"the samples are a {_name(raw)}, not a list")
    samples = []
    for item in raw:
        number = read_number(item, "a sample")
        if number is None:
            raise BadValueError(f"a sample is {item}, not a finite number")
        samples.append(number)
    return tuple(samples) or None


def _finite(raw: int | float, what: str) -> float:
    try:
        number = float(raw)
    except OverflowError:
        raise BadValueError(f"{what} is beyond what a double holds") from None
    if not math.isfinite(number):
        raise BadValueError(f"{what} is {number}, not a finite number")
    return number


def _name(raw: Any) -> str:
    names = {str: "string", dict: "dict", list: "list", bool: "boolean", type(None): "null"}
    return names.get(type(raw), type(raw).__name__)
