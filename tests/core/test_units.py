"""Numbers as people read them."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.core import units
from helpers.core.units import THIN

WH = {"kWh": 1e3, "Wh": 1.0, "mWh": 1e-3, "µWh": 1e-6}
SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
MARKER = 14
WIDE_PX = (598.0, 423.0)
POSITIVE = st.floats(1e-9, 1e9)


def read_back(text, sizes):
    number, unit = text.split(THIN)
    return float(number) * sizes[unit]


# Units


@pytest.mark.parametrize(
    ("wh", "text"),
    [
        (0.00013, "0.13 mWh"),
        (0.000132, "0.13 mWh"),
        (0.12, "0.12 Wh"),
        (1000, "1.0 kWh"),
        (990, "990 Wh"),
        (48.6, "49 Wh"),
        (1.0, "1.0 Wh"),
        (0.1, "0.10 Wh"),
        (0.05, "50 mWh"),
        (1e-4, "0.10 mWh"),
        (9.9e-5, "99 µWh"),
        (3.383e-6, "3.4 µWh"),
        (2_500_000, "2500 kWh"),
        (0.0, "0 µWh"),
    ],
)
def test_energies_read_as_people_write_them(wh, text):
    assert units.energy(wh) == text.replace(" ", THIN)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (161.59, "160 s"),
        (1.64, "1.6 s"),
        (0.1, "0.10 s"),
        (0.01, "10 ms"),
        (1e-4, "0.10 ms"),
        (2e-5, "20 µs"),
    ],
)
def test_durations_read_as_people_write_them(seconds, text):
    assert units.duration(seconds) == text.replace(" ", THIN)


@pytest.mark.parametrize(
    ("exponent", "text"),
    [
        (-5, "10 µWh"),
        (-4, "0.1 mWh"),
        (-3, "1 mWh"),
        (-2, "10 mWh"),
        (-1, "0.1 Wh"),
        (0, "1 Wh"),
        (3, "1 kWh"),
    ],
)
def test_ticks_of_the_energy_axis(exponent, text):
    assert units.energy_tick(exponent) == text.replace(" ", THIN)


def test_a_number_and_its_unit_stay_together_on_a_line():
    assert units.energy(1.0) == "1.0\N{NARROW NO-BREAK SPACE}Wh"


@pytest.mark.parametrize("text_of", [units.energy, units.duration])
@pytest.mark.parametrize("absent", [None, math.nan])
def test_what_is_absent_is_missing_and_not_zero(text_of, absent):
    assert text_of(absent) == "missing"


@settings(max_examples=200, deadline=None)
@given(value=POSITIVE, digits=st.integers(1, 5))
def test_a_value_reads_back_to_within_half_a_unit_of_its_last_digit(value, digits):
    for text, sizes in (
        (units.energy(value, digits), WH),
        (units.duration(value, digits), SECONDS),
    ):
        assert math.isclose(read_back(text, sizes), value, rel_tol=0.5001 * 10 ** (1 - digits))


@settings(max_examples=200, deadline=None)
@given(values=st.lists(POSITIVE, min_size=2, max_size=6, unique=True))
def test_a_larger_value_never_reads_smaller(values):
    for text_of, sizes in ((units.energy, WH), (units.duration, SECONDS)):
        read = [read_back(text_of(value), sizes) for value in sorted(values)]
        assert all(a <= b * (1 + 1e-12) for a, b in pairwise(read))


@settings(max_examples=100, deadline=None)
@given(value=POSITIVE)
def test_a_negative_value_is_the_same_with_a_minus(value):
    assert units.energy(-value) == f"-{units.energy(value)}"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0, 3, "0"),
        (1234, 2, "1200"),
        (0.00012345, 3, "0.000123"),
        (1.0, 3, "1.00"),
        (0.5, 1, "0.5"),
        (-2.46, 2, "-2.5"),
    ],
)
def test_significant_digits(value, digits, text):
    assert units.significant(value, digits) == text


@pytest.mark.parametrize(
    ("number_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (26_214_400, "26.2 MB"),
        (15.2e9, "15.2 GB"),
        (1.5e12, "1.5 TB"),
    ],
)
def test_a_size_is_in_units_of_a_thousand(number_bytes, text):
    assert units.size(number_bytes) == text


@settings(max_examples=300, deadline=None)
@given(value=POSITIVE, digits=st.integers(1, 5))
def test_a_number_has_as_many_significant_digits_as_asked_for_and_no_exponent(value, digits):
    text = units.significant(value, digits)
    assert re.fullmatch(r"\d+(\.\d+)?", text)
    if float(text) < 10 ** (digits - 1):  # above, the digits left of the point are more than asked for
        assert len(text.replace(".", "").lstrip("0")) == digits


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([9.88e-8, 0.13], "µWh"),
        ([0.002, 0.133], "mWh"),
        ([0.5, 700.0, None], "Wh"),
        ([None, 0.0], "Wh"),
    ],
)
def test_the_unit_of_a_table_keeps_its_numbers_short(values, unit):
    size, name = units.table_unit(values, 3)
    assert name == unit
    assert max(len(units.significant(value / size, 3)) for value in values if value is not None) <= 6
