import pytest

from tracker.report.numbers import duration, interval, percent, scale_for, scaled, value_with_unit


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0123, "s", "12.30 ms"),
        (2.0, "seconds", "2 s"),
        (4.1e-7, "s", "410.0 ns"),
        (3e-12, "s", "0.003000 ns"),
        (2.5e9, "bytes", "2.500 GB"),
        (512, "bytes", "512 B"),
        (1.5e12, "bytes/s", "1.500 TB/s"),
        (152340.0, "tokens/s", "152.3 k tokens/s"),
        (500.0, "tokens/s", "500 tokens/s"),
        (0.25, "1", "0.2500"),
        (0.0, "s", "0 s"),
        (None, "s", "- s"),
    ],
)
def test_values_are_scaled_when_shown(value, unit, shown):
    assert value_with_unit(value, unit) == shown


def test_one_row_shares_a_scale():
    divisor, unit = scale_for("s", 0.9, 1.1)
    assert (scaled(0.9, divisor), scaled(1.1, divisor), unit) == ("0.9000", "1.100", "s")


def test_ratios_and_spans():
    assert percent(0.1234) == "+12.34%"
    assert percent(None) == "?"
    assert interval(-0.01, 0.02) == "[-1.00%, +2.00%]"
    assert interval(None, 0.02) == interval(0.0, 0.0) == ""
    assert [duration(s) for s in (5.4, 185, 7860)] == ["5 s", "3 min 05 s", "2 h 11 min"]
