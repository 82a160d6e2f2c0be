"""Other projects' results, against the rows that asv's own loader reads out of them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from tests.tracker.store.comparison import content
from tracker.cli.db import write_rows
from tracker.ingest import ingest_directory
from tracker.store import Store, queries
from tracker.store.check import check_store

PROJECTS = {
    "sunpy": (1396, 13960),
    "sunpy-v1": (16, 72),
    "django": (362, 20988),
    "sgkit": (262, 837),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", PROJECTS)
def test_every_row_stands_in_the_store_and_no_other(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    place = shared_data / "asv" / name
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        report = ingest_directory(store, place, project=name)
        assert report.problems == ()
        assert (report.files, report.added) == PROJECTS[name]
        stream = io.StringIO(newline="")
        write_rows(queries.export_rows(store, name), stream)
        with gzip.open(place / "EXPECTED.csv.gz", "rt", newline="") as expected:
            assert stream.getvalue() == expected.read()
        before = content(store)
        again = ingest_directory(store, place, project=name)
        assert (again.added, again.unchanged) == (0, report.added)
        assert content(store) == before
        assert check_store(store) == []


@pytest.mark.shared_data
@pytest.mark.postgres
@pytest.mark.parametrize("name", ["sunpy-v1", "sgkit"])
def test_every_row_stands_in_postgresql(name: str, shared_data: Path, postgres_url: str) -> None:
    place = shared_data / "asv" / name
    with Store.open(postgres_url) as store:
        ingest_directory(store, place, project=name)
        stream = io.StringIO(newline="")
        write_rows(queries.export_rows(store, name), stream)
    with gzip.open(place / "EXPECTED.csv.gz", "rt", newline="") as expected:
        assert stream.getvalue() == expected.read()
