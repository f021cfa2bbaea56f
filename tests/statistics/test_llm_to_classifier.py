"""Language models beside classifiers of the same campaign: the ratios, and what is printed of them."""

import json

import pytest

from helpers import verbs
from helpers.results import tables as results
from helpers.statistics.llm_to_classifier import MOST_ACCURATE, comparisons_of_campaign, in_words
from tests.conftest import refusal
from tests.support import llm_campaigns as campaigns


@pytest.fixture
def tables(tmp_path):
    campaigns.write(campaigns.reference(datasets=["news"]), campaigns.REFERENCE, tmp_path)
    return campaigns.load(tmp_path)


def test_a_line_says_time_energy_and_both_accuracies(tables):
    compared = comparisons_of_campaign(tables, campaigns.REFERENCE)
    first = compared[(compared["model"] == campaigns.SMALL) & (compared["rival"] == MOST_ACCURATE)]
    line = in_words(first.iloc[0])
    assert line.startswith(
        "news: Qwen2.5-Coder-0.5B-Instruct (dequantised Q4_K_M weights) takes 8.17 times the time"
    )
    assert "(estimated) of Linear Embedding, the most accurate" in line
    assert "accuracy 0.520 against 0.800 on 200 texts" in line
    assert "\n" not in line


def test_every_language_model_has_a_line(tables):
    compared = comparisons_of_campaign(tables, campaigns.REFERENCE)
    assert set(compared["model"]) == {campaigns.SMALL, campaigns.LARGER, campaigns.FAILING}


def test_a_campaign_without_a_pair_is_refused_in_one_line(tmp_path):
    classifiers = [item for item in campaigns.reference(datasets=["news"]) if not item.run.asked]
    campaigns.write(classifiers, "demo", tmp_path)
    line = refusal(comparisons_of_campaign, campaigns.load(tmp_path), "demo")
    assert "no language model and classifier measured on the same texts and machine" in line
    assert "python -m helpers run demo" in line


def test_the_verb_prints_lines_or_json(tables, monkeypatch, capsys):
    monkeypatch.setattr(results, "load_tables", lambda: tables)
    assert verbs.ratios(verbs.argparse.Namespace(campaign=campaigns.REFERENCE, json=False)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("news: ") for line in lines)
    assert verbs.ratios(verbs.argparse.Namespace(campaign=campaigns.REFERENCE, json=True)) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(lines)
