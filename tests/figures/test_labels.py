"""Labels that hide nothing and are read as those of their own marks, and the look that all figures share."""

from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.core.units import THIN
from helpers.figures import labels, style
from helpers.figures.paper import figure_1
from helpers.figures.plots import scatter
from helpers.results import tables as results
from helpers.study.catalogue import study

MARKER = 14
WIDE_PX = (576.0, 423.0)


def placed(points, texts, *sizes, lines=()):
    """The text position of each label, None for one that is left out."""
    frame = labels.place(pd.Series(texts, dtype=object), points, *sizes, lines=lines)
    return [
        place if shown or not text else None
        for text, shown, place in zip(texts, frame["text"], frame["place"], strict=True)
    ]


def boxes(points, texts, places):
    """The rectangles of the labels that are shown, by position of their point."""
    towards = {name: (dx, dy) for name, dx, dy in labels.PLACES}
    return {
        i: labels._box(*point, label, *towards[position])
        for i, (point, label, position) in enumerate(zip(points, texts, places, strict=True))
        if label
    }


def marker(point):
    return tuple(value - MARKER / 2 for value in point) + tuple(value + MARKER / 2 for value in point)


def assert_nothing_hidden(points, texts, places):
    drawn = boxes(points, texts, places)
    for (i, a), (j, b) in combinations(drawn.items(), 2):
        assert labels._overlap(a, b) == 0, f"{texts[i]} and {texts[j]}"
    for i, box in drawn.items():
        for point in points:
            assert labels._overlap(box, marker(point)) == 0, texts[i]


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=12, unique=True),
    label=st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=16),
)
def test_labels_of_points_far_apart_hide_nothing_and_stay_inside(cells, label):
    width, height = 900.0, 480.0
    points = [(x * 300.0 + 150, y * 80.0 + 40) for x, y in cells]
    texts = [label] * len(points)
    places = placed(points, texts, (width, height))
    assert_nothing_hidden(points, texts, places)
    for left, top, right, bottom in boxes(points, texts, places).values():
        assert 0 <= left <= right <= width
        assert 0 <= top <= bottom <= height


def test_labels_of_two_neighbours_turn_away_from_each_other():
    points, texts = [(300.0, 200.0), (330.0, 200.0)], ["Linear BoW", "Linear Tf-idf"]
    assert_nothing_hidden(points, texts, placed(points, texts, (600, 400)))


@pytest.mark.parametrize(
    ("point", "forbidden"),
    [((595.0, 200.0), "right"), ((5.0, 200.0), "left"), ((300.0, 2.0), "top"), ((300.0, 398.0), "bottom")],
)
def test_a_label_at_an_edge_turns_inside(point, forbidden):
    (position,) = placed([point], ["Linear BoW"], (600, 400))
    assert forbidden not in position


def test_a_label_without_a_free_place_is_left_out():
    points = [(300.0 + 12 * x, 200.0 + 12 * y) for x in range(-9, 10) for y in range(-3, 4)]
    texts = ["Linear BoW" if point == (300.0, 200.0) else "" for point in points]
    assert placed(points, texts, (600, 400)).count(None) == 1
    labelled = labels.place(pd.Series(texts), points, (600, 400))
    assert list(labelled["text"]) == [""] * len(points)


def test_a_label_is_not_put_beside_the_mark_of_another():
    points = [(100.0, 200.0), (140.0, 201.0)]
    (position, _) = placed(points, ["Phi 3.5 Mini", ""], (600, 400))
    assert position not in ("middle right", "top right", "bottom right")


def test_a_place_holds_in_all_sizes():
    point = (470.0, 200.0)
    assert placed([point], ["Linear BoW"], (600, 400)) == ["middle right"]
    assert "right" not in str(placed([point], ["Linear BoW"], (600, 400), (250, 400))[0])


def test_a_label_keeps_off_lines():
    line = [(x, 200.0) for x in range(310, 600, 8)]
    assert placed([(300.0, 200.0)], ["Linear BoW"], (600, 400), lines=line) != ["middle right"]


def test_a_point_without_a_label_takes_no_room():
    points = [(300.0, 200.0), (300.0, 200.0)]
    assert placed(points, ["", "x"], (600, 400)) == placed(points, ["x", ""], (600, 400))[::-1]
    assert placed([], [], (600, 400)) == []


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.tuples(st.floats(0, 600), st.floats(0, 400)), max_size=10),
    data=st.data(),
)
def test_every_point_gets_a_position_that_plotly_knows(points, data):
    texts = data.draw(st.lists(st.text(max_size=20), min_size=len(points), max_size=len(points)))
    places = labels.place(pd.Series(texts, dtype=object), points, (600, 400))["place"]
    assert len(places) == len(points)
    assume(points)
    go.Scatter(x=[x for x, _ in points], y=[y for _, y in points], textposition=places)


def distance(box, point):
    return labels._apart_px(box, point)


POINTS = st.lists(st.tuples(st.floats(20, 580), st.floats(20, 380)), min_size=1, max_size=14, unique=True)


@settings(max_examples=60, deadline=None)
@given(points=POINTS)
def test_every_label_beside_a_mark_is_nearest_to_its_own(points):
    texts = ["Linear BoW"] * len(points)
    places = placed(points, texts, (600, 400))
    shown = [text if place else "" for text, place in zip(texts, places, strict=True)]
    drawn = boxes(points, shown, places)
    for i, box in drawn.items():
        own = distance(box, points[i])
        assert all(distance(box, other) > own for other in points if other != points[i])


