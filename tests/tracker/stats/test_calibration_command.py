"""`make calibration`: it goes on where it was killed, and writes between its markers only."""

from functools import partial

import pytest

from tests.calibration import __main__ as command
from tests.calibration.tables import gate_tables

PAGE = "before\n<!-- calibration: gate -->\nold\n<!-- end of calibration: gate -->\nafter\n"


def test_finished_rows_are_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "KEPT", tmp_path)
    assert command.run({"row": partial(int, "3")}, processes=1, fresh=False) == {"row": 3}
    unable = {"row": partial(int, "no number")}
    assert command.run(unable, processes=1, fresh=False) == {"row": 3}
    with pytest.raises(ValueError, match="no number"):
        command.run(unable, processes=1, fresh=True)


def test_tables_go_between_the_markers(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    monkeypatch.setattr(command, "PAGE", page)
    text = command.markdown([("A table", ("noise", "rate"), [("Gaussian", "0")])])
    for _ in range(2):
        command.write("gate", text)
    assert page.read_text() == PAGE.replace(
        "old", "\n**A table**\n\n| noise | rate |\n|---|---|\n| Gaussian | 0 |\n"
    )


def test_a_page_without_markers_is_left_alone(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("no markers\n")
    monkeypatch.setattr(command, "PAGE", page)
    with pytest.raises(SystemExit, match="lacks the markers"):
        command.write("gate", "text")
    assert page.read_text() == "no markers\n"


def test_each_row_fills_its_table():
    tables = gate_tables(gates=20)
    for table in tables[:3]:
        job = table.jobs[0]
        assert len(job.compute()) == len(table.headers) - 1
    labels = [(table.title, job.label) for table in tables for job in table.jobs]
    assert len(set(labels)) == len(labels)
