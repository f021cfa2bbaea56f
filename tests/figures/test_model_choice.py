"""The choice of a model in a real browser: it names the runs of the results table, the least energy first."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.core import units
from helpers.figures.beyond.model_choice import model_choice, rows
from helpers.figures.display import Figure
from helpers.figures.html import ROOT_LINK
from helpers.results.tables import load_tables
from helpers.study.catalogue import model_title
from tests.support.browsing import fill, page_of_form

FORM = "calculator-models"
TABLES = load_tables()


@pytest.fixture(scope="module")
def artefact() -> Figure:
    return model_choice(TABLES)


@pytest.fixture(scope="module")
def page(artefact: Figure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of_form(artefact.body.replace(ROOT_LINK, "../"), tmp_path_factory.mktemp("model-choice"))


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.get(page.as_uri())
    fill(browser, FORM, dataset="fktg", accuracy=0.4, texts=100000, labelled="yes", hardware="")
    return browser


def shown(opened: Any) -> list[list[str]]:
    script = f"return [...document.querySelectorAll('#{FORM} tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    return list(opened.execute_script(script))


def test_runs_that_qualify_are_those_of_the_results_table_least_energy_first(opened):
    output = fill(opened, FORM, accuracy=0.45, texts=1000)
    published = TABLES.results[
        (TABLES.results["dataset"] == "fktg") & (TABLES.results["source"] == "published")
    ]
    expected = published[published["accuracy"] >= 0.45].sort_values("energy_wh")
    found = shown(opened)
    assert [row[0] for row in found] == [model_title(model) for model in expected["model"]]
    assert [row[2] for row in found] == [units.energy(wh / 189 * 1000, 2) for wh in expected["energy_wh"]]
    assert f"{len(expected)} of 17 runs qualify" in output


def test_classifiers_without_embedding_need_no_gpu_whatever_the_printed_table_says(opened):
    output = fill(opened, FORM, accuracy=0.3, hardware="0")
    assert {row[0] for row in shown(opened)} == {
        "Linear BoW",
        "Linear Tf-idf",
        "XGBoost BoW",
        "XGBoost Tf-idf",
    }
    assert "must first be trained" in output


def test_the_first_three_stand_in_words_with_the_range_of_energy_and_accuracy(opened, artefact):
    fill(opened, FORM, accuracy=0.45, texts=1000)
    items = opened.execute_script(
        f"return [...document.querySelectorAll('#{FORM} ol li')].map(item => item.innerText)"
    )
    assert len(items) == 3
    models = artefact.data[(artefact.data["dataset"] == "fktg") & (artefact.data["accuracy"] >= 0.45)]
    first = models.sort_values("wh_per_text").iloc[0]
    assert items[0].startswith(f"{first['title']}: about {units.energy(1000 * first['wh_per_text'], 2)} (")
    assert (
        f"accuracy {first['accuracy']:.2f} ({first['accuracy_low']:.2f} to {first['accuracy_high']:.2f})"
        in items[0]
    )
    assert "Published, Capella" in items[0]
    assert first["too_short"]
    assert "too short for the paper's meter" in items[0]


def test_without_labelled_examples_no_model_that_has_to_be_trained_qualifies(opened):
    with_examples = fill(opened, FORM, accuracy=0.3)
    assert " must first be trained; the study used 189 labelled texts." in with_examples
    without = fill(opened, FORM, labelled="")
    assert " needs no labelled examples" in without
    assert not {row[0] for row in shown(opened)} & {"Linear Embedding", "XGBoost Embedding", "Linear BoW"}


def test_hardware_leaves_out_what_needs_more_and_what_is_not_known(opened):
    fill(opened, FORM, accuracy=0, hardware="1")
    one = {row[0] for row in shown(opened)}
    fill(opened, FORM, hardware="4")
    assert one < {row[0] for row in shown(opened)}
    assert {"Llama 3.1 8B", "Qwen 2.5 7B"} <= one
    assert not one & {"Llama 3.1 70B", "Qwen 2.5 72B"}


def test_an_accuracy_that_the_test_texts_leave_open_is_said(opened):
    assert "It is not certain that Linear Tf-idf reaches 0.41" in fill(opened, FORM, accuracy=0.41)
    assert "It is not certain" not in fill(opened, FORM, accuracy=0.1)


def test_each_model_leads_to_its_evidence(opened, artefact, page):
    fill(opened, FORM, dataset="news", accuracy=0.7)
    links = opened.execute_script(
        f"return [...document.querySelectorAll('#{FORM} tbody a')].map(a => a.href)"
    )
    root = f"{page.parent.parent.as_uri()}/"
    assert {link.removeprefix(root) for link in links} <= set(artefact.data["page"])
    assert len(links) == len(shown(opened)) > 5
    assert any("/notebooks/analysis/table_b4.html" in link for link in links)
    assert any("/runs/" in link for link in links)


def test_an_accuracy_that_no_run_reaches_and_bad_input_have_a_message(opened):
    assert "the best has 0.57" in fill(opened, FORM, accuracy=0.99)
    assert "between 0 and 1" in fill(opened, FORM, accuracy="")
    assert "number of texts" in fill(opened, FORM, accuracy=0.1, texts="")


@pytest.mark.parametrize("written", ["100.000", "100,000", "100 000"])
def test_a_number_of_texts_is_whole(opened, written):
    plain = fill(opened, FORM, accuracy=0.45, texts="100000")
    assert fill(opened, FORM, texts=written) == plain
    assert "number of texts" in fill(opened, FORM, texts="1.5")


def test_units_reach_from_micrograms_to_gigawatt_hours(opened):
    assert "GWh" in fill(opened, FORM, accuracy=0, texts="1e12")
    little = fill(opened, FORM, accuracy=0, texts=1)
    assert f"{units.THIN}µg" in little
    assert "e-" not in little


def test_energies_that_errata_doubts_are_marked_and_come_last(opened):
    output = fill(opened, FORM, dataset="emotion", accuracy=0, texts=1000)
    assert "doubtful" in shown(opened)[-1][-1]
    assert shown(opened)[-1][0] == "Linear Embedding"
    assert "doubtful" not in output.split("runs qualify")[0].lower()
    assert "doubtful" not in fill(opened, FORM, dataset="tomatoes", accuracy=0)


def test_limits_of_energy_stay_limits(opened):
    limits = TABLES.results[TABLES.results["energy_wh"].isna() & TABLES.results["energy_wh_below"].notna()]
    assert "below " in fill(opened, FORM, dataset=str(limits.iloc[0]["dataset"]), accuracy=0, texts=1000)


def test_an_interval_holds_its_value_and_what_is_absent_is_null():
    table = rows(TABLES.results)
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["accuracy_high"]).all()
    known = table[table["wh_per_text"].notna()]
    assert (known["wh_low_per_text"] <= known["wh_per_text"]).all()
    assert (known["wh_per_text"] <= known["wh_high_per_text"]).all()
    assert table["wh_high_per_text"].notna().all()
    json.dumps(table.drop(columns="origin").to_dict("records"), allow_nan=False)


def test_without_javascript_the_page_says_where_the_same_runs_are(browser_without_javascript, page):
    browser_without_javascript.get(page.as_uri())
    body = browser_without_javascript.find_element("tag name", "body").text
    assert re.search(r"Figures 1 and 7 and Tables B1, B4 and B5 show the same runs", body)