@settings(max_examples=60, deadline=None)
@given(points=POINTS)
def test_a_needed_label_without_a_free_place_ends_a_line_and_hides_nothing(points):
    texts = pd.Series(["Linear BoW"] * len(points), dtype=object)
    frame = labels.place(texts, points, (600, 400), needed=texts.index)
    assert ((frame["text"] == "") | (frame["leader"] == "")).all()
    beside = boxes(points, list(frame["text"].str.strip()), list(frame["place"]))
    led = {
        i: labels._led_box(*points[i], row["leader"], (row["x_px"], row["y_px"]))
        for i, row in frame.iterrows()
        if row["leader"]
    }
    for (i, a), (j, b) in combinations([*beside.items(), *led.items()], 2):
        assert labels._overlap(a, b) == 0, (i, j)
    for i, (left, top, right, bottom) in led.items():
        assert 0 <= left <= right <= 600
        assert 0 <= top <= bottom <= 400
        assert min(distance((left, top, right, bottom), point) for point in points) > MARKER / 2, i


def test_the_label_of_a_mark_in_a_crowd_ends_a_line_if_it_is_needed_and_else_is_left_out():
    around = [(300.0 + 14 * x, 200.0 + 14 * y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    texts = pd.Series(["Jamba" if point == (300.0, 200.0) else "" for point in around], dtype=object)
    without = labels.place(texts, around, (600, 400))
    assert list(without["leader"]) == list(without["text"]) == [""] * 9
    crowd = [point for point in around if point[0] != 314.0]  # a way out to the right
    texts = pd.Series(["Jamba" if point == (300.0, 200.0) else "" for point in crowd], dtype=object)
    frame = labels.place(texts, crowd, (600, 400), needed=texts.index)
    assert "Jamba" in "".join([*frame["text"], *frame["leader"]])


def test_a_leader_is_an_annotation_in_the_colour_of_its_mark_on_a_wide_plot_and_on_a_phone():
    figure = go.Figure()
    style.energy_axis(figure, -2, 1, title="Energy")
    frame = pd.DataFrame(
        {"text": [""], "place": ["middle right"], "leader": ["Jamba"], "x_px": [30], "y_px": [-20]}
    )
    x, y, colours = pd.Series([0.5]), pd.Series([0.1]), pd.Series(["#0072B2"])
    labels.draw_leaders(figure, x, y, colours, frame, frame.assign(x_px=-30))
    (broad,), (narrow,) = figure.layout.annotations, figure.layout.meta["narrow"]
    assert (broad.name, broad.text, broad.x, broad.y) == (labels.LEADER, "Jamba", 0.5, -1.0)
    assert (broad.ax, broad.xanchor, narrow["ax"], narrow["xanchor"]) == (30, "left", -30, "right")
    assert broad.arrowcolor == broad.font.color == "#0072B2"


@pytest.fixture(scope="module")
def fktg(tmp_path_factory):
    """The rows of the first panel of Figure 1, without what was measured on this machine."""
    empty = tmp_path_factory.mktemp("no-records")
    table = results.load_tables(committed=empty, live=empty).results
    rows = scatter.sorted_by_study(scatter.side_by_side(table))
    return rows[rows["dataset"] == "fktg"]


def test_the_labels_of_the_papers_17_models_do_not_overlap(fktg):
    points = scatter.pixels(fktg, scatter.Axes((0.25, 0.62), (-5, 3)), WIDE_PX)
    texts = [study().models[name].title for name in fktg["model"]]
    assert len(texts) == 17
    places = placed(points, texts, WIDE_PX)
    drawn_boxes = boxes(points, texts, places)
    hidden = [
        f"{texts[i]} and {texts[j]}"
        for (i, a), (j, b) in combinations(drawn_boxes.items(), 2)
        if labels._overlap(a, b)
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
        if name
    }
    led = {note.text for note in panel.figure.layout.annotations if note.name == labels.LEADER}
    texts = {study().models[name].title for name in fktg["model"]}
    assert {text.strip() for text in drawn} | led == texts
    assert len(drawn) + len(led) == len(texts)
    for text, position in drawn.items():  # a space keeps a label beside its mark from touching it
        assert (text[0] == "\u00a0", text[-1] == "\u00a0") == (
            position == "middle right",
            position == "middle left",
        )


def test_a_label_keeps_clear_of_whiskers(fktg):
    rows = fktg.iloc[[0]].assign(
        source="own", accuracy=0.4, accuracy_sd=0.1, energy_wh=1.0, energy_wh_below=np.nan, energy_sd_wh=0.0
    )
    axes = scatter.Axes((0.2, 0.6), (-1, 1))
    for whiskers, places in ((rows, {"top center"}), (rows.assign(accuracy_sd=0.0), {"middle right"})):
        shown = scatter._labels(whiskers, rows.index, (), axes, [(400.0, 300.0)])
        assert set(shown["place"]) == places
        assert (shown["text"].str.strip() != "").all()


# Looks


def test_families_differ_in_colour_and_in_marker():
    assert set(style.FAMILIES) == {model.family for model in study().models.values()}
    for field in ("light", "dark", "symbol", "title"):
        assert len({getattr(look, field) for look in style.FAMILIES.values()}) == len(style.FAMILIES)


def test_the_energy_axis_is_logarithmic_with_a_labelled_tick_for_each_decade():
    fig = go.Figure()
    style.energy_axis(fig, -2, 1, title="Energy of one pass")
    axis = fig.layout.yaxis
    assert (axis.type, axis.title.text) == ("log", "Energy of one pass")
    assert axis.tickvals == pytest.approx((0.01, 0.1, 1, 10))
    assert axis.ticktext == tuple(text.replace(" ", THIN) for text in ("10 mWh", "0.1 Wh", "1 Wh", "10 Wh"))
    assert axis.range[0] < -2 < 1 < axis.range[1]
