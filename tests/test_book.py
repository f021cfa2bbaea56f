"""The book as a reader gets it: in a real browser, from file://, without network."""

import base64
import io
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup, Tag

from conftest import ROOT, Checkout, git, make_checkout
from helpers import book as book_module
from helpers import cli, paths, workflow
from helpers.environment import sha256_of
from helpers.record import read_record, read_records
from helpers.study import paper_models, study

one_book = pytest.mark.xdist_group("book")  # so that the book is built once
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
ANALYSES = sorted(file.stem for file in (ROOT / "notebooks" / "analysis").glob("*.ipynb"))
FIGURE_1 = "notebooks/analysis/figure_1_accuracy_energy"
REAL = ("news", "yelp", "tomatoes", "emotion")
MODELS = study().models
MEASURED = {"model": ["linear-bow", "linear-tfidf"], "dataset": "fktg-sample", "splits": 1, "window_s": 0.05}
SCRIPT = "<script>alert(1)</script>"
LOOKS = [(width, theme) for width in (1280, 390) for theme in ("light", "dark")]
EVERY_LOOK = ("book/index", FIGURE_1, "notebooks/analysis/claims", "notebooks/analysis/calculator")
"""Pages of the most different kinds; the others are looked at on a light desktop and on a dark phone."""
OUTSIDE = ("http", "https", "mailto", "data", "javascript")
HARMLESS: tuple[str, ...] = ()
"""Messages of the console that are known and named here."""


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The book, built once from two measured runs, one whose strings are hostile, and one that is refused."""
    copy = make_checkout(tmp_path_factory.mktemp("book"))
    copy.campaign("demo", MEASURED)
    done = copy.helpers("run", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    _write_hostile_records(copy)
    done = copy.helpers("book", "--no-measure")
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


def _write_hostile_records(copy: Checkout) -> None:
    document = json.loads(copy.records()[0].read_text(encoding="utf-8"))
    document["run"] |= {"campaign": "hostile", "checkpoint": SCRIPT, "dataset_origin": SCRIPT}
    document["environment"] |= {"os": SCRIPT, "cpu_model": SCRIPT, "packages": {SCRIPT: SCRIPT}}
    document["checks"].append({"name": "hostile", "passed": False, "message": SCRIPT, "severity": "warning"})
    for campaign, content in (("hostile", document), ("refused", document | {SCRIPT: 1})):
        folder = copy.root / "runs" / campaign / document["run"]["run_id"]
        shutil.copytree(copy.records()[0].parent, folder)
        (folder / "record.json").write_text(json.dumps(content), encoding="utf-8")


def html(book: Checkout) -> Path:
    return book.root / "_build" / "html"


def page(book: Checkout, name: str) -> BeautifulSoup:
    return BeautifulSoup((html(book) / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def look_at(browser: Any, file: Path, width: int = 1280, theme: str = "light") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    for log in ("browser", "performance"):
        browser.get_log(log)  # what earlier pages left
    browser.get(file.as_uri())
    wait_for_figures(browser)


def wait_for_figures(browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    script = """return document.readyState === "complete" && Array.from(
        document.querySelectorAll(".plotly-graph-div")).every(plot => plot.dataset.state)"""
    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda driver: driver.execute_script(script))


def requested(browser: Any) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def panel(browser: Any, name: str) -> dict[str, Any]:
    """Read a drawn panel: markers on the screen, and what Plotly holds of each trace."""
    script = """
        const plot = document.getElementById(arguments[0]);
        return {
          drawn: plot.querySelectorAll(".points path").length,
          labels: Array.from(plot.querySelectorAll(".textpoint text")).map(t => t.textContent).filter(t => t),
          colours: Array.from(plot.querySelectorAll(".points path")).map(p => getComputedStyle(p).stroke),
          traces: plot.data.map(t => ({
            name: t.name, text: t.text, hover: t.hovertext, colour: t.marker.color, points: t.x.length,
            broad: t.meta.broad.text, narrow: t.meta.narrow.text})),
        };"""
    return browser.execute_script(script, f"figure_1_accuracy_energy-{name}")


def published_and_measured(drawn: dict[str, Any]) -> tuple[list[str], list[str]]:
    hovers = [text for trace in drawn["traces"] for text in trace["hover"]]
    assert drawn["drawn"] == len(hovers)
    named = [(re.match(r"<b>(.*?)</b> \((.*?),", text), text) for text in hovers]
    titles = [(match[1], match[2]) for match, _ in named if match]
    assert len(titles) == len(hovers)
    return (
        [title for title, source in titles if source == "published"],
        [title for title, source in titles if source != "published"],
    )


# --- building ------------------------------------------------------------------------------------------


@one_book
def test_first_page_leads_to_the_front_page(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "index.html")
    assert browser.current_url == (html(book) / "book" / "index.html").as_uri()


@one_book
def test_nothing_changed_builds_nothing(book: Checkout) -> None:
    index = html(book) / "index.html"
    before = index.stat().st_mtime_ns
    begin = time.monotonic()
    done = book.helpers("book", "--no-measure")
    assert time.monotonic() - begin < 30
    assert done.returncode == 0, done.stdout + done.stderr
    assert index.stat().st_mtime_ns == before
    assert done.stdout.splitlines()[-1] == f"the book: {index}"
    assert "apt-get" not in done.stdout


def planned_jobs(book: Checkout) -> Counter[str]:
    """Ask Snakemake what it would do now."""
    done = book.python(
        "snakemake",
        "book",
        "--dry-run",
        *(
            "--snakefile",
            "workflow/Snakefile",
            "--profile",
            "workflow/profiles/local",
            "--config",
            "campaign=",
        ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return Counter({rule: int(number) for rule, number in counts if rule not in ("total", "book")})


@one_book
@pytest.mark.parametrize(
    ("changed", "jobs"),
    [
        ("runs/demo/*/record.json", {"results": 1, "analyses": 1, "html": 1}),
        ("data/study/models.yaml", {"results": 1, "analyses": 1, "html": 1}),
        ("src/helpers/units.py", {"results": 1, "analyses": 1, "html": 1}),
        ("notebooks/analysis/table_b1.ipynb", {"analyses": 1, "html": 1}),
        ("book/audit.md", {"html": 1}),
        ("_build/browser.txt", {"html": 1}),  # a Chromium came or went
        ("README.md", {}),
    ],
)
def test_change_builds_what_depends_on_it(changed: str, jobs: dict[str, int], book: Checkout) -> None:
    file = next(book.root.glob(changed), book.root / changed)
    content, status = (file.read_bytes(), file.stat()) if file.exists() else (b"", None)
    try:
        file.write_bytes(content + b"\n")
        assert planned_jobs(book) == jobs
    finally:
        file.write_bytes(content)
        if status:
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        else:
            file.unlink()


@one_book
def test_new_record_and_removed_record_change_the_results(book: Checkout) -> None:
    folder = book.root / "runs" / "hostile"
    aside = book.root / "aside"
    folder.rename(aside)
    try:
        assert planned_jobs(book)["results"] == 1
    finally:
        aside.rename(folder)
    assert planned_jobs(book) == {}


@pytest.fixture
def without_chromium(tmp_path: Path) -> dict[str, str]:
    """Environment of a process that finds no browser; Kaleido looks in fixed places besides PATH."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "real = os.access\n"
        "names = ('chrom', 'google-chrome', 'msedge', 'microsoft-edge', 'brave', 'vivaldi')\n"
        "os.access = lambda path, mode, **more: (\n"
        "    not os.path.basename(str(path)).lower().startswith(names) and real(path, mode, **more)\n"
        ")\n",
        encoding="utf-8",
    )
    return {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "HIDING": str(tmp_path)}


