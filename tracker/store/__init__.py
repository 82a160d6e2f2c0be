"""The database: opened with `Store.open`, written by its methods, read by `queries`."""

from tracker.store.store import Store

__all__ = ["Store"]
