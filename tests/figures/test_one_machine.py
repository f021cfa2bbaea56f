"""The page that sets classifiers and language models of one machine side by side, from runs that nobody measured."""

import dataclasses

import pandas as pd
import pytest

from helpers.figures.beyond.one_machine import CAMPAIGN, one_machine, published
from helpers.statistics.llm_to_classifier import FASTEST, MOST_ACCURATE
from helpers.study.catalogue import study
from tests.support import llm_campaigns as campaigns
from tests.support.llm_campaigns import FAILING, LARGER, REFERENCE, SMALL


def made(folder, stubs, predictions=True):
    campaigns.write(stubs, REFERENCE, folder, predictions)
    return campaigns.load(folder)


@pytest.fixture(scope="module")
def one_split(tmp_path_factory):
    return made(tmp_path_factory.mktemp("one"), campaigns.reference(splits=1))


@pytest.fixture(scope="module")
def figure(one_split):
    return one_machine(one_split)


def row(figure, **chosen):
    data = figure.data
    for name, value in chosen.items():
        data = data[data[name] == value]
    assert len(data) == 1
    return data.iloc[0]


def test_the_campaign_of_the_page_is_in_the_study():
    assert CAMPAIGN in study().campaigns


def test_a_language_model_is_set_beside_the_most_accurate_classifier(figure):
    cell = row(figure, model=LARGER, dataset="news", rival=MOST_ACCURATE)
    assert cell["classifier"] == "linear-embedding"
    assert cell["time_ratio"] == pytest.approx(350 / 18)
    assert cell["difference"] == pytest.approx(0.6 - 0.8)
    assert cell["difference_low"] < cell["difference"] < cell["difference_high"]
    assert cell["difference_is"] == "95 %, paired over the texts"
    assert pd.isna(cell["time_low"])
    assert pd.isna(cell["time_high"])
    assert "one split" in cell["ratio_is"]


def test_it_is_set_beside_the_fastest_classifier_that_is_no_less_accurate(tmp_path):
    stubs = [
        dataclasses.replace(stub, accuracy=0.55) if stub.run.model == "linear-tfidf" else stub
        for stub in campaigns.reference(datasets=["news"])
    ]
    figure = one_machine(made(tmp_path, stubs))
    assert row(figure, model=SMALL, rival=FASTEST)["classifier"] == "linear-tfidf"
    assert row(figure, model=SMALL, rival=FASTEST)["time_ratio"] == pytest.approx(147 / 0.02)
    assert figure.data.query("model == @LARGER and rival == @FASTEST").empty  # the best one is the only such


def test_the_finding_follows_the_rows(figure, tmp_path):
    assert "needs 19 times as much time" in figure.finding
    assert "less accurate on 4 of them (by 0.20)" in figure.finding
    assert "by a factor of 570 to 4.2 million" in figure.finding
    stubs = [
        dataclasses.replace(stub, accuracy=0.95) if stub.run.model == LARGER else stub
        for stub in campaigns.reference(datasets=["news"])
    ]
    ahead = one_machine(made(tmp_path, stubs))
    assert "more accurate on 1 of them (by 0.15)" in ahead.finding
    assert "(1 dataset)" in ahead.finding


def test_several_splits_have_an_interval(tmp_path):
    figure = one_machine(made(tmp_path, campaigns.reference(splits=3, datasets=["news"])))
    cell = row(figure, model=SMALL, dataset="news", rival=MOST_ACCURATE)
    assert cell["splits"] == 3
    assert cell["ratio_is"] == "lowest and highest of 3 splits"
    assert cell["time_low"] <= cell["time_ratio"] <= cell["time_high"]


def test_without_predictions_the_difference_is_unpaired(tmp_path):
    figure = one_machine(made(tmp_path, campaigns.reference(datasets=["news"]), predictions=False))
    cell = row(figure, model=SMALL, dataset="news", rival=MOST_ACCURATE)
    assert cell["difference_is"] == "95 %, unpaired"
    assert cell["difference_low"] < -0.28 < cell["difference_high"]


def test_published_ratios_are_those_of_the_printed_numbers(one_split):
    cells = published(one_split).set_index("dataset")
    assert list(cells.index) == ["news", "yelp", "tomatoes", "emotion"]
    assert (cells.loc["news", "model"], cells.loc["news", "classifier"]) == (
        "llama-3.1-70b",
        "linear-embedding",
    )
    assert cells.loc["news", "energy_low"] < 34.15 / 0.002089 < cells.loc["news", "energy_high"]
    assert cells.loc["tomatoes", "model"] == "jamba-mini-1.5"  # of equally accurate ones, the least energy
    assert cells["time_ratio"].isna().all()  # the paper prints no durations of these


def test_the_failing_model_has_its_failures_and_their_tokens(figure):
    assert "truncated 145, bad-format 52, off-list 3" in figure.body
    assert "200 (100 %)" in figure.body
    assert f"{200 * 109}" in figure.body
    assert "Checks failed: passes_agree" in figure.panels[0].note
    assert study().models[FAILING].title.removesuffix("-Instruct") in figure.body


def test_the_page_says_what_the_models_and_energies_are(figure):
    assert "Qwen2.5-Coder-0.5B-Instruct" in figure.note
    assert "are not models of the paper" in figure.note
    assert "Q4_K_M" in figure.note
    assert "estimated" in figure.note


def test_each_dataset_has_a_panel_whose_text_states_the_finding(figure):
    assert [panel.name for panel in figure.panels] == ["news", "yelp", "tomatoes", "emotion"]
    for panel in figure.panels:
        assert "19 times as much time" in panel.alt
        assert sum(len(trace.x) for trace in panel.figure.data) == 9
        assert panel.figure.layout.yaxis.type == "log"


def test_the_statements_that_the_campaign_tests_are_listed(figure):
    assert "Statements of the paper tested with these runs" in figure.body
    assert 'class="verdict"' in figure.body


def test_without_records_a_sentence_says_how_to_measure(tmp_path):
    figure = one_machine(campaigns.load(tmp_path))
    assert f"helpers run {CAMPAIGN}" in figure.finding
    assert figure.panels == []
    assert "The paper&#x27;s most accurate models" in figure.body
    assert figure.sources()
