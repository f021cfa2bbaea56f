"""Verdicts, chosen statements and findings on pages of prose: complete, as the ledger has them, and linked to it."""

import re
import shutil
import sys
from pathlib import Path
from typing import get_args

import nbformat
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from helpers.book import claims_summary
from helpers.book.quoted_numbers import numbers
from helpers.claims import catalogue, counts, ledger
from helpers.claims.ledger import Assessment
from helpers.claims.verdicts import DEPENDS, FAILS, HOLDS, OPEN, ROUNDED, VERDICTS
from helpers.core.errors import UserError
from helpers.figures.beyond.claims import claims as claims_page
from helpers.figures.display import METADATA
from helpers.figures.paper.table_b2 import table_b2
from helpers.results import tables as results
from tests.conftest import ROOT

BOOK = ROOT / "book"
CONFIG = """
extensions = ["myst_parser", "sphinx_design", "helpers.sphinx_ext.extension"]
myst_enable_extensions = ["colon_fence"]
"""


@pytest.fixture(scope="module")
def published() -> list[Assessment]:
    return ledger.evaluate(results.load_tables())


def build(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, strict: bool = True) -> BeautifulSoup:
    """Build one page of prose, as the book does, beside the notebooks that are in `folder` already."""
    from helpers.sphinx_ext import extension

    monkeypatch.setattr(extension, "numbers", lambda _tables: {})
    (folder / "conf.py").write_text(CONFIG, encoding="utf-8")
    (folder / "index.md").write_text(f"# Title\n\n{text}\n", encoding="utf-8")
    out = folder.parent / "out"
    settings = {"status": None, "warning": sys.stdout, "warningiserror": strict}
    with patch_docutils(str(folder)), docutils_namespace():
        Sphinx(str(folder), str(folder), str(out), str(out / "doctrees"), "html", **settings).build()
    return BeautifulSoup((out / "index.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


# --- HTML --------------------------------------------------------------------------------------------------


def test_every_topic_of_a_claim_has_a_title():
    assert set(claims_summary.TOPICS) == set(get_args(catalogue.Topic))


def test_bars_count_every_statement_once(published):
    soup = BeautifulSoup(claims_summary.bars(published), "html.parser")
    rows = [[int(cell.text) for cell in row.select("td")] for row in soup.select("tbody tr")]
    (total,) = ([int(cell.text) for cell in row.select("td")] for row in soup.select("tfoot tr"))
    assert [sum(column) for column in zip(*rows, strict=True)] == total
    expected = [item.verdict for item in published if item.claim.nature == "statement"]
    assert total == [expected.count(verdict) for verdict in VERDICTS]
    assert len(rows) == len(claims_summary.TOPICS)


def test_bars_are_drawn_from_the_numbers_beside_them(published):
    soup = BeautifulSoup(claims_summary.bars(published), "html.parser")
    for row in soup.select("tbody tr"):
        numbers = [int(cell.text) for cell in row.select("td")]
        drawn = {part["data-verdict"]: part["style"] for part in row.select(".bar span")}
        assert drawn == {
            verdict: f"flex-grow:{number}"
            for verdict, number in zip(VERDICTS, numbers, strict=True)
            if number
        }
        assert row.select_one(".bar")["aria-hidden"] == "true"


def test_a_statement_shows_verdict_readings_reasons_and_leads_to_its_entry(published):
    (item,) = claims_summary.chosen(published, ["duration-is-a-good-proxy"])
    soup = BeautifulSoup(claims_summary.statements([item]), "html.parser")
    line = soup.select_one("ul.verdicts > li")
    assert line.select_one(".verdict")["data-verdict"] == item.verdict == DEPENDS
    assert item.claim.says in line.text
    shown = line.select("ol.readings > li")
    assert len(shown) == len(item.readings) > 1
    for part, reading in zip(shown, item.readings, strict=True):
        assert all(text in part.text for text in (reading.criterion.says, f"{reading.word}.", reading.reason))
    assert "Section 4.2, v1; abstract, v1; section 1, v1; abstract, v2" in line.text
    entry, page = (str(link["href"]) for link in line.select("a"))
    assert entry.endswith("notebooks/analysis/claims.html#claim-duration-is-a-good-proxy")
    assert page.endswith(f"notebooks/analysis/{item.claim.see}.html")


def test_an_inference_is_shown_as_ours_and_without_a_verdict(published):
    (item,) = claims_summary.chosen(published, ["table-b3-h100-is-table-b1"])
    line = BeautifulSoup(claims_summary.statements([item]), "html.parser").select_one("li")
    shown_verdict = line.select_one(".verdict")
    assert (shown_verdict.get("data-verdict"), shown_verdict["data-outcome"]) == (None, "differs")
    assert "Our inference, about Table B3" in line.text
    assert FAILS not in line.text


def test_all_statements_with_a_verdict_are_listed_by_topic(published):
    order = list(claims_summary.TOPICS)
    for verdict in VERDICTS:
        listed = claims_summary.with_verdict(published, verdict)
        places = [order.index(item.claim.topic) for item in listed]
        assert places == sorted(places)
        assert {item.claim.id for item in listed} == {
            item.claim.id
            for item in published
            if item.verdict == verdict and item.claim.nature == "statement"
        }


def test_an_id_or_a_verdict_that_is_not_there_is_refused_with_the_nearest(published):
    with pytest.raises(UserError, match=r"no claim 'duration-is-a-god-proxy'.*duration-is-a-good-proxy"):
        claims_summary.chosen(published, ["duration-is-a-god-proxy"])
    with pytest.raises(UserError, match=r"no verdict 'does not hol'.*does not hold"):
        claims_summary.with_verdict(published, "does not hol")


# --- on a page ---------------------------------------------------------------------------------------------


def test_directives_show_what_the_ledger_says(source, published, monkeypatch):
    text = "```{verdict-bars}\n```\n\n```{claims}\n:verdict: does not hold\n```\n"
    soup = build(source, text, monkeypatch)
    assert len(soup.select(".glance tbody tr")) == len(claims_summary.TOPICS)
    failing = [item for item in published if item.verdict == FAILS and item.claim.nature == "statement"]
    assert len(soup.select("ul.verdicts > li")) == len(failing)


def test_a_claim_that_is_not_there_is_a_warning(source, monkeypatch, capsys):
    soup = build(source, "```{claims}\nno-such-claim\n```\n", monkeypatch, strict=False)
    assert soup.select("ul.verdicts") == []
    assert "no claim 'no-such-claim'" in capsys.readouterr().out


def test_a_finding_is_that_of_the_executed_notebook(source, monkeypatch, capsys):
    folder = source / "notebooks" / "analysis"
    folder.mkdir(parents=True)
    for name in ("table_b2", "table_b3"):
        shutil.copy2(ROOT / "notebooks" / "analysis" / f"{name}.ipynb", folder)
    artefact = table_b2(results.load_tables())
    document = nbformat.read(folder / "table_b2.ipynb", as_version=4)
    document.cells[1].outputs = [
        nbformat.v4.new_output(
            "display_data", {"text/html": artefact.html()}, metadata={METADATA: artefact.metadata()}
        )
    ]
    nbformat.write(document, folder / "table_b2.ipynb")
    text = "{finding}`table_b2`\n\n{finding}`table_b3`\n\n{finding}`table_b33`"
    first, second, third = (
        part.text for part in build(source, text, monkeypatch, strict=False).select("p")[:3]
    )
    assert first == artefact.finding
    assert second == "This is found when the notebooks are executed."
    assert third == "table_b33"
    assert re.search("finding 'table_b33'.*table_b3", capsys.readouterr().out)


# --- the pages themselves ----------------------------------------------------------------------------------


def test_the_page_at_a_glance_lists_all_that_does_not_simply_hold():
    text = (BOOK / "at_a_glance.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^:verdict: (.+)$", text, flags=re.MULTILINE)) == {ROUNDED, DEPENDS, FAILS, OPEN}


@pytest.mark.parametrize(
    ("page", "heading", "verdict"),
    [
        ("at_a_glance.md", "The main ones that hold", HOLDS),
        ("errata.md", "Slips", FAILS),
        ("errata.md", "Sentences that depend on how they are read", DEPENDS),
    ],
)
def test_what_a_page_names_as_holding_or_contradicted_is_so(page, heading, verdict, published):
    """The pages sort statements under headings by hand; a changed verdict has to move them."""
    verdicts = {item.claim.id: item.verdict for item in published}
    assert {verdicts[name] for name in _claims_under(page, heading)} == {verdict}


def test_the_errata_name_each_statement_that_does_not_hold(published):
    failing = {item.claim.id for item in published if item.verdict == FAILS}
    assert set(_claims_under("errata.md", "Slips")) == failing
    assert failing == {"figure-5-row-labels", "table-1-links-the-models-named"}


def test_pages_take_their_counts_from_one_function(published):
    """Bars, finding and numbers of the prose follow `counts.count` and nothing else."""
    soup = BeautifulSoup(claims_summary.bars(published), "html.parser")
    total = [int(cell.text) for cell in soup.select("tfoot td")]
    own = counts.count(published)
    assert total == [own.by_verdict[verdict] for verdict in VERDICTS]
    texts = {name: number.text for name, number in numbers(results.load_tables()).items()}
    assert [
        int(texts[f"claims.{name}"])
        for name in ("all", "tested", "holding", "depending", "failing", "untested")
    ] == [
        sum(total),
        sum(total) - own.untested,
        total[0] + total[1],
        total[2],
        total[3],
        total[4],
    ]
    finding = claims_page(results.load_tables()).finding
    assert f"Of the {texts['claims.tested']} statements" in finding
    assert f"{texts['claims.holding']} agree with them" in finding
    assert (
        f"Our measurements test {texts['claims.new.tested']} of the {texts['claims.all']} statements "
        f"({texts['claims.new.counterparts']} of them with other models than the paper's alone), "
        f"{texts['claims.new.opened']} of which the paper's own numbers leave open: {texts['claims.new.holding']} hold here, "
        in finding
    )


def test_the_front_page_and_the_page_at_a_glance_set_own_numbers_apart_from_new_measurements():
    for page in ("index.md", "at_a_glance.md"):
        text = (BOOK / page).read_text(encoding="utf-8")
        for name in (
            "claims.tested",
            "claims.holding",
            "claims.new.tested",
            "claims.all",
            "claims.new.opened",
            "claims.new.holding",
            "claims.new.counterparts",
            "claims.new.by-campaign",
            "models.rerun-llms",
        ):
            assert f"{{number}}`{name}`" in text, (page, name)
        assert "*own* numbers" in text
        assert re.search(r"\*[Nn]ew\* measurements", text)
        assert "testable statements of the paper hold" not in text


def _claims_under(page: str, heading: str) -> list[str]:
    text = (BOOK / page).read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1]
    listed = re.search(r"```\{claims\}\n(.*?)```", text, flags=re.DOTALL)
    assert listed is not None
    return listed[1].split()
