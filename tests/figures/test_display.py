"""What a figure or a table puts into its notebook."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from helpers.core import paths
from helpers.figures import display, plotly_json, style
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.html import Markup, link
from helpers.figures.plots.comparable import folded
from helpers.records.environment import git_commit, sha256_of

HOSTILE = "</script><script>alert(1)</script>"
RECORD = next(paths.MEASUREMENTS.glob("*/*/record.json"))


def plot(*names: str) -> go.Figure:
    figure = go.Figure([go.Scatter(x=[1, 2], y=np.array([0.5, np.nan]), name=name) for name in names])
    style.layout(figure, height=300)
    return figure


def panel(name: str, *traces: str) -> Panel:
    return Panel(
        name, f"Title of {name}", "a note", plot(*traces), alt=f"The finding of {name}", wide=name == "a"
    )


def artefact(*panels: Panel, **changes: Any) -> Figure:
    data = pd.DataFrame(
        {"model": [HOSTILE, "b"], "wh": [0.1, None], "origin": ["table_b1", paths.relative(RECORD)]}
    )
    values = {"name": "figure_x", "label": "Figure X", "finding": "One < two.", "note": "n", "data": data}
    return Figure(**{**values, "function": "helpers.x.y", "panels": panels, **changes})


def shown(item: Figure, monkeypatch: pytest.MonkeyPatch, in_book: bool) -> list[Any]:
    """Show it as a cell of a notebook does, and return the outputs."""
    monkeypatch.setattr(pio.renderers, "default", "plotly_mimetype")
    if in_book:
        monkeypatch.setenv(display.BOOK_VARIABLE, "1")
    else:
        monkeypatch.delenv(display.BOOK_VARIABLE, raising=False)
    InteractiveShell.instance()
    with capture_output() as captured:
        item.show()
    InteractiveShell.clear_instance()
    return list(captured.outputs)


def test_in_the_book_it_is_one_output_with_what_a_machine_asks_for(monkeypatch):
    (output,) = shown(artefact(panel("a", "x"), panel("b", "x")), monkeypatch, in_book=True)
    described = output.metadata["companion"]
    assert output.data["text/plain"] == "Figure X: One < two."
    assert (described["name"], described["kind"], described["commit"]) == ("figure_x", "figure", git_commit())
    assert described["inputs"] == {
        paths.relative(RECORD): sha256_of(RECORD),
        "data/published/table_b1.csv": sha256_of(paths.PUBLISHED / "table_b1.csv"),
    }
    assert [(item["name"], item["alt"], item["height"]) for item in described["panels"]] == [
        ("a", "The finding of a", 300),
        ("b", "The finding of b", 300),
    ]
    assert described["data_csv"].splitlines()[0] == "model,wh,origin"
    assert json.loads(json.dumps(described)) == described
    assert "table" in artefact().metadata()["kind"]


def test_outside_the_book_plotly_draws_and_no_link_leads_into_the_book(monkeypatch):
    outputs = shown(
        artefact(panel("a", "x"), panel("b", "x"), body="<p>body</p>"), monkeypatch, in_book=False
    )
    assert sum("application/vnd.plotly.v1+json" in item.data for item in outputs) == 2
    texts = [item.data["text/html"] for item in outputs if "text/html" in item.data]
    assert not any("companion-" in text or "<img" in text for text in texts)
    assert "One &lt; two." in texts[0]
    assert "<p>body</p>" in texts[-1]
    assert paths.relative(RECORD).split("/")[-2] in texts[-1]


def test_each_plot_is_an_image_with_the_same_plot_as_json():
    soup = BeautifulSoup(artefact(panel("a", "x"), panel("b", "x")).html(), "html.parser")
    for name, item in zip("ab", soup.select(".plot"), strict=True):
        assert item["id"] == f"figure_x-{name}"
        image = item.select_one("img.static")
        assert image["src"] == f"companion-root:_images/figure_x-{name}.svg"
        assert image["alt"] == item["data-alt"] == f"The finding of {name}"
        assert image["height"] == "300"
        drawn = json.loads(item.select_one("script.plotly-figure").string)
        assert drawn == plotly_json.plain(plot("x"))
    assert len({image["width"] for image in soup.select("img")}) == 2  # wide, and not


def test_a_panel_without_marks_is_a_sentence_without_plot_and_links():
    empty = go.Figure()
    style.layout(empty, height=200)
    style.not_measured(empty)
    item = artefact(panel("a", "x"), Panel("b", "B", "", empty, alt="B: not measured by us."))
    page = BeautifulSoup(item.html(), "html.parser")
    assert [plot["id"] for plot in page.select(".plot")] == ["figure_x-a"]
    (_, sentence) = page.select(".panel")
    assert sentence.get_text(" ").split() == ["B", "B:", "not", "measured", "by", "us."]
    assert sentence.select("a, img, script") == []
    assert [panel_metadata["name"] for panel_metadata in item.metadata()["panels"]] == ["a"]


def test_no_text_of_the_data_becomes_markup():
    figure = plot(HOSTILE, "x")
    figure.data[0].hovertext = [HOSTILE, HOSTILE]
    item = artefact(Panel("a", HOSTILE, HOSTILE, figure, HOSTILE), finding=HOSTILE, note=HOSTILE)
    soup = BeautifulSoup(item.html(), "html.parser")
    assert [script.get("class") for script in soup.select("script")] == [["plotly-figure"]]
    assert json.loads(soup.select_one("script").string)["data"][0]["hovertext"] == [HOSTILE, HOSTILE]
    assert soup.select_one(".legend-buttons button")["data-name"] == HOSTILE


def test_json_of_a_plot_has_plain_numbers_and_null_for_what_is_absent():
    figure = go.Figure(go.Bar(x=np.array([1.5, np.nan, 3.25]), y=np.arange(3), marker={"color": "#009E73"}))
    assert "bdata" in figure.to_json()  # what Plotly itself writes
    drawn = plotly_json.plain(figure)
    assert drawn["data"][0]["x"] == [1.5, None, 3.25]
    assert drawn["data"][0]["y"] == [0, 1, 2]
    assert set(drawn["layout"]["template"]["data"]) == {"bar"}
    assert "polar" not in drawn["layout"]["template"]["layout"]
    assert drawn["layout"]["template"]["layout"]["xaxis"]["automargin"] is True


@pytest.mark.parametrize(
    ("traces", "names"), [((("x", "y"), ("y", "z")), ["x", "y", "z"]), ((("x",), ("x",)), []), (((),), [])]
)
def test_legend_has_a_button_for_each_name_where_there_is_a_choice(traces, names):
    panels = [panel(str(number), *drawn) for number, drawn in enumerate(traces)]
    soup = BeautifulSoup(artefact(*panels).html(), "html.parser")
    buttons = soup.select(".legend-buttons button")
    assert [button["data-name"] for button in buttons] == names
    assert {button["aria-pressed"] for button in buttons} <= {"true"}


def test_source_panel_leads_to_notebook_function_files_and_run():
    soup = BeautifulSoup(artefact(panel("a", "x")).html(), "html.parser").select_one(".figure-source")
    targets = [str(item["href"]) for item in soup.select("a")]
    campaign, run = RECORD.parent.parent.name, RECORD.parent.name
    assert targets == [
        "companion-root:notebooks/analysis/figure_x.html",
        "companion-root:_sources/notebooks/analysis/figure_x.ipynb",
        "companion-function:helpers.x.y",
        "companion-root:published/table_b1.csv",
        f"companion-root:runs/{campaign}/{run}.html",
        f"companion-root:measurements/{campaign}/{run}/record.json",
    ]
    assert soup.select_one("dd details summary").text == f"{campaign}: 1 run"
    assert soup.select_one("code.copied").text == ".venv/bin/python -m helpers analyse figure_x"
    digests = {item["data-file"]: item.select_one(".sha")["title"] for item in soup.select(".input")}
    assert digests[paths.relative(RECORD)] == f"sha256 {sha256_of(RECORD)}"


def test_a_table_without_plots_has_no_second_table_of_its_data():
    soup = BeautifulSoup(artefact(body=html_table(pd.DataFrame({"a": [1]}), "T")).html(), "html.parser")
    assert len(soup.select("table")) == 1
    assert soup.select_one(".figure-source summary").text == "Source of this table"
    assert len(BeautifulSoup(artefact(panel("a", "x")).html(), "html.parser").select("table")) == 1


FIRST, SECOND, THIRD = ("F" + "x" * 70 + ".", "S" + "y" * 70 + ", see Eq. 2.", "T" + "z" * 70 + " < 1.")


@pytest.mark.parametrize(
    ("note", "line", "folded"),
    [
        (FIRST, FIRST, None),
        (f"{FIRST} {SECOND}", f"{FIRST} {SECOND}", None),
        (f"{FIRST} {SECOND} {THIRD}", f"{FIRST} {SECOND}", THIRD),
        ("a" * 300 + ". B.", "a" * 300 + ".", "B."),
        (f"Short. {'B' * 200}. {THIRD}", f"Short. {'B' * 200}.", THIRD),
        ("", "", None),
    ],
)
def test_of_a_note_a_line_is_shown_and_the_rest_is_folded(note, line, folded):
    item = artefact(panel("a", "x"), note=note)
    soup = BeautifulSoup(item.html(), "html.parser")
    assert soup.select_one(".finding + p.note").text == line
    more = soup.select_one("details.note-more")
    assert (more and more.select_one("p.note").text) == folded
    assert more is None or (more.select_one("summary").text, more.has_attr("open")) == (
        "How to read this",
        False,
    )
    assert item.metadata()["note"] == note  # machines get all of it


def test_the_first_sentence_of_a_finding_is_the_headline_and_the_whole_stays_together():
    item = replace(
        artefact(panel("a", "x")), finding="It is so, by Eq. 2 of the paper. And so <b> too. Really."
    )
    shown = BeautifulSoup(item.html(), "html.parser").select_one(".finding")
    assert shown.text == item.finding
    assert shown.select_one(".more").text == "And so <b> too. Really."
    assert replace(item, finding="One.").html().count('class="more"') == 0


def test_of_a_long_note_of_a_panel_the_first_sentence_is_shown():
    long = f"Measured: a. {'B' * 200}. C."
    short = "Measured: a. Not much more."
    for note, line, rest in ((long, "Measured: a.", f"{'B' * 200}. C."), (short, short, None)):
        item = artefact(replace(panel("a", "x"), note=note))
        shown = BeautifulSoup(item.html(), "html.parser").select_one(".panel-note")
        assert shown.select_one("p").text == line
        more = shown.select_one("details.note-more p")
        assert (more and more.text) == rest


def test_cells_are_escaped_long_texts_wrap_and_absent_values_are_a_dash():
    frame = pd.DataFrame({"text": ["<b>", "word " * 20], "number": [1.23456789, np.nan]})
    cells = BeautifulSoup(html_table(frame, "<T>"), "html.parser").select("td")
    assert [(cell.get("class", []), cell.text.strip()) for cell in cells] == [
        ([], "<b>"),
        (["number"], "1.23457"),
        (["long"], ("word " * 20).strip()),
        (["absent", "number"], "-"),
    ]
    marked = html_table(pd.DataFrame({"a": pd.Series([link("data/x" * 20, "<x>")], dtype=object)}), "T")
    assert re.search(r'<td><a href="companion-root:[datax/]+">&lt;x&gt;</a></td>', marked)
    assert isinstance(link("x", "y"), Markup)


def test_a_folded_part_has_its_summary_as_text() -> None:
    soup = BeautifulSoup(folded(f"Table: {HOSTILE} & <b>data</b>", "<p>body</p>"), "html.parser")
    assert soup.summary is not None
    assert soup.summary.get_text() == f"Table: {HOSTILE} & <b>data</b>"
    assert not soup.select("script, b")
    assert soup.p is not None
