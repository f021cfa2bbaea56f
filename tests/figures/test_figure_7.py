"""Figure 7: which models it draws, where they lie, and what stands beside them."""

import dataclasses
import math
from itertools import combinations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.figures import labels
from helpers.figures.paper.figure_7 import DATASETS, best_models, figure_7
from helpers.figures.plots import scatter
from helpers.results import tables as results
from helpers.study.catalogue import model_title, study
from tests.support.committed import of_classifiers
from tests.support.published_tables import published_with_cell, read_published


@pytest.fixture(scope="module")
def printed_figure():
    return read_published("figure_7")


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    return tmp_path_factory.mktemp("no-records")


@pytest.fixture(scope="module")
def published(nowhere):
    return results.load_tables(committed=nowhere, live=nowhere)


@pytest.fixture(scope="module")
def with_reference(nowhere):
    """The published values and the campaigns of classifiers; models outside the paper are in test_own_models."""
    return of_classifiers(nowhere)


def points(panel):
    """What a panel draws: model or hover, x, y and symbol of each mark."""
    return [
        (hover.partition("</b>")[0].removeprefix("<b>"), x, y, symbol, trace)
        for trace in panel.figure.data
        for hover, x, y, symbol in zip(trace.hovertext, trace.x, trace.y, trace.marker.symbol, strict=True)
    ]


def test_the_rule_picks_the_models_of_the_printed_figure(published, printed_figure):
    drawn = {(row["dataset"], row["model"]) for row in printed_figure}
    assert len(drawn) == 19
    artefact = figure_7(published)
    assert set(zip(artefact.data["dataset"], artefact.data["model"], strict=True)) == drawn
    assert "gives the 19 points that the paper draws" in artefact.note


def test_each_published_point_lies_where_the_printed_figure_has_it(published, printed_figure):
    panels = {panel.name: points(panel) for panel in figure_7(published).panels}
    for row in printed_figure:
        ((_, x, y, symbol, _),) = [
            point for point in panels[row["dataset"]] if point[0] == model_title(row["model"])
        ]
        assert abs(x - float(row["accuracy"])) <= float(row["accuracy_uncertainty"]), row
        assert abs(y / float(row["energy_wh"]) - 1) < 0.01, row
        assert symbol.endswith("-open")


def test_models_that_the_tables_round_to_one_accuracy_are_drawn_apart_and_named_as_printed(published):
    artefact = figure_7(published)
    rows = artefact.data
    tomatoes = rows[(rows["dataset"] == "tomatoes") & (rows["family"] == "Other LLM")].set_index("model")
    assert tomatoes.loc["llama-3.1-70b", "accuracy_read"] == pytest.approx(0.9145)
    assert tomatoes.loc["qwen-2.5-72b", "accuracy_read"] == pytest.approx(0.909)
    assert set(tomatoes["accuracy"]) == {0.91}
    assert "figure_7" in tomatoes.loc["llama-3.1-70b", "origin"]
    (panel,) = [panel for panel in artefact.panels if panel.name == "tomatoes"]
    assert "best Jamba Mini 1.5 with accuracy 0.91" in panel.alt
    hovers = [text for trace in panel.figure.data for text in trace.hovertext if "Llama 3.1 70B" in text]
    assert "accuracy 0.910 ± 0.005<br>drawn at 0.9145" in hovers[0]


def test_our_runs_of_the_same_models_stand_beside_filled(with_reference):
    measured = with_reference.results[with_reference.results["source"] != "published"]
    for panel in figure_7(with_reference).panels:
        expected = measured[(measured["dataset"] == panel.name) & (measured["model"] == scatter.COMPARED)]
        assert len(expected) == 2
        filled = [point for point in points(panel) if not point[3].endswith("-open")]
        assert sorted(x for _, x, *_ in filled) == pytest.approx(sorted(expected["accuracy"]))
        assert sorted(y for _, _, y, *_ in filled) == pytest.approx(sorted(expected["energy_wh"]))
        assert {name for name, *_ in filled} == {model_title(scatter.COMPARED)}
        assert "reference-cpu, reference-gpu" in panel.note
        for *_, trace in filled:
            assert trace.meta["filled"]


def test_without_a_run_each_panel_says_so(published):
    for panel in figure_7(published).panels:
        assert "not measured by us" in panel.note


def test_a_measured_classifier_that_the_figure_does_not_draw_stays_out_and_language_models_are_in(published):
    weak = published.results[
        (published.results["dataset"] == "news")
        & published.results["model"].isin(["linear-bow", "qwen-2.5-7b"])
    ].assign(source="ours", accuracy=0.99, accuracy_sd=0.01, energy_kind="measured")
    strong = published.results[
        (published.results["dataset"] == "news") & (published.results["model"] == "llama-3.1-70b")
    ].assign(source="ours", accuracy=0.5, accuracy_sd=0.01, energy_kind="measured")
    tables = dataclasses.replace(
        published, results=pd.concat([published.results, weak, strong], ignore_index=True)
    )
    rows = figure_7(tables).data
    assert sorted(rows.loc[rows["source"] == "ours", "model"]) == ["llama-3.1-70b", "qwen-2.5-7b"]


