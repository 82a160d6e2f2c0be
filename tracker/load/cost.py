"""What a million output tokens cost, where the price of a device is stated. Pure but for one variable."""

from __future__ import annotations

import math
import os

from tracker.load.errors import ScenarioError

__all__ = ["VARIABLE", "cost_per_mtok", "stated_price"]

VARIABLE = "PACEKEEPER_DEVICE_HOUR"


def stated_price() -> float | None:
    """Return the price of a device hour that ``PACEKEEPER_DEVICE_HOUR`` states; None: it is not set.

    Raises:
        ScenarioError: It is no price.
    """
    stated = os.environ.get(VARIABLE)
    if not stated:
        return None
    try:
        price = float(stated)
    except ValueError:
        price = math.nan
    if not 0.0 <= price < math.inf:
        raise ScenarioError(f"{VARIABLE} is {stated!r}; give the price of a device hour, a number")
    return price


def cost_per_mtok(price: float | None, devices: int, throughput: float | None) -> float | None:
    """Return the price of 1,000,000 output tokens; None where price or throughput is not known.

    Args:
        price: Of one device for an hour.
        devices: That serve the load; a machine without a GPU is one.
        throughput: Output tokens per second.
    """
    if price is None or not throughput:
        return None
    return price * devices / 3600 / throughput * 1e6
