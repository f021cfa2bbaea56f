"""Numbers of the prose come from the data: the role that inserts them, and the few digits that are typed."""

import dataclasses
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from helpers.audit import quoted_numbers
from helpers.audit.quoted_numbers import typed_numbers
from helpers.book.quoted_numbers import Number, numbers
from helpers.results.tables import load_tables
from helpers.sphinx_ext import extension
from tests.conftest import ROOT

PAGES = sorted((ROOT / "book").glob("*.md"))


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("It took 12 runs and 0.5 Wh.", ["12", "0.5"]),
        ("See Figure 3, Tables B4 and B5, section 4.1.1, Eq. 2 and Figures 1-7.", []),
        ("Take `x=12`, {number}`best.accuracy` and {cite:t}`zschache_hartwig_2026`.", []),
        ("```\n12\n```\nand 13", ["13"]),
        ("::::{grid} 1 1 3 3\n:gutter: 2\n\n4 cards", ["4"]),
        ("1. First\n2. Second, of 7", ["7"]),
        ("on one H200 with 2 GPUs", ["2"]),
        ("7,600 items", ["7,600"]),
        ("(1234) texts (2003)", ["1234"]),
        ("In 40B texts", ["40"]),
        ("See Table 9 to 12 models", ["9", "12"]),
        ("See Table 3 and 12 models, Figures 6 and 17", ["12", "6", "17"]),
        ("Llama 3.5 times, Llama 3.1 8B and Qwen 2.5\n7B", ["3.5"]),
        ("A999, A30 and X12", ["999", "12"]),
        ("½ of 10² texts at 4 g of CO₂e", ["½", "10", "²", "4"]),
        ("section 88, section 3.3, Eq. 20", ["88", "20"]),
        ("100. text", ["100"]),
        ("if a < 5 then b > 3, <https://example.org/7> and <b>8</b>", ["5", "3", "8"]),
        (
            ":::{dropdown} All 12\n7 rows\n:::\n```{note}\n13 runs\n```\n```{claims}\n14\n```",
            ["12", "7", "13"],
        ),
        (
            "7 `x`\n```{list-table}\n* - `a` 12\n  - b 13 `c`\n```\n14 `d` 15\n```python\n16\n```\n17",
            ["7", "12", "13", "14", "15", "17"],
        ),
        ("````{note} With 3\n```\n4\n```\n5\n````\n6\n```{claims}\n7", ["3", "5", "6"]),
        ("- 8 times\n\n  ```text\n  9 `\n  ```\n  10", ["8", "10"]),
        ("{term}`6 splits <split>` and {doc}`page2`", ["6"]),
        ("Seventeen models of eleven authorities, two datasets", ["Seventeen", "eleven"]),
        ("about two hundred texts, a thousand cards, hundreds of letters", ["two hundred", "a thousand"]),
        ("twenty-five runs, often", ["twenty-five"]),
    ],
)
def test_typed_numbers_are_found_and_nothing_else(text, typed):
    assert typed_numbers(text) == typed


def test_every_typed_number_has_a_reason_and_every_reason_a_number():
    checked, findings = quoted_numbers.check(numbers(load_tables()))
    assert checked > 20
    assert findings == []


def test_at_most_forty_numbers_are_typed():
    counts = Counter(number for page in PAGES for number in typed_numbers(page.read_text(encoding="utf-8")))
    assert counts.total() <= 40


def test_numbers_lead_to_pages_that_are_there():
    computed = numbers(load_tables())
    used = {name for page in PAGES for name in quoted_numbers.used_numbers(page.read_text(encoding="utf-8"))}
    assert len(used) > 10
    assert used <= set(computed)
    analyses = {file.stem for file in (ROOT / "notebooks" / "analysis").glob("*.ipynb")}
    assert {number.see for number in computed.values()} - {""} <= analyses


def test_numbers_follow_the_published_values(tmp_path):
    copy = tmp_path / "published"
    shutil.copytree(ROOT / "data" / "published", copy)
    table = copy / "table_b1.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace(",702.06,", ",70206.00,"), encoding="utf-8")
    before, after = numbers(load_tables()), numbers(load_tables(published_folder=copy))
    assert before["most-energy.energy"].text == "700\u202fWh"
    assert after["most-energy.energy"].text == "70\u202fkWh"
    assert float(after["decades"].text) == pytest.approx(float(before["decades"].text) + 2)
    assert after["best.accuracy"] == before["best.accuracy"]


def test_the_best_model_of_a_dataset_follows_the_table_and_a_tie_goes_to_the_more_efficient(tmp_path):
    computed = numbers(load_tables())
    assert computed["best.tomatoes.model"].text == "Jamba Mini 1.5"  # as accurate as two others, for less
    assert (computed["best.llm.model"].text, computed["best.fktg.model"].text) == (
        "Qwen 2.5 72B",
        "Linear Embedding",
    )
    assert (computed["models.all"].text, computed["models.llm"].text) == ("17", "11")
    tables = load_tables()
    mask = (tables.results["dataset"] == "news") & (tables.results["model"] == "linear-bow")
    results = tables.results.assign(accuracy=tables.results["accuracy"].mask(mask, 0.99))
    changed = numbers(dataclasses.replace(tables, results=results))
    assert (changed["best.news.model"].text, changed["best.news.accuracy"].text) == ("Linear BoW", "0.99")


# --- the role ----------------------------------------------------------------------------------------------


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        "extensions = ['myst_parser', 'helpers.sphinx_ext.extension']\n", encoding="utf-8"
    )
    (source / "index.md").write_text("# Title\n\nIt is {number}`one` and {number}`two`.\n", encoding="utf-8")
    return source


def build(
    source: Path, monkeypatch: pytest.MonkeyPatch, computed: dict[str, Number], strict: bool = True
) -> str:
    monkeypatch.setattr(extension, "numbers", lambda _tables: computed)
    out = source.parent / "out"
    with patch_docutils(str(source)), docutils_namespace():  # as sphinx-build does, so that it can run twice
        settings = {"status": None, "warning": sys.stdout, "warningiserror": strict}
        Sphinx(str(source), str(source), str(out), str(out / "doctrees"), "html", **settings).build()
    return (out / "index.html").read_text(encoding="utf-8")


def test_the_role_shows_the_number_and_leads_to_its_source(pages, monkeypatch):
    page = build(
        pages, monkeypatch, {"one": Number("0.57", "figure_1_accuracy_energy"), "two": Number("189")}
    )
    assert re.search(
        r'It is <a class="number number-one[^>]*href="notebooks/analysis/figure_1_accuracy_energy.html">0.57</a> '
        r'and <span class="number number-two">189</span>.',
        page,
    )


def test_a_page_is_built_again_when_a_number_of_it_changes(pages, monkeypatch):
    first = {"one": Number("0.57"), "two": Number("189")}
    assert ">0.57<" in build(pages, monkeypatch, first)
    marker = pages.parent / "out" / "index.html"
    marker.write_text(marker.read_text(encoding="utf-8").replace("It is", "It was"), encoding="utf-8")
    assert "It was <" in build(pages, monkeypatch, first)  # nothing changed: the page is left alone
    assert ">0.58<" in build(pages, monkeypatch, first | {"one": Number("0.58")})


def test_a_number_that_is_not_there_is_a_warning_with_the_nearest(pages, monkeypatch, capsys):
    page = build(pages, monkeypatch, {"one": Number("1"), "twos": Number("2")}, strict=False)
    assert "<code" in page
    assert "nearest: 'twos'" in capsys.readouterr().out