def test_the_note_names_the_models_where_rule_and_figure_part(published):
    changed = published.results.copy()
    changed.loc[
        (changed["dataset"] == "news")
        & (changed["model"] == "qwen-2.5-7b")
        & (changed["source"] == "published"),
        "accuracy",
    ] = 0.95
    note = figure_7(dataclasses.replace(published, results=changed)).note
    assert "differ in Qwen 2.5 7B (news)" in note


def test_the_finding_follows_the_data(tmp_path, nowhere, published):
    before = figure_7(published).finding
    rows = {(r["dataset"], r["model"]): r for r in published.results.to_dict("records") if r["nodes"] == 1}
    ratio = rows["yelp", "qwen-2.5-72b"]["accuracy"] - rows["yelp", scatter.COMPARED]["accuracy"]
    assert f"{ratio:.2f} (yelp)" in before
    copy = published_with_cell(
        tmp_path, "table_b4", {"dataset": "yelp", "model": "qwen-2.5-72b"}, "accuracy", "0.78"
    )
    after = figure_7(results.load_tables(copy, nowhere, nowhere)).finding
    assert "0.35 (yelp)" in after


def test_the_smallest_energy_ratio_is_that_of_the_cheapest_of_those_that_tie(published):
    # tomatoes: three models print 0.91; Jamba Mini 1.5 takes 8.37 Wh, Linear Embedding 0.01476 Wh
    assert f"needs {round(8.37 / 0.01476, -1):.0f} (tomatoes)" in figure_7(published).finding


def test_all_panels_share_their_axes(with_reference):
    axes = {
        (panel.figure.layout.xaxis.range, panel.figure.layout.yaxis.range)
        for panel in figure_7(with_reference).panels
    }
    assert len(axes) == 1
    (accuracy, decades), *_ = axes
    rows = figure_7(with_reference).data
    assert accuracy[0] <= (rows["accuracy"] - rows["accuracy_sd"].fillna(0)).min()
    assert accuracy[1] >= (rows["accuracy"] + rows["accuracy_sd"].fillna(0)).max()
    assert decades[0] <= math.log10(rows["energy_wh"].min())
    assert decades[1] >= math.log10(rows["energy_wh"].max())


def _texts(trace):
    return () if trace.text is None else trace.text


def test_labels_name_every_published_point_and_hide_nothing_but_a_mark(with_reference):
    for panel in figure_7(with_reference).panels:
        beside = [text.strip() for trace in panel.figure.data for text in _texts(trace) if text]
        led = [note.text for note in panel.figure.layout.annotations if note.name == labels.LEADER]
        rows = figure_7(with_reference).data
        rows = rows[(rows["dataset"] == panel.name) & (rows["source"] == "published")]
        assert sorted(beside + led) == sorted(map(model_title, rows["model"]))
        axes = scatter.Axes(
            panel.figure.layout.xaxis.range,
            tuple(round(math.log10(panel.figure.layout.yaxis.tickvals[i])) for i in (0, -1)),
        )
        size = (230.0, 383.0)
        towards = {name: (dx, dy) for name, dx, dy in labels.PLACES}
        boxes = [
            labels._box(*scatter.pixels(pd.DataFrame([row]), axes, size)[0], text.strip(), *towards[position])
            for trace in panel.figure.data
            for text, position, x, y in zip(trace.text, trace.textposition, trace.x, trace.y, strict=True)
            if text
            for row in [{"accuracy": x, "energy_wh": y, "energy_wh_below": None}]
        ]
        assert [pair for pair in combinations(boxes, 2) if labels._overlap(*pair) > 0] == []


def test_every_alternative_text_says_what_is_drawn(with_reference):
    for panel in figure_7(with_reference).panels:
        assert panel.name in panel.alt
        assert "Published: " in panel.alt
        assert "Measured here: 1 model," in panel.alt


MODELS = st.lists(st.sampled_from([*study().models]), min_size=4, max_size=17, unique=True)


@settings(max_examples=100, deadline=None)
@given(models=MODELS, data=st.data())
def test_a_model_is_drawn_where_fewer_than_three_are_more_accurate(models, data):
    accuracy = data.draw(st.lists(st.integers(0, 6), min_size=len(models), max_size=len(models)))
    frame = pd.DataFrame({"model": models, "accuracy": [value / 10 for value in accuracy]})
    expected = {
        model
        for model, own in zip(models, accuracy, strict=True)
        if model == scatter.COMPARED or sum(other > own for other in accuracy) < 3
    }
    assert set(best_models(frame)) == expected
    assert len(expected) >= 3
    order = data.draw(st.permutations(range(len(models))))
    assert set(best_models(frame.iloc[order])) == expected


def test_the_panels_are_those_of_the_paper_in_its_order(published):
    assert [panel.name for panel in figure_7(published).panels] == list(DATASETS)
