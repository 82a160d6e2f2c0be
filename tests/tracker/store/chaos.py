"""Writers and their server killed at random moments: nothing is lost, nothing is there twice.

``python -m tests.tracker.store.chaos --kills 1000 --writers 16`` fills stores from a small asv project,
one store after the other, until so many processes were killed with SIGKILL. Every writer ingests the
whole project in an order of its own, a few files at a time. After each kill of the PostgreSQL server
(one kill in five; SQLite has none) it starts again. A store that is complete is compared with one that
nothing disturbed, and with what the writers were told was written before they died.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlalchemy import select

from tests.tracker.asv_results import write_project
from tests.tracker.postgres import Cluster
from tests.tracker.store.comparison import content
from tracker import ingest
from tracker.domain import NewRun, Recorded
from tracker.errors import StoreError
from tracker.ingest import ingest_directory
from tracker.store import Store, tables
from tracker.store.check import check_store

_RESULTS_AT_ONCE = 12
_LONGEST_WAIT = 0.4  # seconds until the next kill
_NO_STORE = 2  # exit code of a writer whose database failed


class _Told(Store):
    """A store that notes in a file which result files it was told are written."""

    notes: Path

    def record_runs(self, project: str, runs: Sequence[NewRun]) -> list[Recorded]:
        answer = super().record_runs(project, runs)
        with self.notes.open("a") as notes:
            notes.write("".join(f"{run.file.digest}\n" for run in runs))
        return answer


def _write_all(url: str, results: Path, notes: Path, seed: int) -> None:
    """Ingest the whole project in a random order; a server that is away ends this writer."""
    draw = random.Random(seed)
    listed = ingest.list_result_files

    def shuffled(path: Path) -> tuple[list[Path], list[ingest.Problem]]:
        files, problems = listed(path)
        return draw.sample(files, len(files)), problems

    ingest.list_result_files = shuffled
    ingest._BATCH_RESULTS = _RESULTS_AT_ONCE
    _Told.notes = notes
    try:
        with _Told.open(url) as store:
            ingest_directory(store, results, project="chaos")
    except StoreError:
        os._exit(_NO_STORE)
    os._exit(0)


def fill(
    url: str,
    results: Path,
    *,
    writers: int,
    kills: int,
    draw: random.Random,
    cluster: Cluster | None = None,
) -> int:
    """Fill the store at `url` by `writers` processes, of which up to `kills` are killed.

    Returns:
        How many processes were killed; the server counts as one.

    Raises:
        AssertionError: A writer failed by itself, or the store is not what undisturbed writing
            makes, or it lacks what a writer was told is written.
    """
    fork = multiprocessing.get_context("fork")
    notes = Path(tempfile.mkdtemp(dir=results.parent)) / "written"
    notes.touch()
    running: list[BaseProcess] = []
    killed, complete = 0, False
    while not complete or running:
        while not complete and len(running) < writers:
            arguments = (url, results, notes, draw.getrandbits(32))
            running.append(fork.Process(target=_write_all, args=arguments))
            running[-1].start()
        allowed = {0, -signal.SIGKILL}
        if killed >= kills:
            running[0].join()
        else:
            # Mostly short: on a quick machine a writer is done in a fraction of a second.
            time.sleep(_LONGEST_WAIT * draw.random() ** 3)
            if cluster is None or draw.random() > 0.2:
                draw.choice(running).kill()
            else:
                cluster.kill()
                killed += 1
                for writer in running:
                    writer.join()
                allowed.add(_NO_STORE)
                cluster.start()
                _require_written(url, notes)  # before anybody can write it again
        for writer in [writer for writer in running if not writer.is_alive()]:
            assert writer.exitcode in allowed, f"a writer ended with {writer.exitcode}"
            killed += writer.exitcode == -signal.SIGKILL
            complete = complete or writer.exitcode == 0
            running.remove(writer)
    _require_written(url, notes)
    with Store.open("sqlite://") as undisturbed, Store.open(url) as store:
        ingest_directory(undisturbed, results, project="chaos")
        assert content(store) == content(undisturbed)
        assert check_store(store) == []
    if cluster is not None:
        assert "deadlock detected" not in (cluster.root / "log").read_text()
    return killed


def _require_written(url: str, notes: Path) -> None:
    """Raise unless every file that a writer was told is written stands in the store."""
    told = set(notes.read_text().split())
    if told:
        with Store.open(url, read_only=True) as store, store.reading() as connection:
            stored = set(connection.scalars(select(tables.run.c.digest)))
        assert told <= stored, f"{len(told - stored)} files were written and are gone"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.tracker.store.chaos", description=__doc__
    )
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", choices=["sqlite", "postgresql"], default="postgresql")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    start, killed, stores = time.monotonic(), 0, 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results = write_project(folder / "toy", asked.commits)
        postgresql = asked.backend == "postgresql"
        cluster = stack.enter_context(Cluster()) if postgresql else None
        while killed < asked.kills:
            stores += 1
            killed += fill(
                cluster.new_database() if cluster else f"sqlite:///{folder}/{stores}.db",
                results,
                writers=asked.writers,
                kills=asked.kills - killed,
                draw=draw,
                cluster=cluster,
            )
            print(
                f"{killed} killed, {stores} stores as if undisturbed, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
