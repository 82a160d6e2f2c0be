"""Units of other tools to the base units of the store: seconds, bytes, ratios, and per second."""

from __future__ import annotations

__all__ = ["to_base"]

# Prefixes of bytes are powers of 1000 where they are spelled so; KiB and the like of 1024.
_FACTORS = {
    "s": {"s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3,
          "msec": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6,
          "μs": 1e-6, "microsecond": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nanosecond": 1e-9,
          "nanoseconds": 1e-9, "min": 60.0, "minutes": 60.0},
    "bytes": {"b": 1.0, "byte": 1.0, "bytes": 1.0, "kb": 1e3, "kilobytes": 1e3, "mb": 1e6,
              "megabytes": 1e6, "gb": 1e9, "gigabytes": 1e9, "kib": 2.0**10, "mib": 2.0**20,
              "gib": 2.0**30},
    "1": {"%": 0.01, "percent": 0.01, "ratio": 1.0},
}  # fmt: skip
_BASE = {unit: (base, factor) for base, units in _FACTORS.items() for unit, factor in units.items()}
_NOUNS = {"requests": "req", "request": "req", "queries": "req", "token": "tokens"}


def to_base(value: float, unit: str) -> tuple[float, str]:
    """Return a value and its base unit; a unit that is not known stays as it is.

    `ms/iter` becomes seconds for one iteration, `MB/s` bytes per second.
    """
    whole, slash, rest = unit.strip().partition("/")
    base, factor = _BASE.get(whole.strip().lower(), (_NOUNS.get(whole.lower(), whole), 1.0))
    if not slash:
        return value * factor, base
    per, *more = rest.split("/")
    per_base, per_factor = _BASE.get(per.strip().lower(), (per, 1.0))
    if per_base == "s":
        return value * factor / per_factor, "/".join([base, "s", *more])
    if base == "s":  # time for one of something: the benchmark says of what
        return value * factor, base
    return value * factor, "/".join([base, rest])
