from datetime import UTC, datetime, timedelta

import pytest

from dashboard.units import ago, counted, format_effect, format_number, format_value, scale_for


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0123, "s", "12.30 ms"),
        (0.0123, "seconds", "12.30 ms"),
        (3.1e-6, "s", "3.100 µs"),
        (9.9997e-4, "s", "1.000 ms"),  # never "1000 µs"
        (2.5, "s", "2.500 s"),
        (0.0, "s", "0 s"),
        (3_221_225_472, "bytes", "3.221 GB"),
        (280, "bytes", "280 B"),
        (1.5e9, "B/s", "1.500 GB/s"),
        (0.615, "1", "61.50 %"),
        (1.7, "1", "1.700"),  # a ratio above one is no share
        (5231.4, "tokens/s", "5,231 tokens/s"),
        (0.21, "J/token", "210 mJ/token"),
        (141, "unit", "141"),
        (None, "s", "–"),
        (float("nan"), "s", "–"),
    ],
)
def test_a_value_is_scaled_and_keeps_its_unit(value, unit, shown):
    assert format_value(value, unit) == shown


def test_one_scale_serves_all_values_of_a_chart():
    scale = scale_for("s", [0.9, 1.1, 0.0009, None, float("inf")])
    assert (scale.unit, scale(0.0009)) == ("ms", pytest.approx(0.9))


def test_a_share_is_a_percentage_only_while_no_value_exceeds_one():
    assert scale_for("1", [0.2, 0.9]).unit == "%"
    assert scale_for("1", [0.2, 1.9]).unit == ""


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (12345.6, "12,346"), (-0.5, "−0.5000"), (1e-6, "1e-06"), (61.0, "61")],
)
def test_a_number_has_four_digits(number, shown):
    assert format_number(number) == shown


@pytest.mark.parametrize(
    ("effect", "shown"),
    [
        (0.123, "+12.3 %"),
        (-0.004, "−0.40 %"),
        (1.5, "+150 %"),
        (76.0, "×77"),
        (0.0, "0 %"),
        (1e-9, "±0.00 %"),  # something moved, too little to name
        (None, "–"),
    ],
)
def test_an_effect_is_signed(effect, shown):
    assert format_effect(effect) == shown


@pytest.mark.parametrize(
    ("elapsed", "shown"),
    [
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=5), "5 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=400), "1 year ago"),
    ],
)
def test_an_age_is_in_its_largest_unit(elapsed, shown):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert ago(now - elapsed, now) == shown


def test_what_was_never_measured_has_no_age():
    assert ago(None, datetime(2026, 1, 1, tzinfo=UTC)) == "never"


def test_a_change_names_its_unit_once():
    assert scale_for("s", [0.0123]).change(0.0123, 0.0161) == "12.30 → 16.10 ms"


@pytest.mark.parametrize(("number", "shown"), [(0, "0 shifts"), (1, "1 shift"), (2, "2 shifts")])
def test_a_count_has_its_plural(number, shown):
    assert counted(number, "shift") == shown
