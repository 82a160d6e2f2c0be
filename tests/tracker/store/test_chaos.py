"""A few kills of what `chaos` does a thousand times."""

import random
from pathlib import Path

import pytest

from tests.tracker.asv_results import write_project
from tests.tracker.postgres import Cluster, NoServerError
from tests.tracker.store.chaos import fill

_STORES = 20  # a quick machine fills some stores before anything is killed


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 60)
    draw, killed = random.Random(5), 0
    for number in range(_STORES):
        url = f"sqlite:///{tmp_path}/{number}.db"
        killed += fill(url, results, writers=4, kills=4 - killed, draw=draw)
        if killed >= 4:
            return
    pytest.fail(f"only {killed} killed in {_STORES} stores")


@pytest.mark.postgres
def test_killed_writers_and_a_killed_server_lose_nothing(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    results = write_project(tmp_path / "toy", 60)
    try:
        with Cluster() as cluster:
            draw, killed = random.Random(5), 0
            for _ in range(_STORES):
                url = cluster.new_database()
                killed += fill(
                    url, results, writers=4, kills=4 - killed, draw=draw, cluster=cluster
                )
                if killed >= 4:
                    return
    except NoServerError as error:
        pytest.skip(str(error))
    pytest.fail(f"only {killed} killed in {_STORES} stores")
