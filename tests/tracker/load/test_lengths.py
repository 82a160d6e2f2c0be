"""Quantile tables, and lengths drawn from them."""

from __future__ import annotations

import csv
import json
import os
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tracker.load.errors import ScenarioError
from tracker.load.lengths import Fixed, Production, draw
from tracker.load.tables import LEVELS, TABLES

DATA = Path(os.environ.get("PACEKEEPER_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_tables_have_an_entry_a_level_and_never_fall(table):
    assert len(table.tokens) == len(LEVELS)
    assert all(a <= b for a, b in pairwise(table.tokens))
    assert table.tokens[0] >= 1
    assert [table.at(level) for level in LEVELS] == list(table.tokens)


def test_levels_span_the_unit_interval_and_rise():
    assert (LEVELS[0], LEVELS[-1]) == (0.0, 1.0)
    assert all(a < b for a, b in pairwise(LEVELS))


def test_between_entries_the_table_is_linear():
    table = TABLES["azure_conv_prompt"]
    low, high = table.at(0.5), table.at(0.6)
    assert table.at(0.55) == pytest.approx((low + high) / 2)


def test_a_level_outside_the_unit_interval_is_refused():
    with pytest.raises(ValueError, match=r"1\.5"):
        TABLES["azure_conv_prompt"].at(1.5)


def _columns():
    for name in ("conv", "code"):
        path = DATA / "traces" / f"azure_llm_2023_{name}.csv"
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        yield f"azure_{name}_prompt", [int(r["ContextTokens"]) for r in rows]
        yield f"azure_{name}_output", [int(r["GeneratedTokens"]) for r in rows]
    lines = (DATA / "traces" / "mooncake_conversation.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    yield "mooncake_prompt", [r["input_length"] for r in rows]
    yield "mooncake_output", [r["output_length"] for r in rows]


@pytest.mark.shared_data
def test_tables_are_the_traces_quantiles():
    if not (DATA / "traces").is_dir():
        pytest.skip(f"no traces at {DATA}; set PACEKEEPER_DATA")
    for name, counts in _columns():
        assert TABLES[name].tokens == tuple(round(float(np.quantile(counts, q))) for q in LEVELS)


def test_scale_and_clips_apply_in_that_order():
    lengths = Production("azure_conv_prompt", scale=1 / 10, least=5, most=200)
    assert lengths.at(0.5) == 102
    assert lengths.at(0.0) == 5
    assert lengths.at(1.0) == 200


def test_a_draw_has_the_shape_of_the_table():
    lengths = Production("azure_conv_output")
    drawn = draw(lengths, 200, random.Random(1))
    # One from each two-hundredth: the sample's quantiles are the table's to within a stratum.
    for level in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert lengths.at(level - 0.006) <= np.quantile(drawn, level) <= lengths.at(level + 0.006)


def test_a_draw_depends_on_its_seed_alone():
    lengths = Production("azure_code_prompt")
    one = draw(lengths, 50, random.Random(7))
    assert one == draw(lengths, 50, random.Random(7))
    assert one != draw(lengths, 50, random.Random(8))
    assert one != sorted(one)


def test_fixed_lengths():
    assert draw(Fixed(12), 3, random.Random(0)) == [12, 12, 12]
    with pytest.raises(ScenarioError, match="at least 1"):
        Fixed(0)


def test_an_unknown_table_is_named_with_the_nearest():
    with pytest.raises(ScenarioError, match="did you mean 'azure_conv_prompt'"):
        Production("azure_conv_promt")


@pytest.mark.parametrize("wrong", [{"scale": 0.0}, {"least": 0}, {"least": 9, "most": 8}])
def test_impossible_lengths_are_refused(wrong):
    with pytest.raises(ScenarioError):
        Production("azure_conv_prompt", **wrong)
