"""The page that changes one factor of a language model at a time, from runs that nobody measured."""

import dataclasses

import pandas as pd
import pytest

from helpers.figures.beyond.cheaper import CAMPAIGN, cheaper, rows
from helpers.statistics.one_factor import BASELINE, FACTORS
from helpers.study.catalogue import study
from tests.support import llm_campaigns as campaigns
from tests.support.llm_campaigns import FACTORS as NAME


def made(folder, stubs, predictions=True):
    campaigns.write(stubs, NAME, folder, predictions)
    return campaigns.load(folder)


@pytest.fixture(scope="module")
def figure(tmp_path_factory):
    return cheaper(made(tmp_path_factory.mktemp("factors"), campaigns.factors()))


def test_the_campaign_of_the_page_is_in_the_study():
    assert CAMPAIGN in study().campaigns


def test_every_run_but_the_baseline_changes_one_factor(figure):
    assert sorted(figure.data["role"].value_counts().items()) == [("baseline", 2), ("changed", 18)]
    assert set(figure.data["factor"].dropna()) == set(FACTORS)
    assert set(BASELINE) <= {name for columns in FACTORS.values() for name in columns}


def test_each_is_compared_with_its_partner(figure):
    news = figure.data.query("dataset == 'news'").set_index("level")
    baseline = news.loc["baseline", "origin"]
    assert news.loc["16 at a time", "partner"] == baseline
    assert news.loc["16 at a time", "time_ratio"] == pytest.approx(70 / 147)
    assert news.loc["llama.cpp", "partner"] == news.loc["Prefix cache", "origin"]
    assert news.loc["llama.cpp", "time_ratio"] == pytest.approx(60 / 80)
    assert news.loc["16 examples", "difference"] == pytest.approx(0.65 - 0.52)


def test_energy_per_correct_answer_counts_both(figure):
    news = figure.data.query("dataset == 'news'").set_index("level")
    cell = news.loc["German"]
    assert cell["per_correct_ratio"] == pytest.approx(cell["energy_ratio"] * 104 / 82)
    assert cell["wh_per_correct"] == pytest.approx(cell["energy_wh"] / 82)


def test_one_split_has_intervals_over_its_texts(figure):
    changed = figure.data[figure.data["role"] == "changed"]
    for name in ("time", "energy", "per_correct"):
        assert (changed[f"{name}_low"] < changed[f"{name}_ratio"]).all()
        assert (changed[f"{name}_ratio"] < changed[f"{name}_high"]).all()
    assert set(changed["ratio_is"]) == {"95 % bootstrap over 200 texts"}
    assert "95 % bootstrap over 200 texts" in figure.note


def test_one_split_without_predictions_says_that_it_has_no_interval(tmp_path):
    changed = cheaper(made(tmp_path, campaigns.factors(datasets=["news"]), predictions=False)).data
    changed = changed[changed["role"] == "changed"]
    assert changed["time_low"].isna().all()
    assert set(changed["ratio_is"]) == {"none, with one split"}


def test_many_splits_have_a_bootstrap(tmp_path):
    figure = cheaper(made(tmp_path, campaigns.factors(splits=10, datasets=["news"])))
    changed = figure.data[figure.data["role"] == "changed"]
    assert (changed["time_low"] <= changed["time_ratio"]).all()
    assert (changed["time_ratio"] <= changed["time_high"]).all()
    assert set(changed["ratio_is"]) == {"95 % bootstrap over 10 splits"}


def test_the_finding_and_the_alternative_texts_follow_the_rows(figure):
    assert "16 at a time (news) needs the least time, 0.48 times" in figure.finding
    assert "16 examples (news) the most, 5.4 times" in figure.finding
    assert [panel.name for panel in figure.panels] == ["time", "accuracy", "per-correct"]
    assert "news: 4 at a time 0.61, 16 at a time 0.48" in figure.panels[0].alt
    assert "16 examples +0.130" in figure.panels[1].alt


def test_the_papers_list_is_answered_and_what_was_not_measured_is_named(figure):
    assert "Fine-tuning. Not measured here." in figure.body
    assert "4 examples: news 2.0 times as long" in figure.body
    assert "the effect of quantisation on accuracy is not measured" in figure.body


def test_a_factor_without_runs_is_not_measured(tmp_path):
    stubs = [stub for stub in campaigns.factors(datasets=["news"]) if not stub.run.shots]
    body = cheaper(made(tmp_path, stubs)).body
    assert "Examples in the prompt. Not measured here." in body


def test_a_run_without_a_partner_is_shown_and_not_compared(tmp_path):
    stubs = [
        stub
        for stub in campaigns.factors(datasets=["news"])
        if not (stub.prefix_caching and stub.engine == "vllm")
    ]
    figure = cheaper(made(tmp_path, stubs))
    alone = figure.data[figure.data["role"] == "alone"]
    assert list(alone["engine"]) == ["llama-cpp"]
    assert alone["time_ratio"].isna().all()
    assert "No run to compare with: 1 run" in figure.body


def test_a_run_without_a_right_answer_has_no_energy_per_correct_answer(tmp_path):
    stubs = [
        dataclasses.replace(stub, accuracy=0.0) if stub.run.language == "de" else stub
        for stub in campaigns.factors(datasets=["news"])
    ]
    figure = cheaper(made(tmp_path, stubs))
    german = figure.data.set_index("level").loc["German"]
    assert pd.isna(german["per_correct_ratio"])
    assert german["time_ratio"] > 1


def test_without_records_a_sentence_says_how_to_measure(tmp_path):
    tables = campaigns.load(tmp_path)
    figure = cheaper(tables)
    assert rows(tables.results).empty
    assert f"helpers run {CAMPAIGN}" in figure.finding
    assert (figure.panels, figure.body) == ([], "")
