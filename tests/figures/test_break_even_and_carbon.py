"""Break-even of training, and grams of CO2e: closed forms, intervals, and values that are nobody's invention."""

import json
import math
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.core.errors import UserError
from helpers.core.units import THIN
from helpers.figures.beyond.break_even import break_even as break_even_figure
from helpers.figures.beyond.carbon import carbon, grams
from helpers.results.tables import load_tables, select_sequential
from helpers.statistics.break_even import Interval, break_even
from helpers.study.carbon_intensity import co2e_g, grids, load_grids

POSITIVE = st.floats(1e-6, 1e3)


@pytest.fixture(scope="module")
def tables():
    return load_tables()


def point(value):
    return Interval(value, value)


# Break-even


def test_three_watt_hours_of_training_pay_after_ten_texts_that_save_0_3_each():
    texts = break_even(point(3.0), point(0.2), point(0.5))
    assert (texts.low, texts.high) == pytest.approx((10.0, 10.0))


def test_a_model_that_costs_as_much_or_more_per_text_never_pays():
    assert break_even(point(1.0), point(0.5), point(0.5)) is None
    assert break_even(point(1.0), Interval(0.5, 0.6), Interval(0.3, 0.5)) is None


def test_if_it_may_need_more_energy_there_is_no_upper_end():
    texts = break_even(Interval(1.0, 2.0), Interval(0.1, 0.4), Interval(0.3, 0.5))
    assert texts.low == pytest.approx(1.0 / 0.4)
    assert texts.high == math.inf


def test_training_that_costs_nothing_pays_at_once():
    assert break_even(point(0.0), point(0.1), point(0.5)) == point(0.0)


def test_impossible_intervals_are_refused():
    with pytest.raises(ValueError, match="low <= high"):
        Interval(2.0, 1.0)
    with pytest.raises(ValueError, match="low <= high"):
        Interval(math.nan, 1.0)
    with pytest.raises(ValueError, match="no less than 0"):
        break_even(point(-1.0), point(0.1), point(0.2))


def test_an_absent_bound_is_no_bound():
    assert Interval.around(2.0, math.nan) == point(2.0)
    assert Interval.around(2.0, 0.5) == Interval(1.5, 2.5)


@st.composite
def inside(draw):
    """Return an interval and a value in it."""
    low, high = sorted((draw(POSITIVE), draw(POSITIVE)))
    return Interval(low, high), low + draw(st.floats(0, 1)) * (high - low)


@given(inside(), inside(), inside())
def test_every_choice_inside_the_intervals_gives_a_number_inside_the_answer(training, own, other):
    answer = break_even(training[0], own[0], other[0])
    saved = other[1] - own[1]
    if answer is None:
        assert saved <= 0
    elif saved > 0:
        texts = training[1] / saved
        assert answer.low * (1 - 1e-9) <= texts
        assert texts <= answer.high * (1 + 1e-9)


@given(POSITIVE, POSITIVE, POSITIVE, st.floats(0.01, 100))
def test_units_of_energy_do_not_change_the_number_of_texts(training, own, other, factor):
    before = break_even(point(training), point(own), point(other))
    after = break_even(point(factor * training), point(factor * own), point(factor * other))
    if before is None or abs(other - own) < 1e-9 * other:
        return
    assert after.low == pytest.approx(before.low, rel=1e-5)


def test_two_runs_of_a_model_in_a_campaign_both_stand_in_the_table(tables):
    run = tables.results[tables.results["source"] == "reference-cpu"].iloc[:1].assign(origin="runs/again")
    twice = replace(tables, results=pd.concat([tables.results, run], ignore_index=True))
    once, both = (break_even_figure(item) for item in (tables, twice))
    assert both.body.count("<tr>") == once.body.count("<tr>") + 1


