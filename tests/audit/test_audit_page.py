"""The audit page: every figure leads to its runs, every run to its environment, and one field filters them all."""

from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag

from tests.conftest import Checkout
from tests.support.browsing import ANALYSES, html, look_at, one_book, page

pytestmark = one_book

AUDIT = "book/audit"


@pytest.fixture
def audit(book: Checkout) -> BeautifulSoup:
    return page(book, AUDIT)


def rows(audit: BeautifulSoup, part: str) -> list[Tag]:
    return audit.select(f"#audit-{part} tbody tr")


def test_every_figure_and_table_has_a_row_with_runs_files_and_notebook(audit: BeautifulSoup) -> None:
    targets = [row.select_one("a")["href"] for row in rows(audit, "figures")]
    assert sorted(targets) == [f"../notebooks/analysis/{name}.html" for name in ANALYSES]
    (figure_1,) = (
        row for row in rows(audit, "figures") if "figure_1_accuracy" in row.select_one("a")["href"]
    )
    links = [link["href"] for link in figure_1.select("a")]
    assert "../published/table_b1.csv" in links
    assert any(link.startswith("../runs/reference-cpu/") for link in links)
    assert "../_sources/notebooks/analysis/figure_1_accuracy_energy.ipynb" in links


def test_two_clicks_lead_from_a_figure_to_the_page_of_a_run(audit: BeautifulSoup, book: Checkout) -> None:
    for row in rows(audit, "figures"):
        for link in row.select('details a[href^="../runs/"]'):
            assert (html(book) / "book" / link["href"]).resolve().is_file()


def test_every_run_leads_to_its_environment_and_back(audit: BeautifulSoup, book: Checkout) -> None:
    runs = rows(audit, "runs")
    linked = {file.stem for file in (html(book) / "runs").glob("*/*.html")}
    assert {row.select_one("a").text for row in runs} == linked
    for row in runs:
        target = row.select_one('a[href^="#environment-"]')["href"]
        environment = audit.select_one(target).find_parent("tr")
        assert row.select_one("a")["href"] in [link["href"] for link in environment.select("a")]


def test_hostile_strings_of_a_record_are_text(audit: BeautifulSoup) -> None:
    assert "<script>alert(1)</script>" in audit.select_one("#audit-environments").text
    assert not audit.select(".audit script")


def test_one_field_filters_all_tables(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / f"{AUDIT}.html")
    shown = "return Array.from(document.querySelectorAll('.audit tbody tr')).filter(row => row.offsetParent)"
    count = len(browser.execute_script(shown))
    field = browser.find_element("css selector", ".audit-filter input")
    field.send_keys("Linear-Bow emotion")
    left = browser.execute_script(f"{shown}.map(row => row.textContent.toLowerCase())")
    assert 0 < len(left) < count
    assert all("linear-bow" in text and "emotion" in text for text in left)
    assert f"{len(left)} of {count} rows" in browser.find_element("css selector", ".audit-filter output").text
    field.clear()
    field.send_keys(" ")
    assert len(browser.execute_script(shown)) == count


def test_without_scripts_everything_is_there(audit: BeautifulSoup) -> None:
    assert not audit.select(".audit-filter input")
    assert not audit.select(".audit [hidden]")
