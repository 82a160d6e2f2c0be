"""The private folders of launches, under `.pacekeeper/launches`."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["KEEP_DAYS", "KEEP_FOLDERS", "launch_folder", "remove_old_folders"]

KEEP_DAYS = 30
KEEP_FOLDERS = 1000
_STAMP = "%Y%m%dT%H%M%S"


def launch_folder(state: Path, commit: str) -> Path:
    """Make a folder for a launch of `commit`, with `results` and `artifacts` in it.

    Args:
        state: The tracker's own directory in the checkout.
        commit: Full hash.
    """
    launches = state / "launches"
    launches.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime(_STAMP)
    directory = Path(tempfile.mkdtemp(prefix=f"{stamp}-{commit[:8]}-", dir=launches))
    (directory / "results").mkdir()
    (directory / "artifacts").mkdir()
    return directory


def remove_old_folders(state: Path, *, now: datetime | None = None) -> list[Path]:
    """Remove launch folders older than `KEEP_DAYS`, and those beyond the newest `KEEP_FOLDERS`.

    What they measured is in the store. Their logs and request times go.

    Args:
        state: The tracker's own directory in the checkout.
        now: The present, UTC.

    Returns:
        The folders removed.
    """
    oldest = ((now or datetime.now(UTC)) - timedelta(days=KEEP_DAYS)).strftime(_STAMP)
    folders = sorted((state / "launches").glob("*-*-*"), reverse=True)  # names begin with the time
    old = [f for number, f in enumerate(folders) if number >= KEEP_FOLDERS or f.name < oldest]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return old