def test_the_page_divides_training_by_what_a_text_saves(tables):
    data = break_even_figure(tables).data
    run = tables.results[
        (tables.results["source"] == "reference-cpu")
        & (tables.results["model"] == "linear-embedding")
        & (tables.results["dataset"] == "yelp")
    ].iloc[0]
    row = data[(data["origin"] == run["origin"]) & (data["rival"] == "least energy")].iloc[0]
    assert row["llm"] == "qwen-2.5-7b"  # Table B4: 4.52 Wh for 200 texts
    assert row["texts"] == pytest.approx(run["train_wh"] / (4.52 / 200 - run["energy_wh"] / 200))
    assert row["texts_low"] <= row["texts"] <= row["texts_high"]
    best = data[(data["origin"] == run["origin"]) & (data["rival"] == "most accurate")].iloc[0]
    assert (best["llm"], best["llm_accuracy"]) == ("qwen-2.5-72b", 0.68)


def test_a_measured_language_model_is_compared_with_the_runs_beside_it_alone(tables):
    figure = break_even_figure(tables)
    beside = figure.data[figure.data["llm_source"] != "published"]
    assert set(beside["source"]) == set(beside["llm_source"]) == {"reference-llm-cpu"}
    assert "smollm2-135m" not in set(beside["llm"])  # no better than guessing
    results = tables.results.set_index("origin")
    for _, row in beside.iterrows():
        run, llm = results.loc[row["origin"]], results.loc[row["llm_origin"]]
        assert run["machine"] == llm["machine"]
        saved = llm["energy_wh"] / llm["texts"] - run["energy_wh"] / run["texts"]
        assert row["texts"] == pytest.approx(run["train_wh"] / saved)
    assert "measured in the same campaign on the same machine" in figure.body


def test_training_never_pays_against_an_llm_with_less_energy_per_text(tables):
    results = tables.results.copy()
    changed = (
        (results["source"] == "reference-cpu")
        & (results["model"] == "linear-bow")
        & (results["dataset"] == "news")
    )
    results.loc[changed, ["energy_wh", "energy_sd_wh"]] = [1000.0, 0.0]
    figure = break_even_figure(replace(tables, results=results))
    rows = figure.data[figure.data["origin"].str.contains("reference-cpu/news-linear-bow")]
    assert len(rows)
    assert rows["texts"].isna().all()
    assert "never in 2 comparisons" in figure.finding
    assert "never: the LLM needs less energy per text" in figure.body
    news = next(panel for panel in figure.panels if panel.name == "news")
    assert "Never: Linear BoW against" in news.note


def test_the_sentence_counts_where_the_llm_is_the_more_accurate_one(tables):
    figure = break_even_figure(tables)
    ahead = (figure.data["llm_accuracy"] > figure.data["accuracy"]).sum()
    assert f"in {ahead} of {len(figure.data)} comparisons the LLM is more accurate" in figure.finding


def test_without_training_energies_the_page_says_so_and_invents_none(tables):
    alone = replace(tables, results=tables.results[tables.results["source"] == "published"])
    figure = break_even_figure(alone)
    assert figure.finding.startswith("None of our runs trained a traditional model")
    assert figure.data.empty
    assert {panel.note for panel in figure.panels} == {"Not measured by us."}
    assert figure.html()


def test_a_run_whose_training_energy_is_unknown_is_left_out(tables):
    results = tables.results.copy()
    results.loc[results["model"] == "linear-bow", "train_wh"] = None
    data = break_even_figure(replace(tables, results=results)).data
    assert "linear-bow" not in set(data["model"])
    assert "linear-tfidf" in set(data["model"])


# Grids


