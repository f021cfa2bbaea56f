"""Numbers as people read them, and labels that hide nothing."""

import math
import re
from itertools import combinations, pairwise

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.core import units
from helpers.core.units import THIN
from helpers.figures import style
from helpers.figures.paper import figure_1
from helpers.figures.plots import scatter
from helpers.results import tables as results
from helpers.study.catalogue import study

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


# Labels


def boxes(points, labels, places):
    """The rectangles of the labels that are shown, by position of their point."""
    towards = {name: (dx, dy) for name, dx, dy in style.PLACES}
    return {
        i: style._box(*point, label, *towards[position])
        for i, (point, label, position) in enumerate(zip(points, labels, places, strict=True))
        if label
    }


def marker(point):
    return tuple(value - MARKER / 2 for value in point) + tuple(value + MARKER / 2 for value in point)


def assert_nothing_hidden(points, labels, places):
    drawn = boxes(points, labels, places)
    for (i, a), (j, b) in combinations(drawn.items(), 2):
        assert style._overlap(a, b) == 0, f"{labels[i]} and {labels[j]}"
    for i, box in drawn.items():
        for point in points:
            assert style._overlap(box, marker(point)) == 0, labels[i]


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=12, unique=True),
    label=st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=16),
)
def test_labels_of_points_far_apart_hide_nothing_and_stay_inside(cells, label):
    width, height = 900.0, 480.0
    points = [(x * 300.0 + 150, y * 80.0 + 40) for x, y in cells]
    labels = [label] * len(points)
    places = style.place_labels(points, labels, (width, height))
    assert_nothing_hidden(points, labels, places)
    for left, top, right, bottom in boxes(points, labels, places).values():
        assert 0 <= left <= right <= width
        assert 0 <= top <= bottom <= height


def test_labels_of_two_neighbours_turn_away_from_each_other():
    points, labels = [(300.0, 200.0), (330.0, 200.0)], ["Linear BoW", "Linear Tf-idf"]
    assert_nothing_hidden(points, labels, style.place_labels(points, labels, (600, 400)))


@pytest.mark.parametrize(
    ("point", "forbidden"),
    [((595.0, 200.0), "right"), ((5.0, 200.0), "left"), ((300.0, 2.0), "top"), ((300.0, 398.0), "bottom")],
)
def test_a_label_at_an_edge_turns_inside(point, forbidden):
    (position,) = style.place_labels([point], ["Linear BoW"], (600, 400))
    assert forbidden not in position


def test_a_label_without_a_free_place_is_left_out():
    points = [(300.0 + 12 * x, 200.0 + 12 * y) for x in range(-9, 10) for y in range(-3, 4)]
    labels = ["Linear BoW" if point == (300.0, 200.0) else "" for point in points]
    assert style.place_labels(points, labels, (600, 400)).count(None) == 1
    labelled = style.labels(pd.Series(labels), points, (600, 400))
    assert list(labelled["text"]) == [""] * len(points)


def test_a_label_is_not_put_beside_the_mark_of_another():
    points = [(100.0, 200.0), (140.0, 201.0)]
    (position, _) = style.place_labels(points, ["Phi 3.5 Mini", ""], (600, 400))
    assert position not in ("middle right", "top right", "bottom right")


def test_a_place_holds_in_all_sizes():
    point = (470.0, 200.0)
    assert style.place_labels([point], ["Linear BoW"], (600, 400)) == ["middle right"]
    assert "right" not in str(style.place_labels([point], ["Linear BoW"], (600, 400), (250, 400))[0])


def test_a_label_keeps_off_lines():
    line = [(x, 200.0) for x in range(310, 600, 8)]
    assert style.place_labels([(300.0, 200.0)], ["Linear BoW"], (600, 400), lines=line) != ["middle right"]


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


def test_a_point_without_a_label_takes_no_room():
    points = [(300.0, 200.0), (300.0, 200.0)]
    assert (
        style.place_labels(points, ["", "x"], (600, 400))
        == style.place_labels(points, ["x", ""], (600, 400))[::-1]
    )
    assert style.place_labels([], [], (600, 400)) == []


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.tuples(st.floats(0, 600), st.floats(0, 400)), max_size=10),
    data=st.data(),
)
def test_every_point_gets_a_position_that_plotly_knows(points, data):
    labels = data.draw(st.lists(st.text(max_size=20), min_size=len(points), max_size=len(points)))
    places = style.labels(pd.Series(labels, dtype=object), points, (600, 400))["place"]
    assert len(places) == len(points)
    assume(points)
    go.Scatter(x=[x for x, _ in points], y=[y for _, y in points], textposition=places)


@pytest.fixture(scope="module")
def fktg(tmp_path_factory):
    """The rows of the first panel of Figure 1, without what was measured on this machine."""
    empty = tmp_path_factory.mktemp("no-records")
    table = results.load_tables(committed=empty, live=empty).results
    rows = scatter.sorted_by_study(scatter.side_by_side(table))
    return rows[rows["dataset"] == "fktg"]


def test_the_labels_of_the_papers_17_models_do_not_overlap(fktg):
    points = scatter.pixels(fktg, scatter.Axes((0.25, 0.62), (-5, 3)), WIDE_PX)
    labels = [study().models[name].title for name in fktg["model"]]
    assert len(labels) == 17
    places = style.place_labels(points, labels, WIDE_PX)
    drawn_boxes = boxes(points, labels, places)
    hidden = [
        f"{labels[i]} and {labels[j]}"
        for (i, a), (j, b) in combinations(drawn_boxes.items(), 2)
        if style._overlap(a, b)
    ]
    assert hidden == []
    for left, _, right, _ in drawn_boxes.values():
        assert -1 <= left <= right <= WIDE_PX[0] + 1


def test_the_figure_places_its_labels_so(fktg):
    panel = figure_1._panel(fktg, "fktg", "", wide=True)
    drawn = {
        name: position
        for trace in panel.figure.data
        for name, position in zip(trace.text, trace.textposition, strict=True)
    }
    labels = {study().models[name].title for name in fktg["model"]}
    assert {text.strip(): text.strip() for text in drawn} == {text: text for text in labels}
    for text, position in drawn.items():  # a space keeps a label beside its mark from touching it
        assert (text[0] == "\u00a0", text[-1] == "\u00a0") == (
            position == "middle right",
            position == "middle left",
        )


# Looks


def test_families_differ_in_colour_and_in_marker():
    assert set(style.FAMILIES) == {model.family for model in study().models.values()}
    for field in ("light", "dark", "symbol", "title"):
        assert len({getattr(look, field) for look in style.FAMILIES.values()}) == len(style.FAMILIES)


def test_the_energy_axis_is_logarithmic_with_a_labelled_tick_for_each_decade():
    fig = go.Figure()
    style.energy_axis(fig, -2, 1)
    axis = fig.layout.yaxis
    assert axis.type == "log"
    assert axis.tickvals == pytest.approx((0.01, 0.1, 1, 10))
    assert axis.ticktext == tuple(text.replace(" ", THIN) for text in ("10 mWh", "0.1 Wh", "1 Wh", "10 Wh"))
    assert axis.range[0] < -2 < 1 < axis.range[1]
