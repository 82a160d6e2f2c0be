"""The private folder of one launch, under `.pacekeeper/launches`."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["launch_folder"]


def launch_folder(state: Path, commit: str) -> Path:
    """Make a folder for a launch of `commit`, with `results` and `artifacts` in it.

    Args:
        state: The tracker's own directory in the checkout.
        commit: Full hash.
    """
    launches = state / "launches"
    launches.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    directory = Path(tempfile.mkdtemp(prefix=f"{stamp}-{commit[:8]}-", dir=launches))
    (directory / "results").mkdir()
    (directory / "artifacts").mkdir()
    return directory