@pytest.mark.parametrize("name", sorted(grids()))
def test_a_grids_value_and_year_are_those_of_the_package_it_names(name):
    source, grid = grids()[name].source, grids()[name]
    pytest.importorskip(source.package)
    assert version(source.package) == source.version
    entry = json.loads(files(source.package).joinpath(source.file).read_text(encoding="utf-8"))
    if source.entry is not None:
        entry = entry[source.entry]
        assert entry["country_name"] == grid.title
    assert entry[source.field] == grid.gco2e_per_kwh
    assert entry.get("year") == grid.year


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("gco2e_per_kwh: -1.0", "grids.nowhere.gco2e_per_kwh"),
        ("gco2e_per_kwh: about 300", "grids.nowhere.gco2e_per_kwh"),
        ("gco2_per_kwh: 300.0", "unknown key 'gco2_per_kwh'"),
    ],
)
def test_a_faulty_grid_is_refused_in_one_line(tmp_path, fault, message):
    file = tmp_path / "grids.yaml"
    source = "{package: p, version: '1', file: f, field: x}"
    file.write_text(f"grids:\n  nowhere: {{title: Nowhere, {fault}, year: 2023, source: {source}}}\n")
    with pytest.raises(UserError) as error:
        load_grids(file)
    assert message in str(error.value)


def test_a_grid_without_a_source_is_refused(tmp_path):
    file = tmp_path / "grids.yaml"
    file.write_text("grids:\n  nowhere: {title: Nowhere, gco2e_per_kwh: 300.0, year: 2023}\n")
    with pytest.raises(UserError, match="source"):
        load_grids(file)


# Carbon


def test_a_kilowatt_hour_emits_the_grids_intensity():
    germany = grids()["germany"]
    assert co2e_g(1000.0, germany) == germany.gco2e_per_kwh
    assert math.isnan(co2e_g(math.nan, germany))


def test_the_table_is_energy_per_1000_texts_times_intensity(tables):
    data = carbon(tables).data.set_index(["source", "dataset", "model"])
    row = data.loc[("published", "fktg", "qwen-2.5-7b")]
    assert row["germany_gco2e_per_1000"] == pytest.approx(5.58 / 189 * 380.95)
    assert row["world_gco2e_per_1000"] == pytest.approx(5.58 / 189 * 475)
    assert len(data.loc["published"]) == 17
    sequential = select_sequential(tables.results)
    assert len(data) == 17 + (sequential["source"] != "published").sum()


def test_a_run_without_an_energy_is_missing_and_not_zero(tables):
    results = tables.results.copy()
    gone = (
        (results["source"] == "reference-cpu")
        & (results["model"] == "linear-bow")
        & (results["dataset"] == "news")
    )
    results.loc[gone, "energy_wh"] = None
    figure = carbon(replace(tables, results=results))
    row = figure.data[figure.data["origin"].str.contains("reference-cpu/news-linear-bow")]
    assert len(row) == 1
    assert row.filter(like="_gco2e").isna().all().all()
    assert '<td class="number">missing</td>' in figure.body
    news = next(panel for panel in figure.panels if panel.name == "measured-news")
    assert "No energy known: Linear BoW" in news.note


def test_the_sentence_compares_the_spans_of_models_and_of_grids(tables):
    intensities = [grid.gco2e_per_kwh for grid in grids().values()]
    energies = tables.printed["table_b1"]["energy_wh"].dropna()
    assert (
        f"by a factor of {max(intensities) / min(intensities):.0f} (Sweden to India)"
        in carbon(tables).finding
    )
    assert ", more than" in carbon(tables).finding
    assert energies.max() == 702.06
    rows = tables.results[~((tables.results["source"] == "published") & (tables.results["energy_wh"] < 30))]
    close = rows[~((rows["source"] == "published") & (rows["energy_wh"] > 100))]
    assert ", less than" in carbon(replace(tables, results=close)).finding


def test_without_any_run_of_ours_the_carbon_page_says_so(tables):
    alone = replace(tables, results=tables.results[tables.results["source"] == "published"])
    figure = carbon(alone)
    assert len(figure.panels) == 1
    assert "Our runs: none yet" in figure.body


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1420.0, "1.4 kg"),
        (11.2, "11 g"),
        (0.24, "240 mg"),
        (0.00027, "270 µg"),
        (2e-7, "0.20 µg"),
        (1.0, "1.0 g"),
    ],
)
def test_masses_read_as_people_write_them(value, text):
    assert grams(value) == text.replace(" ", THIN)


def test_an_absent_mass_is_missing():
    assert grams(math.nan) == "missing"