def hiding(copy: Checkout, environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "PYTHONPATH": f"{environment['HIDING']}:{copy.root / 'src'}"}


def test_without_chromium_an_analysis_has_text_in_place_of_images(
    checkout: Checkout, without_chromium: dict[str, str]
) -> None:
    done = checkout.helpers("analyse", "figure_1_accuracy_energy", env=hiding(checkout, without_chromium))
    assert done.returncode == 0, done.stderr
    executed = (checkout.root / done.stdout.strip()).read_text(encoding="utf-8")
    assert "<img" not in executed
    assert executed.count("<noscript><p>") == 6


@pytest.mark.parametrize("there", [True, False])
def test_book_tells_how_to_get_images_only_where_there_is_no_chromium(
    there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(workflow, "run", lambda campaign, target: 0)
    monkeypatch.setattr(book_module, "has_static_images", lambda: there)
    assert cli.main(["book", "--no-measure"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"the book: {paths.BUILD / 'html' / 'index.html'}"
    assert any("apt-get install chromium" in line for line in lines) is not there


@pytest.mark.parametrize("name", ANALYSES)
def test_analysis_runs_with_plain_papermill(name: str, checkout: Checkout) -> None:
    begin = time.monotonic()
    done = checkout.python("papermill", f"notebooks/analysis/{name}.ipynb", "out.ipynb")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 20
    assert 'class=\\"artefact\\"' in (checkout.root / "out.ipynb").read_text(encoding="utf-8")


# --- every page ----------------------------------------------------------------------------------------


@one_book
@pytest.mark.parametrize("name", PAGES)
def test_page_is_sound_on_desktop_and_phone_in_light_and_dark(
    name: str, book: Checkout, browser: Any
) -> None:
    for width, theme in LOOKS if name in EVERY_LOOK else LOOKS[::3]:
        look = f"{name} at {width} px, {theme}"
        look_at(browser, html(book) / f"{name}.html", width, theme)
        severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert [text for text in severe if not any(part in text for part in HARMLESS)] == [], look
        assert browser.execute_script("return document.documentElement.dataset.theme") == theme, look
        size = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert size[0] <= size[1], f"{look}: the page is {size[0]} px wide"
        assert [url for url in requested(browser) if not url.startswith(("file:", "data:", "blob:"))] == [], (
            look
        )


@one_book
@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_the_network(name: str, book: Checkout) -> None:
    loaded = page(book, name).select("script[src], link[href], img[src], iframe[src], source[src]")
    addresses = [str(tag.get("src") or tag.get("href")) for tag in loaded]
    assert [address for address in addresses if re.match(r"(https?:)?//", address)] == []


@one_book
def test_every_link_inside_the_book_resolves(book: Checkout) -> None:
    identifiers: dict[Path, set[str]] = {}
    broken = []
    for file in sorted(html(book).rglob("*.html")):
        if "_static" in file.parts or "_sources" in file.parts:
            continue
        soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        for tag in soup.select("[href], [src]"):
            address = str(tag.get("href") or tag.get("src") or "")
            parts = urlsplit(address)
            if parts.scheme in OUTSIDE or not address.strip("#"):
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file() or not target.is_relative_to(html(book).resolve()):
                broken.append(f"{file.relative_to(html(book))}: {address}")
            elif parts.fragment and target.suffix == ".html":
                if target not in identifiers:
                    other = BeautifulSoup(target.read_text(encoding="utf-8"), "html.parser")
                    identifiers[target] = {str(item["id"]) for item in other.select("[id]")}
                if unquote(parts.fragment) not in identifiers[target]:
                    broken.append(f"{file.relative_to(html(book))}: {address}")
    assert broken == []


@one_book
def test_strings_of_a_record_never_become_markup(book: Checkout, browser: Any) -> None:
    for file in html(book).rglob("*.html"):
        assert SCRIPT not in file.read_text(encoding="utf-8"), file.name
    look_at(browser, html(book) / "notebooks" / "analysis" / "runs.html")  # an alert would raise here
    text = browser.execute_script("return document.body.innerText")
    assert SCRIPT in text
    assert f"unknown key '{SCRIPT}'" in text


# --- figures and tables --------------------------------------------------------------------------------


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
        expected = [MODELS[run.model].title for run in committed if run.dataset == name]
        assert sorted(measured) == sorted(expected), name
    published, measured = published_and_measured(panel(browser, "fktg-sample"))
    assert published == []
    assert sorted(measured) == ["Linear BoW", "Linear BoW", "Linear Tf-idf"]  # demo, and the hostile copy


@one_book
def test_front_page_shows_the_published_panel_alone(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / "book" / "index.html")
    plots = browser.execute_script(
        "return Array.from(document.querySelectorAll('.plotly-graph-div')).map(plot => plot.id)"
    )
    assert plots == ["figure_1_accuracy_energy-fktg"]
    drawn = panel(browser, "fktg")
    assert drawn["drawn"] == 17
    assert sorted(drawn["labels"]) == sorted(MODELS[name].title for name in paper_models())


@one_book
def test_sample_is_marked_as_invented_and_stands_apart(book: Checkout) -> None:
    soup = page(book, FIGURE_1)
    marked = soup.select(".panel.marked")
    assert [tag.select_one(".plotly-graph-div")["id"] for tag in marked] == [
        "figure_1_accuracy_energy-fktg-sample"
    ]
    assert "synthetic" in marked[0].select_one(".panel-title").text
    assert "Invented" in marked[0].select_one(".panel-note").text


@one_book
def test_theme_switch_changes_the_colours_of_the_traces(book: Checkout, browser: Any) -> None:
    look_at(browser, html(book) / f"{FIGURE_1}.html")
    seen = {}
    for theme in ("light", "dark", "light"):
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        wait_for_figures(browser)
        browser.execute_async_script("setTimeout(arguments[0], 200)")
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
def test_every_panel_has_an_alternative_text(book: Checkout) -> None:
    soup = page(book, FIGURE_1)
    boxes = soup.select(".panel .plotly-box")
    assert len(boxes) == 6
    for box in boxes:
        assert box["role"] == "img"
        assert len(str(box["aria-label"])) > 40
    for image in soup.select("img"):
        assert image.get("alt"), image


def artefacts(book: Checkout) -> Iterator[tuple[Path, Tag]]:
    for name in ANALYSES:
        file = html(book) / "notebooks" / "analysis" / f"{name}.html"
        found = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").select("figure.artefact")
        assert len(found) == 1, name
        yield file, found[0]


@one_book
def test_download_is_the_data_of_what_is_shown(book: Checkout, browser: Any) -> None:
    rows = {}
    for _, artefact in artefacts(book):
        link = artefact.select_one("a.download")
        kind, _, content = str(link["href"]).partition(",")
        assert kind == "data:text/csv;base64"
        assert link["download"] == f"{artefact['id']}.csv"
        rows[artefact["id"]] = pd.read_csv(io.BytesIO(base64.b64decode(content)))
        assert len(rows[artefact["id"]]), artefact["id"]
    look_at(browser, html(book) / f"{FIGURE_1}.html")
    drawn = [panel(browser, name)["drawn"] for name in ("fktg", *REAL, "fktg-sample")]
    figure_1 = rows["figure_1_accuracy_energy"]
    assert len(figure_1) == sum(drawn)
    assert dict(figure_1["dataset"].value_counts()) == dict(
        zip(("fktg", *REAL, "fktg-sample"), drawn, strict=True)
    )
    assert (rows["table_b1"]["source"] == "published").sum() == 17
    committed = len(list(book.root.glob("data/measurements/*/*/record.json")))
    assert len(rows["runs"]) == 3 + committed


@one_book
def test_source_lists_the_files_with_their_hashes_and_leads_to_them(book: Checkout) -> None:
    commit = git(book.root, "rev-parse", "HEAD").strip()
    for file, artefact in artefacts(book):
        source = artefact.select_one("details.figure-source")
        items = source.select(".inputs li")
        assert items, file.name
        for item in items:
            link = item.select_one("a")
            original, carried = book.root / link.text, (file.parent / unquote(str(link["href"]))).resolve()
            assert item.select_one(".sha").text == f"sha256 {sha256_of(original)[:12]}"
            assert sha256_of(carried) == sha256_of(original), link.text
        notebook = source.select_one("dd a")
        assert (file.parent / str(notebook["href"])).resolve().is_file()
        assert notebook.text == f"notebooks/analysis/{artefact['id']}.ipynb"
        assert f"python -m helpers analyse {artefact['id']}" in source.text
        # The copy differs from its commit: the demo is a smaller one.
        assert f"{commit} (with uncommitted changes)" in " ".join(source.get_text(" ").split())


@one_book
def test_origins_of_the_data_are_among_the_inputs_of_a_figure(book: Checkout) -> None:
    with_origins = 0
    for file, artefact in artefacts(book):
        content = str(artefact.select_one("a.download")["href"]).partition(",")[2]
        data = pd.read_csv(io.BytesIO(base64.b64decode(content)))
        origins = set(data["origin"].dropna()) if "origin" in data else set()
        files = {
            name if "/" in name else f"data/published/{name}.csv"
            for origin in origins
            for name in origin.split()
        }
        assert files <= {link.text for link in artefact.select(".inputs li a")}, file.name
        with_origins += bool(files)
    assert with_origins > 10


@one_book
def test_runs_page_leads_to_record_and_notebook_of_every_run(book: Checkout) -> None:
    file = html(book) / "notebooks" / "analysis" / "runs.html"
    soup = page(book, "notebooks/analysis/runs")
    addresses = [unquote(str(link["href"])) for link in soup.select("table.data td a")]
    targets = [(file.parent / address).resolve() for address in addresses]
    assert all(target.is_file() for target in targets), addresses
    runs = [
        *(book.root / "runs").glob("*/*/record.json"),
        *(book.root / "data/measurements").glob("*/*/record.json"),
    ]
    assert (
        len([target for target in targets if target.name == "record.json"]) == len(runs) - 1
    )  # one is refused
    assert len([target for target in targets if target.name == "notebook.ipynb"]) == len(runs) - 1
    for record in (target for target in targets if target.name == "record.json"):
        read_record(record)


@one_book
def test_front_page_has_figure_and_source_too(book: Checkout) -> None:
    file = html(book) / "book" / "index.html"
    artefact = page(book, "book/index").select_one("figure.artefact")
    links = [*artefact.select(".inputs li a"), artefact.select_one("dd a")]
    assert all((file.parent / unquote(str(link["href"]))).resolve().is_file() for link in links)


@one_book
def test_without_javascript_the_images_are_there(book: Checkout, browser_without_javascript: Any) -> None:
    driver = browser_without_javascript
    driver.get((html(book) / f"{FIGURE_1}.html").as_uri())
    images = driver.find_elements("css selector", ".panel noscript img")
    assert len(images) == 6
    for image in images:
        assert image.is_displayed()
        assert image.get_attribute("alt")
        assert image.size["width"] > 200
        assert image.size["height"] > 150
        assert image.get_attribute("src").startswith("data:image/webp;base64,")


@one_book
def test_static_images_are_images_of_the_whole_panel(book: Checkout, browser: Any) -> None:
    images = page(book, FIGURE_1).select(".panel noscript img") or BeautifulSoup(
        "".join(str(tag.string) for tag in page(book, FIGURE_1).select(".panel noscript")), "html.parser"
    ).select("img")
    assert len(images) == 6
    for image in images:
        content = base64.b64decode(str(image["src"]).partition(",")[2])
        assert content[:4] == b"RIFF"
        assert content[8:12] == b"WEBP"
        assert len(content) > 5000
