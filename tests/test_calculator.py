"""The calculator in a real browser: what it says is what the package computes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from helpers import units
from helpers.artefacts.calculator import calculator
from helpers.grids import grids
from helpers.results import load_tables
from helpers.show import Artefact
from helpers.statistics import regression
from helpers.study import model_title

STATIC = ROOT / "book" / "_static"
TABLES = load_tables()
GERMANY = next(grid for grid in grids().values() if grid.title == "Germany")


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    return calculator(TABLES)


@pytest.fixture(scope="module")
def page(artefact: Artefact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("calculator") / "page.html"
    script = (STATIC / "calculator.js").read_text(encoding="utf-8")
    text = f"<!doctype html><meta charset='utf-8'><body>{artefact.body}<script>{script}</script></body>"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.get(page.as_uri())
    return browser


def ask(opened: Any, form: str, **values: object) -> str:
    """Fill the form as a reader does and return what it says."""
    script = """
        const form = document.getElementById(arguments[0]);
        for (const [name, value] of Object.entries(arguments[1])) {
          form.elements[name].value = value;
          form.elements[name].dispatchEvent(new Event("input", {bubbles: true}));
        }
        return form.querySelector("output").innerText;"""
    return str(opened.execute_script(script, form, values))


def content(artefact: Artefact) -> dict[str, Any]:
    found = re.search(r'id="calculator-data">(.*?)</script>', artefact.body, flags=re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_coefficients_come_from_the_json_of_the_fits(artefact):
    fit = content(artefact)["fits"][0]
    fitted = regression.as_json(
        regression.fit(regression.points(TABLES.results, "published", "capella")), "total_as_published"
    )
    assert {key: fit[key] for key in fitted} == json.loads(json.dumps(fitted))
    numbers = {f"{term['estimate']:.4g}" for term in fitted["terms"].values()}
    script = (STATIC / "calculator.js").read_text(encoding="utf-8")
    assert not any(number.lstrip("-") in script for number in numbers)


@pytest.mark.parametrize(("gpus", "duration_s"), [(1, 600), (2, 2500), (4, 120.5)])
def test_energy_and_interval_are_those_of_the_package(opened, gpus, duration_s):
    said = ask(opened, "calculator-energy", fit=0, gpus=gpus, duration=duration_s)
    fitted = regression.fit(regression.points(TABLES.results, "published", "capella"))
    expected = regression.predict(fitted, duration_s, gpus)
    grams = expected.mean_wh / 1000 * GERMANY.gco2e_per_kwh
    assert units.energy(expected.mean_wh, 3) in said
    low = units.energy(expected.low_wh, 3) if expected.low_wh > 0 else "0"
    assert f"between {low} and {units.energy(expected.high_wh, 3)}" in said
    assert f"{units.significant(grams, 2)}{units.THIN}g" in said


def test_negative_energy_and_extrapolation_are_said(opened):
    assert "negative energy" in ask(opened, "calculator-energy", fit=0, gpus=1, duration=0.01)
    assert "Outside of the fitted durations" in ask(
        opened, "calculator-energy", fit=0, gpus=1, duration=100000
    )
    assert "Outside" not in ask(opened, "calculator-energy", fit=0, gpus=1, duration=1000)


def test_every_fit_can_be_asked(opened, artefact):
    for place, fit in enumerate(content(artefact)["fits"]):
        said = ask(
            opened, "calculator-energy", fit=place, duration=(fit["shortest_s"] + fit["longest_s"]) / 2
        )
        assert fit["accounting_title"] in said
        counts = opened.execute_script(
            "return [...document.querySelector('#calculator-energy [name=gpus]').options].map(o => Number(o.value))"
        )
        assert counts == fit["gpus"]


def test_models_that_qualify_are_those_of_the_results_table_least_energy_first(opened):
    said = ask(opened, "calculator-models", dataset="fktg", accuracy=0.45, texts=1000)
    rows = TABLES.results[(TABLES.results["dataset"] == "fktg") & (TABLES.results["source"] == "published")]
    rows = rows[rows["accuracy"] >= 0.45].sort_values("energy_wh")
    expected = [units.energy(energy / 189 * 1000, 3) for energy in rows["energy_wh"]]
    shown = opened.execute_script(
        "return [...document.querySelectorAll('#calculator-models tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    assert [row[3] for row in shown] == expected
    assert said.startswith(f"{len(rows)} of 17 rows")
    assert [row[0] for row in shown] == [model_title(model) for model in rows["model"]]


def test_a_floor_that_nobody_reaches_and_bad_input_are_told(opened):
    assert "the best has 0.57" in ask(opened, "calculator-models", dataset="fktg", accuracy=0.99)
    assert "between 0 and 1" in ask(opened, "calculator-models", accuracy="")
    assert "number of texts" in ask(opened, "calculator-models", accuracy=0.1, texts="")
    assert "duration in seconds" in ask(opened, "calculator-energy", duration="")


def test_limits_of_energy_stay_limits(opened):
    limits = TABLES.results[TABLES.results["energy_wh"].isna() & TABLES.results["energy_wh_below"].notna()]
    dataset = str(limits.iloc[0]["dataset"])
    assert "below " in ask(opened, "calculator-models", dataset=dataset, accuracy=0, texts=1000)


def test_without_javascript_the_page_says_what_to_do(browser_without_javascript, page):
    browser_without_javascript.get(page.as_uri())
    body = browser_without_javascript.find_element("tag name", "body").text
    assert "python -m helpers fit" in body
    assert "From a duration" not in body


def test_strings_of_the_tables_cannot_end_the_script():
    hostile = TABLES.results.assign(
        machine=TABLES.results["machine"].replace("amd-epyc-2c", "</script><script>alert(1)</script>")
    )
    body = calculator(replace(TABLES, results=hostile)).body
    assert "<script>alert" not in body
