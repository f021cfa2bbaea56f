"""The calculator in a real browser: what it says is what the package computes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.core import units
from helpers.figures.beyond.calculator import calculator
from helpers.figures.display import Figure
from helpers.results.tables import load_tables
from helpers.statistics import proxy, regression
from helpers.statistics.estimation import Estimation, estimation
from helpers.statistics.proxy import ESTIMATORS
from helpers.study.carbon_intensity import grids
from tests.conftest import ROOT
from tests.support.browsing import fill, page_of_form

STATIC = ROOT / "book" / "_static"
TABLES = load_tables()
GERMANY = next(grid for grid in grids().values() if grid.title == "Germany")


@pytest.fixture(scope="module")
def artefact() -> Figure:
    return calculator(TABLES)


@pytest.fixture(scope="module")
def page(artefact: Figure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of_form(artefact.body, tmp_path_factory.mktemp("calculator"))


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.get(page.as_uri())
    return browser


def content(artefact: Figure) -> dict[str, Any]:
    match = re.search(r'id="calculator-data">(.*?)</script>', artefact.body, flags=re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def capella() -> Estimation:
    points = regression.points(TABLES.results, "published", "capella")
    fitted = estimation(points, proxy.language_models(points))
    assert fitted is not None
    return fitted


def test_an_interval_from_two_models_says_so(artefact):
    assert re.findall(r">([^<]* models only\))<", artefact.body) == ["7.97 (2 models only)"]
    assert "chosen by decade" in artefact.body


def test_coefficients_come_from_the_package(artefact):
    fit, expected = content(artefact)["fits"][0], capella()
    assert fit["fits"] == {name: {"a": each.a, "c": each.c} for name, each in expected.fits.items()}
    assert fit["factor"] == expected.factor
    script = (STATIC / "calculator.js").read_text(encoding="utf-8")
    assert not any(f"{each.a:.2g}" in script for each in expected.fits.values())


@pytest.mark.parametrize(
    ("gpus", "duration_s", "estimator"),
    [(4, 20.5, proxy.RELATIVE), (1, 600, proxy.RELATIVE), (2, 2500, proxy.APPROXIMATION)],
)
def test_energy_and_interval_are_those_of_the_package(opened, gpus, duration_s, estimator):
    output = fill(opened, "calculator-energy", fit=0, gpus=gpus, duration=duration_s)
    fitted = capella()
    wh = (fitted.fits[estimator].a + fitted.fits[estimator].c * gpus) * duration_s
    grams = wh / 1000 * GERMANY.gco2e_per_kwh
    assert units.energy(wh, 3) in output
    assert f": {units.energy(wh / fitted.factor, 3)} to {units.energy(wh * fitted.factor, 3)}." in output
    assert f"{units.significant(grams, 2)}{units.THIN}g" in output
    assert f"The paper's Eq. 2 gives {units.energy((0.1 + 0.09 * gpus) * duration_s, 3)}." in output
    assert ESTIMATORS[estimator] in output


def test_below_the_shortest_run_nothing_is_estimated(opened):
    output = fill(opened, "calculator-energy", fit=0, gpus=1, duration=2.99)
    assert output.startswith("No estimate below 3")
    assert "Wh" not in output
    assert "W" in fill(opened, "calculator-energy", fit=0, gpus=1, duration=3)


@pytest.mark.parametrize("duration_s", [10, 19.7, 6793, 100000])
def test_extrapolation_is_marked_and_has_no_interval(opened, duration_s):
    output = fill(opened, "calculator-energy", fit=0, gpus=1, duration=duration_s)
    assert "Extrapolated" in output
    assert "interval" not in output


@pytest.mark.parametrize("duration_s", [19.8, 100, 6792])
def test_within_the_runs_there_is_an_interval(opened, duration_s):
    output = fill(opened, "calculator-energy", fit=0, gpus=1, duration=duration_s)
    assert "Extrapolated" not in output
    assert "95\u202f% prediction interval" in output


def test_two_nodes_are_compared_in_pairs_and_are_no_term_of_the_fit(opened):
    output = fill(opened, "calculator-energy", fit=0, gpus=2, duration=600)
    pairs = "+13 W (DS Llama 70B), +38 W (Llama 3.1 70B), +53 W (Qwen 2.5 72B) and +145 W (Jamba Mini 1.5)"
    assert pairs in output


def test_every_machine_is_offered_and_says_what_it_rests_on(opened, artefact):
    fits = content(artefact)["fits"]
    assert [fit["title"].split(",")[0] for fit in fits[:3]] == ["Capella", "Paula", "Clara"]
    for number, fit in enumerate(fits):
        middle = (fit["shortest_s"] * fit["longest_s"]) ** 0.5
        output = fill(opened, "calculator-energy", fit=number, duration=middle)
        assert fit["accounting_title"] in output
        assert f"It is based on {fit['runs']} runs of {fit['models']} " in output
        inferred = fit["title"].startswith(("Paula", "Clara"))
        assert ("inferred" in output) == inferred
        counts = opened.execute_script(
            "return [...document.querySelector('#calculator-energy [name=gpus]').options].map(o => Number(o.value))"
        )
        assert counts == fit["gpus"]


WH = {"kWh": 1e3, "Wh": 1.0, "mWh": 1e-3, "µWh": 1e-6}
QUANTITY = r"(-?[0-9.]+)\u202f(kWh|Wh|mWh|µWh)"


def energies(text: str) -> list[float]:
    return [float(number) * WH[unit] for number, unit in re.findall(QUANTITY, text)]


def test_from_a_hundredth_of_a_second_to_a_million_no_sentence_contradicts_another(opened, artefact):
    durations = sorted({*np.geomspace(0.01, 1e6, 41), 2.99, 3, 15, 19.73, 99.9, 100, 999, 1000, 6792.54})
    estimates = 0
    for number, fit in enumerate(content(artefact)["fits"]):
        for gpus in fit["gpus"]:
            before = 0.0
            for duration in durations:
                output = fill(opened, "calculator-energy", fit=number, gpus=gpus, duration=float(duration))
                lines = output.strip().splitlines()
                quantities = energies(output)
                assert all(wh > 0 for wh in quantities), output
                assert "NaN" not in output
                assert "null" not in output
                assert ("No estimate" in output) == (duration < fit["known_from_s"]), output
                if not quantities:
                    continue
                estimates += 1
                (estimate,) = energies(lines[0])
                assert estimate >= before, output  # a longer run takes more, after rounding at least as much
                before = estimate
                watts = re.search(r"Mean power ([0-9.]+)\u202fW", output)
                assert watts is not None
                assert float(watts[1]) == pytest.approx(3600 * estimate / duration, rel=0.02)
                interval = [line for line in lines if "prediction interval" in line]
                within = fit["shortest_s"] <= duration <= fit["longest_s"]
                assert ("Extrapolated" in output) == (not within), output
                assert len(interval) == (within and fit["factor"] is not None), output
                for low, high in map(energies, interval):
                    assert low < estimate < high, output
    assert estimates > 300


def test_bad_input_has_a_message(opened):
    assert "duration in seconds" in fill(opened, "calculator-energy", duration="")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("600,5", 600.5),
        ("600.5", 600.5),
        ("1 200", 1200.0),
        ("1.000,5", 1000.5),
        ("1,000.5", 1000.5),
        ("1'200.25", 1200.25),
        ("1.234.567", 1234567.0),
        ("6e2", 600.0),
        (" 600 ", 600.0),
        ("600,", 600.0),
    ],
)
def test_a_duration_may_be_written_as_in_any_part_of_europe(opened, written, seconds):
    written_so, plain = (
        fill(opened, "calculator-energy", fit=0, gpus=1, duration=value) for value in (written, seconds)
    )
    assert "Wh" in plain
    assert written_so == plain


@pytest.mark.parametrize(
    "written", ["1,500", "1.500", "1,2.5", "1.00.000", "600 s", "-5", "1e308", "1e400", "NaN", "", ".", ","]
)
def test_what_is_no_number_or_could_be_two_leaves_no_result(opened, written):
    fill(opened, "calculator-energy", fit=0, gpus=1, duration=600)
    output = fill(opened, "calculator-energy", fit=0, gpus=1, duration=written)
    assert "Give a duration in seconds" in output
    assert "Wh" not in output


def test_without_javascript_the_page_says_what_to_do(browser_without_javascript, page):
    browser_without_javascript.get(page.as_uri())
    body = browser_without_javascript.find_element("tag name", "body").text
    assert "multiply the Wh/s of the table below by the duration" in body
    assert "Energy of a run from its duration" not in body


def test_strings_of_the_tables_cannot_end_the_script():
    hostile = TABLES.results.assign(
        machine=TABLES.results["machine"].replace("amd-epyc-2c", "</script><script>alert(1)</script>")
    )
    body = calculator(replace(TABLES, results=hostile)).body
    assert "<script>alert" not in body
