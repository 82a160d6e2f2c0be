"""The largest batch is the last that fits, and every measure makes room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.largest_batch import MEASURES, Serving, largest_batch, main, num_bytes
from inference.presets import preset

QWEN_8B = preset("qwen3-8b")


def test_every_measure_makes_room_and_the_next_request_would_not_fit() -> None:
    serving, before = Serving(1024, 512, 8192), 0
    for _, change in MEASURES:
        serving = replace(serving, **change)
        batch = largest_batch(QWEN_8B, serving, 72_000_000_000)
        assert num_bytes(QWEN_8B, serving, batch) <= 72_000_000_000
        assert num_bytes(QWEN_8B, serving, batch + 1) > 72_000_000_000
        assert batch > before
        before = batch


def test_the_parts_are_those_computed_by_hand() -> None:
    paged = Serving(1024, 512, 8192, paged=True, last_logits=True, step_tokens=1, mlp_chunk=1)
    one, two = (num_bytes(QWEN_8B, paged, batch) for batch in (1, 2))
    # 1,536 positions of 147,456 bytes, and a row of 151,936 logits.
    assert two - one == 1536 * 147_456 + 151_936 * 4
    assert one == pytest.approx(2 * QWEN_8B.num_parameters + (two - one), rel=1e-4)
    assert largest_batch(QWEN_8B, paged, 10_000_000_000) == 0


def test_the_command_prints_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(MEASURES)
