"""Figures, tables, downloads and sources on the pages of the book."""

from typing import Any
from urllib.parse import unquote

import pandas as pd
from bs4 import BeautifulSoup

from helpers.book.analyses import analysis_names
from helpers.records.environment import sha256_of
from helpers.records.storage import read_record, read_records
from helpers.study.catalogue import paper_models, study
from tests.conftest import Checkout, git
from tests.support.browsing import (
    FIGURE_1,
    REAL,
    artefacts,
    html,
    look_at,
    one_book,
    page,
    panel,
    published_and_measured,
    turn_to,
)

MODELS = study().models


@one_book
def test_figure_1_draws_all_published_models_and_the_measured_in_theirs(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / f"{FIGURE_1}.html")
    titles = sorted(MODELS[name].title for name in paper_models())
    committed = [record.run for record in read_records(book.root / "data" / "measurements")[0].values()]
    published, measured = published_and_measured(panel(browser, "fktg"))
    assert (sorted(published), measured) == (titles, [])
    for name in REAL:
        published, measured = published_and_measured(panel(browser, name))
        assert sorted(published) == titles, name
        # of a language model, one for each campaign, machine and weights, and none that kept a prefix cache
        shown = {
            (run.campaign, run.machine, run.model, run.weights, "" if run.asked else run.run_id): run
            for run in committed
            if run.dataset == name and not (run.served and run.served.prefix_caching)
        }
        expected = [
            MODELS[run.model].title + (f" ({run.weights})" if run.gguf_sha256 else "")
            for run in shown.values()
        ]
        assert sorted(measured) == sorted(expected), name


@one_book
def test_front_page_shows_the_published_panel_alone(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "book" / "index.html")
    plots = browser.execute_script(
        "return Array.from(document.querySelectorAll('.plot')).map(plot => plot.id)"
    )
    assert plots == ["figure_1_accuracy_energy-fktg"]
    drawn = panel(browser, "fktg")
    assert drawn["drawn"] == 17
    assert sorted(map(str.strip, drawn["labels"])) == sorted(MODELS[name].title for name in paper_models())


@one_book
def test_front_page_fits_one_screen_of_a_laptop(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "book" / "index.html", 1366)
    assert (
        "statements of German citizens once" in page(book, "book/index").select_one(".front-figure > p").text
    )
    bottoms = browser.execute_script(
        """return Object.fromEntries([".front > p", ".front .plot", ".front-cards", ".front-doors"].map(
            part => [part, document.querySelector(part).getBoundingClientRect().bottom]))"""
    )
    assert all(0 < bottom <= 768 for bottom in bottoms.values()), bottoms
    numbers = page(book, "book/index").select(".front-cards .sd-card a")
    assert len(numbers) >= 4  # the source of each; that links resolve is tested for all pages
    assert len(page(book, "book/index").select(".front-cards .sd-card")) == 4


@one_book
def test_the_figure_comes_first_on_its_page_and_the_steps_to_it_last(book: Checkout) -> None:
    for name in analysis_names():
        body = page(book, f"notebooks/analysis/{name}").select_one("article")
        assert body.select("figure.artefact, section section, .cell_input")[0].name == "figure", name
        steps = body.select("section > section")[-1]
        assert len(steps.select(".cell_input")) == len(body.select(".cell_input")) >= 3, name


@one_book
def test_runs_on_invented_texts_stand_on_the_page_of_the_demo(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "notebooks" / "analysis" / "demo.html")
    published, measured = published_and_measured(panel(browser, "fktg-sample", "demo"))
    assert published == []
    assert sorted(measured) == ["Linear BoW", "Linear BoW", "Linear Tf-idf"]  # demo, and the hostile copy
    artefact = page(book, "notebooks/analysis/demo").select_one("figure.artefact")
    assert "synthetic" in artefact.select_one(".panel-title").text
    assert "invented texts" in artefact.select_one(".finding").text


@one_book
def test_theme_switch_changes_the_colours_of_the_traces(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / f"{FIGURE_1}.html")
    seen = {}
    for theme in ("light", "dark", "light"):
        turn_to(browser, 1280, theme)
        drawn = panel(browser, "fktg")
        colours = ([trace["colour"] for trace in drawn["traces"]], drawn["colours"])
        assert seen.setdefault(theme, colours) == colours
    assert not set(seen["light"][0]) & set(seen["dark"][0])
    assert not set(seen["light"][1]) & set(seen["dark"][1])


@one_book
def test_phone_shows_fewer_labels_and_all_points(book: Checkout, browser: Any) -> None:
    file = html(book) / f"{FIGURE_1}.html"
    look_at(browser, file, 1280)
    broad = panel(browser, "fktg")
    look_at(browser, file, 390)
    narrow = panel(browser, "fktg")
    assert broad["drawn"] == narrow["drawn"] == 17
    assert 3 <= len(narrow["labels"]) < len(broad["labels"]) == 17


@one_book
def test_every_plot_of_every_analysis_has_an_alternative_text(book: Checkout, browser: Any) -> None:
    for file, artefact in artefacts(book):
        for plot in artefact.select(".plot"):
            alt = str(plot["data-alt"])
            assert len(alt) > 40 or "not measured" in alt, f"{file.stem}: {alt}"
            assert plot.select_one("img.static")["alt"] == alt
    look_at(browser, html(book) / f"{FIGURE_1}.html")
    script = """return Array.from(document.querySelectorAll(".plot"), plot => {
        const drawing = plot.querySelector(".drawing");
        return [drawing.getAttribute("role"), drawing.getAttribute("aria-label") === plot.dataset.alt];})"""
    assert browser.execute_script(script) == [["img", True]] * 5


