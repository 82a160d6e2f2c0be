"""The declarative base, how constraints are named, and the column types both backends share."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import DateTime, Dialect, LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

_VARIABLES = 600  # of one statement; SQLite has a limit

T = TypeVar("T")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Parent of every table; its metadata is what the migrations must arrive at."""

    metadata = MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Goes in with a timezone and comes out in UTC, on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def stored_moment(value: datetime, *, as_text: bool) -> datetime | str:
    """Return a moment as a driver takes it for a `UtcDateTime`: as text for SQLite."""
    moment = utc(value)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if as_text else moment


def utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no timezone; the store keeps UTC")
    return value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A JSON value as text, the same text for equal values on every backend."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else to_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Doubles(TypeDecorator[tuple[float, ...]]):
    """Numbers as little-endian float64, eight bytes each: the samples of one result."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[float, ...] | None, dialect: Dialect) -> bytes | None:
        return None if value is None else to_doubles(value)

    def process_result_value(
        self, value: bytes | None, dialect: Dialect
    ) -> tuple[float, ...] | None:
        return None if value is None else struct.unpack(f"<{len(value) // 8}d", value)


def to_doubles(values: tuple[float, ...]) -> bytes:
    """Return numbers as the store keeps samples: little-endian float64."""
    return struct.pack(f"<{len(values)}d", *values)


def to_json(value: Any) -> str:
    """Return `value` as compact JSON with sorted keys, so that equal values are equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def chunks(items: Sequence[T], *, variables: int = 1) -> Iterator[Sequence[T]]:
    """Yield the items in their order, as many at a time as one statement takes.

    Args:
        items: What a statement asks for.
        variables: That it needs for each item.
    """
    size = _VARIABLES // variables
    for start in range(0, len(items), size):
        yield items[start : start + size]
