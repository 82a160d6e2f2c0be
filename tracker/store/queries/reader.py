"""A store for those who only ask."""

from __future__ import annotations

from tracker.store.store import Store

Reader = Store  # as opened below: its writing methods raise


def open_reader(url: str) -> Reader:
    """Open the store at `url` for reading alone: nothing is created, migrated or written.

    Raises:
        UsageError: `url` is not the URL of a supported database.
        SchemaError: The schema is older, newer, or that of something else.
        StoreError: There is no store, or it cannot be reached.
    """
    return Store.open(url, read_only=True)