@one_book
def test_download_is_the_data_of_what_is_shown(book: Checkout, browser: Any) -> None:
    rows = {}
    for file, artefact in artefacts(book):
        link = str(artefact.select_one("a.download")["href"])
        assert link.endswith(f"artefacts/{artefact['id']}.csv")
        rows[artefact["id"]] = pd.read_csv(file.parent / link)
        # A campaign that nobody has measured yet has no plot, and no rows.
        assert len(rows[artefact["id"]]) or not artefact.select(".plotly-figure"), artefact["id"]
    look_at(browser, html(book) / f"{FIGURE_1}.html")
    drawn = [panel(browser, name)["drawn"] for name in ("fktg", *REAL)]
    figure_1 = rows["figure_1_accuracy_energy"]
    assert len(figure_1) == sum(drawn)
    assert dict(figure_1["dataset"].value_counts()) == dict(zip(("fktg", *REAL), drawn, strict=True))
    assert (rows["table_b1"]["source"] == "published").sum() == 17
    committed = len(list(book.root.glob("data/measurements/*/*/record.json")))
    assert len(rows["runs"]) == 3 + committed


@one_book
def test_source_lists_the_files_with_their_hashes_and_leads_to_them(book: Checkout) -> None:
    commit = git(book.root, "rev-parse", "HEAD").strip()
    for file, artefact in artefacts(book):
        source = artefact.select_one("details.figure-source")
        items = source.select(".input")
        assert items, file.name
        for item in items:
            original = book.root / str(item["data-file"])
            carried = (file.parent / unquote(str(item.select_one("a")["href"]))).resolve()
            assert item.select_one(".sha").text == f"sha256 {sha256_of(original)[:12]}"
            assert sha256_of(carried) == sha256_of(original), item["data-file"]
        rendered, notebook = source.select_one("dd").select("a")
        assert (file.parent / str(rendered["href"])).resolve() == file
        assert (file.parent / str(notebook["href"])).resolve().is_file()
        assert notebook.text == f"notebooks/analysis/{artefact['id']}.ipynb"
        assert f"python -m helpers analyse {artefact['id']}" in source.text
        # The copy differs from its commit: the demo is a smaller one.
        assert f"{commit} (with uncommitted changes)" in " ".join(source.get_text(" ").split())


@one_book
def test_source_leads_to_the_page_of_every_run(book: Checkout) -> None:
    runs = 0
    for file, artefact in artefacts(book):
        for item in artefact.select(".figure-source details li"):
            page_of_run = (file.parent / unquote(str(item.select_one("a")["href"]))).resolve()
            run = str(item.select_one(".input")["data-file"]).split("/")[-2]
            assert page_of_run.is_file(), f"{file.stem}: {run}"
            assert page_of_run.stem == item.select_one("a").text == run
            runs += 1
    assert runs > 100


@one_book
def test_origins_of_the_data_are_among_the_inputs_of_a_figure(book: Checkout) -> None:
    with_origins = 0
    for file, artefact in artefacts(book):
        data = pd.read_csv(file.parent / str(artefact.select_one("a.download")["href"]))
        origins = set(data["origin"].dropna()) if "origin" in data else set()
        files = {
            name if "/" in name else f"data/published/{name}.csv"
            for origin in origins
            for name in origin.split()
        }
        assert files <= {item["data-file"] for item in artefact.select(".input")}, file.name
        with_origins += bool(files)
    assert with_origins > 10


@one_book
def test_runs_page_leads_to_record_and_notebook_of_every_run(book: Checkout) -> None:
    file = html(book) / "notebooks" / "analysis" / "runs.html"
    soup = page(book, "notebooks/analysis/runs")
    targets = [
        (file.parent / unquote(str(link["href"]))).resolve() for link in soup.select("table.data td a")
    ]
    runs = [
        path
        for folder in ("runs", "data/measurements")
        for path in (book.root / folder).glob("*/*/record.json")
    ]
    records = [target for target in targets if target.name == "record.json"]
    assert len(records) == len(runs) - 1  # one is refused
    for record in records:
        read_record(record)
    pages = [target for target in targets if target.suffix == ".html"]
    assert len(set(pages)) == len(records)
    for target in pages:
        links = BeautifulSoup(target.read_text(encoding="utf-8"), "html.parser").select(
            "a[href$='notebook.ipynb']"
        )
        assert links, target.name
        assert all((target.parent / unquote(str(link["href"]))).is_file() for link in links), target.name


@one_book
def test_front_page_has_the_figure_alone_and_leads_to_its_source(book: Checkout) -> None:
    artefact = page(book, "book/index").select_one("figure.artefact")
    assert artefact.select(".finding, .note, .figure-source, .figure-data, .panel-files") == []
    (link,) = artefact.select("figcaption a")
    target = (html(book) / "book" / str(link["href"])).resolve()
    assert target == html(book) / f"{FIGURE_1}.html"
    assert page(book, FIGURE_1).select_one("figure.artefact .figure-source")


@one_book
def test_without_javascript_the_images_are_there(book: Checkout, browser_without_javascript: Any) -> None:
    driver = browser_without_javascript
    driver.get((html(book) / f"{FIGURE_1}.html").as_uri())
    images = driver.find_elements("css selector", ".plot img.static")
    assert len(images) == 5
    for image in images:
        assert image.is_displayed()
        assert image.get_attribute("alt")
        assert image.size["width"] > 200
        assert image.size["height"] > 150
        assert int(image.get_property("naturalWidth")) > 200  # it was read and understood
    assert not any(bar.is_displayed() for bar in driver.find_elements("css selector", ".legend-buttons"))
