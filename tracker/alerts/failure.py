"""What goes wrong with a delivery. No message holds a secret: neither a URL nor a token."""

from __future__ import annotations

__all__ = ["DeliveryError", "TransientError"]


class DeliveryError(Exception):
    """A message did not arrive, and would not if it were sent again at once."""


class TransientError(DeliveryError):
    """A message did not arrive; the same try may work a moment later."""
