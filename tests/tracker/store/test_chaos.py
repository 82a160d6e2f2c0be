"""A few kills of what `chaos` does a thousand times."""

import random
from pathlib import Path

import pytest

from tests.tracker.asv_results import write_project
from tests.tracker.postgres import Cluster, NoServerError
from tests.tracker.store.chaos import fill


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    results = write_project(tmp_path / "toy", 60)
    killed = fill(f"sqlite:///{tmp_path}/s.db", results, writers=4, kills=6, draw=random.Random(5))
    assert killed > 0


@pytest.mark.postgres
def test_killed_writers_and_a_killed_server_lose_nothing(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    results = write_project(tmp_path / "toy", 60)
    try:
        with Cluster() as cluster:
            url = cluster.new_database()
            draw = random.Random(5)
            killed = fill(url, results, writers=4, kills=8, draw=draw, cluster=cluster)
    except NoServerError as error:
        pytest.skip(str(error))
    assert killed > 0
