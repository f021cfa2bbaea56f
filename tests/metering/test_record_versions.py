"""Runs that an earlier version of the meter took are shown for what they are."""

import json
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from helpers.book.quoted_numbers import numbers
from helpers.book.run_pages.panel import power, summary
from helpers.core import paths
from helpers.figures.beyond.run_list import runs
from helpers.figures.paper.figure_1 import figure_1
from helpers.measure import llm_checks
from helpers.metering.node_readings import node_checks
from helpers.metering.record_versions import (
    PRESENT_METER_SINCE,
    about_records,
    check_counts,
    expected_checks,
    is_older,
    lacking,
)
from helpers.records.storage import RECORD, SCHEMA_VERSION, Record, read_record, read_records
from helpers.results.tables import Tables
from tests.conftest import Checkout
from tests.support.browsing import html, one_book
from tests.support.committed import of_classifiers

ALL = list(read_records(paths.MEASUREMENTS)[0].values())
COMMITTED = [record for record in ALL if record.run.campaign == "reference-gpu"]
"""Of this campaign, which an earlier version of the meter took."""
OLD = paths.MEASUREMENTS / "reference-gpu" / "news-linear-embedding-fe5b93f3" / RECORD


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Published values and records of an earlier version of the meter, without runs of this machine."""
    return of_classifiers(tmp_path_factory.mktemp("live"))


def text(fragment: str) -> str:
    return BeautifulSoup(fragment, "html.parser").get_text(" ")


def test_a_record_keeps_the_version_of_the_meter_that_took_it() -> None:
    assert json.loads(OLD.read_text(encoding="utf-8"))["schema_version"] == 1
    assert read_record(OLD).schema_version == 1
    assert all(is_older(record) for record in COMMITTED)


def test_what_an_old_record_lacks_is_read_from_the_record_itself() -> None:
    assert lacking(read_record(OLD)) == [
        "idle power after the run",
        "the energy of the idle machine by component",
        "readings of each source by itself",
        "number of threads",
        "power time line",
    ]
    counts = {check_counts(record) for record in COMMITTED}
    assert counts == {(5, 18)}  # an embedding reads whole texts, a GPU is the right one


@one_book
def test_the_checks_of_the_present_meter_are_those_that_a_run_of_today_has(book: Checkout) -> None:
    """Measured by the real code while the book is built."""
    fresh = [read_record(file) for file in book.records() if file.parts[-3] == "demo"]
    assert fresh
    for record in fresh:
        assert {check.name for check in record.checks} == {*expected_checks(record.run)}
        assert not is_older(record)
        assert lacking(record) == []


def test_checks_of_language_models_and_of_several_nodes_are_named_as_they_are_made() -> None:
    run = read_record(OLD).run
    llm = {*expected_checks(run.model_copy(update={"family": "Other LLM"}))} - {*expected_checks(run)}
    source = Path(llm_checks.__file__).read_text(encoding="utf-8")
    assert len(llm) == 5
    assert all(f'"{name}"' in source for name in llm)
    nodes = {*expected_checks(run.model_copy(update={"nodes": 2}))} - {*expected_checks(run)}
    source = Path(node_checks.__code__.co_filename).read_text(encoding="utf-8")
    assert len(nodes) == 5
    assert all(f'name="{name}"' in source for name in nodes)


def test_the_page_of_a_run_names_its_version_and_how_many_checks_of_how_many() -> None:
    record = read_record(OLD)
    summary_text = text(summary(OLD, record, ""))
    made = len(record.checks)
    assert f"All {made} checks passed ({made} of the 18 that the present meter makes)." in summary_text
    assert f"this record is of schema 1, the present one writes {SCHEMA_VERSION}" in summary_text
    assert "It lacks: idle power after the run" in summary_text
    assert "the version of the meter that measured it had none" in text(power(OLD, record))


def test_a_failed_check_of_an_old_run_says_of_how_many_too() -> None:
    record = read_record(OLD)
    failed = record.checks[0].model_copy(update={"passed": False})
    changed = record.model_copy(update={"checks": [failed, *record.checks[1:]]})
    made = len(record.checks)
    assert (
        f"1 of {made} checks ({made} of the 18 that the present meter makes) failed: {failed.name}."
        in text(summary(OLD, changed, ""))
    )


def present() -> Record:
    """A record as the present meter writes it, as far as its version goes."""
    return read_record(OLD).model_copy(update={"schema_version": SCHEMA_VERSION})


def test_a_run_of_the_present_meter_says_so_and_no_figure_speaks_of_an_earlier_one() -> None:
    record = present()
    summary_text = text(summary(OLD, record, ""))
    assert (
        f"Measured with the present version of the meter (record of schema {SCHEMA_VERSION})." in summary_text
    )
    assert "that the present meter makes" not in summary_text
    assert about_records([record]) == ""


def test_figures_and_the_list_say_which_version_took_our_runs(tables: Tables) -> None:
    figure_text = text(figure_1(tables).html())
    assert (
        "8 of 32 runs of ours here were measured with an earlier version of our meter, which made 5"
        in figure_text
    )
    assert "which made 5 of the 18 checks" in figure_text
    assert (
        "Not recorded then: idle power after the run, the energy of the idle machine by component"
        in figure_text
    )
    artefact = runs(tables)
    assert "8 had 5 of the 18 checks that the present meter makes" in artefact.finding
    assert set(artefact.data["schema_version"]) == {1, SCHEMA_VERSION}
    expected = {" of ".join(map(str, check_counts(record))) for record in COMMITTED}
    assert expected < set(artefact.data["checks"])


def test_old_and_new_runs_together_are_counted() -> None:
    assert about_records([*COMMITTED, present()]).startswith(
        f"{len(COMMITTED)} of {len(COMMITTED) + 1} runs of ours here were"
    )
    assert about_records([read_record(OLD)]).startswith(
        "Our run here was measured with an earlier version of our meter"
    )


def test_the_numbers_of_the_methods_follow_the_records(tables: Tables) -> None:
    quoted = numbers(tables)
    assert (quoted["records.all"].text, quoted["records.older"].text) == ("32", "8")
    assert (quoted["records.older-schema"].text, quoted["records.schema"].text) == ("1", str(SCHEMA_VERSION))
    assert (quoted["records.older-checks"].text, quoted["records.checks"].text) == ("5", "18")


@one_book
def test_every_page_that_shows_runs_of_an_earlier_version_says_so(book: Checkout) -> None:
    shown = silent = 0
    for file in sorted((html(book) / "notebooks" / "analysis").glob("*.html")):
        page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        inputs = [link["data-file"] for link in page.select(".figure-source [data-file]")]
        records = [name for name in inputs if name.startswith("data/measurements/")]
        versions = [json.loads((book.root / name).read_bytes())["schema_version"] for name in records]
        if any(version < PRESENT_METER_SINCE for version in versions):
            note = page.select_one(".meter-version")
            assert note is not None, file.name
            assert "earlier version of our meter" in note.get_text()
            shown += 1
        else:
            assert page.select_one(".meter-version") is None, file.name
            silent += 1
    assert shown >= 8
    assert silent >= 3
    for file in (html(book) / "runs" / "reference-gpu").glob("*.html"):
        assert "Measured with an earlier version of the meter" in file.read_text(encoding="utf-8")
