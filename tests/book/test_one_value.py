"""One value for one quantity: whatever the built book names agrees with `results --csv`.

The places are collected from the book as readers get it: numbers in prose, findings and alternative texts, tables, what a
mark says, and the data behind every figure.
"""

import html as markup
import io
import json
import re
from collections.abc import Iterator

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.results.tables import load_tables
from helpers.statistics import selection
from helpers.study.catalogue import model_title, study
from tests.conftest import Checkout
from tests.support.browsing import html, one_book

TITLES = {model_title(name): name for name in study().models}
ANY_TITLE = "|".join(sorted(map(re.escape, TITLES), key=len, reverse=True))
DATASETS = ("fktg", "news", "yelp", "tomatoes", "emotion")
DATASET_TITLES = {study().datasets[name].title: name for name in DATASETS}


@pytest.fixture(scope="module")
def table(book: Checkout) -> pd.DataFrame:
    """What `results --csv` prints."""
    done = book.helpers("results", "--csv")
    assert done.returncode == 0, done.stderr
    return pd.read_csv(io.StringIO(done.stdout))


def paper(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The rows of a dataset that the paper's Tables B1, B4 and B5 print."""
    return table[
        (table["source"] == "published")
        & (table["dataset"] == dataset)
        & (table["machine"] == "capella")
        & (table["nodes"] == 1)
        & table["accuracy"].notna()
    ]


def best(rows: pd.DataFrame) -> "pd.Series[float]":
    """The most accurate row; of equals the one with the least energy, in words of their own."""
    energy = rows["energy_wh"].fillna(rows["energy_wh_below"])
    return rows.assign(energy=energy).sort_values(["accuracy", "energy"], ascending=[False, True]).iloc[0]


def pages(book: Checkout) -> dict[str, BeautifulSoup]:
    """Every page of the book but the reference, whose texts are not about results."""
    files = sorted(
        [*html(book).glob("*.html"), *html(book).glob("book/*.html"), *html(book).glob("notebooks/**/*.html")]
    )
    return {
        str(file.relative_to(html(book))): BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        for file in files
    }


@pytest.fixture(scope="module")
def every(book: Checkout) -> dict[str, BeautifulSoup]:
    """All pages, parsed once."""
    return pages(book)


def article(page: BeautifulSoup) -> str:
    """The words of a page and its alternative texts, without code and scripts."""
    main = page.find("article") or page
    texts = [image["alt"] for image in main.select("img[alt]")]
    words = main.get_text(" ")
    return re.sub(r"\s+", " ", " ".join([words, *texts])).replace("\u202f", " ")


@one_book
def test_best_models_and_accuracies_in_the_prose_are_those_of_the_results_table(every, table) -> None:
    seen = 0
    for page in every.values():
        for element in page.select("[class*='number-']"):
            (name,) = [part[7:] for part in element["class"] if part.startswith("number-")]
            seen += _compared(name, element.get_text(), table)
    assert seen >= 20


def _compared(name: str, text: str, table: pd.DataFrame) -> bool:
    parts = name.split(".")
    if name.endswith(".accuracy") and parts[0] in DATASETS:
        model = name.removeprefix(f"{parts[0]}.").removesuffix(".accuracy")
        rows = paper(table, parts[0])
        assert text == f"{rows.loc[rows['model'] == model, 'accuracy'].iloc[0]:.2f}", name
        return True
    if parts[0] == "best":
        rows = paper(table, parts[1] if parts[1] in DATASETS else "fktg")
        winner = best(rows[rows["family"] != "Traditional"] if parts[1] == "llm" else rows)
        expected = {"model": model_title(winner["model"]), "accuracy": f"{winner['accuracy']:.2f}"}
        if parts[-1] in expected:
            assert text == expected[parts[-1]], name
            return True
    if parts[0] in ("most-energy", "least-energy") and parts[-1] in ("model", "kind"):
        rows = paper(table, "fktg")
        chosen = rows.loc[
            rows["energy_wh"].idxmax() if parts[0] == "most-energy" else rows["energy_wh"].idxmin()
        ]
        assert text == (model_title(chosen["model"]) if parts[-1] == "model" else chosen["energy_kind"]), name
        return True
    return False


@one_book
def test_the_best_model_of_a_dataset_is_the_same_on_every_page(every, table) -> None:
    """Sentences that name one: of figures, tables and alternative texts."""
    winners = {dataset: best(paper(table, dataset)) for dataset in DATASETS}
    words = {name: article(page) for name, page in every.items()}
    sentences: list[tuple[str, str, str, str]] = []
    for name, text in words.items():
        for title, dataset in DATASET_TITLES.items():
            lead = rf"{re.escape(title)}, accuracy against energy\. Published: \d+ models"
            pattern = rf"{lead}, best ({ANY_TITLE}) with accuracy ([\d.]+)\."
            sentences += [(name, dataset, *match) for match in re.findall(pattern, text)]
            pattern = rf"{re.escape(title)}, accuracy below the best model\. Published: best ({ANY_TITLE})()"
            sentences += [(name, dataset, *match) for match in re.findall(pattern, text)]
        for dataset in DATASETS:
            pattern = rf"[Oo]n {dataset} the best accuracy is ([\d.]+) \(({ANY_TITLE})"
            sentences += [(name, dataset, model, value) for value, model in re.findall(pattern, text)]
    assert {dataset for _, dataset, *_ in sentences} == {*DATASETS}
    assert len(sentences) >= 12
    for name, dataset, model, value in sentences:
        winner = winners[dataset]
        assert model == model_title(winner["model"]), f"{name}: best on {dataset}"
        assert value in ("", f"{winner['accuracy']:.2f}"), f"{name}: accuracy of the best on {dataset}"
    for text in (
        words[f"notebooks/analysis/{page}.html"]
        for page in ("figure_1_accuracy_energy", "energy_per_correct")
    ):
        assert f"most accurate model, {model_title(winners['fktg']['model'])}," in text


@one_book
def test_the_most_accurate_language_model_of_a_dataset_is_the_same_on_the_page_of_break_even(
    every, table
) -> None:
    text = article(every["notebooks/analysis/break_even.html"])
    sentences = re.findall(
        rf"LLM: least energy ({ANY_TITLE}) \(([\d.]+)\), most accurate ({ANY_TITLE}) \(([\d.]+)\)", text
    )
    rows = [paper(table, dataset) for dataset in DATASETS]
    llms = [part[part["family"] != "Traditional"] for part in rows]
    expected = set()
    for part in llms:
        least, top = part.loc[part["energy_wh"].idxmin()], best(part)
        expected.add(
            (
                model_title(least["model"]),
                f"{least['accuracy']:.2f}",
                model_title(top["model"]),
                f"{top['accuracy']:.2f}",
            )
        )
    assert sentences
    assert set(sentences) <= expected


_NAMING = ("story", "at_a_glance", "claims", "break_even", "energy_per_correct", "frontier")
"""Pages on which a number right after a model is its accuracy, and not an energy or a gap."""


@one_book
def test_an_accuracy_beside_a_model_is_one_that_the_results_table_has(every, table) -> None:
    """`XGBoost Embedding 0.47`, in brackets or not: anywhere in the words of a page."""
    accuracies: dict[str, set[str]] = {}
    for model, value in zip(table["model"], table["accuracy"], strict=True):
        if pd.notna(value):
            accuracies.setdefault(model_title(model), set()).update((f"{value:.2f}", f"{value:.3f}"))
    pattern = re.compile(
        rf"({ANY_TITLE}) \(?(0\.\d\d\d?)(?![\d%]| ?(?:[µmk]?Wh|m?s|h|W|%|to|times|tokens|±)\b)"
    )
    named = []
    for name, page in every.items():
        if name.rpartition("/")[2].removesuffix(".html") in _NAMING:
            text = re.sub(
                "[Tt]imes the energy of .*? in the median", "", article(page)
            )  # ratios after models
            named += [(name, *pair) for pair in pattern.findall(text)]
    assert len(named) >= 200
    assert [item for item in named if item[2] not in accuracies.get(item[1], set())] == []


@one_book
def test_the_data_behind_every_figure_has_the_accuracies_and_shares_of_the_results_table(book, table) -> None:
    published = table[table["source"] == "published"]
    accuracies = {
        (row["dataset"], row["model"]): row["accuracy"]
        for row in published.dropna(subset=["accuracy"]).to_dict("records")
    }
    shares = {
        (row["dataset"], row["model"], row["gpus"]): row["gpu_wh"]
        / (row["cpu_wh"] + row["gpu_wh"] + row["ram_wh"])
        for row in published.dropna(subset=["gpu_wh"]).to_dict("records")
    }
    compared = compared_shares = 0
    for file in sorted((html(book) / "artefacts").glob("*.csv")):
        data = pd.read_csv(file)
        if not {"dataset", "model"} <= set(data):
            continue
        is_paper = _is_paper(data)
        if "accuracy" in data:
            for row in data[is_paper & data["accuracy"].notna()].to_dict("records"):
                assert row["accuracy"] == accuracies[row["dataset"], row["model"]], (file.name, row["model"])
                compared += 1
        if {"component", "share", "gpus"} <= set(data):
            for row in data[is_paper & (data["component"] == "gpu") & data["share"].notna()].to_dict(
                "records"
            ):
                assert row["share"] == pytest.approx(shares[row["dataset"], row["model"], row["gpus"]])
                compared_shares += 1
        if "gpu_share" in data:
            gpu_shares = data[is_paper & data["gpu_share"].notna()]["gpu_share"]
            assert sorted(gpu_shares) == pytest.approx(sorted(shares.values()))
            compared_shares += len(gpu_shares)
    assert compared > 200
    assert compared_shares == 2 * len(shares)


def _is_paper(data: pd.DataFrame) -> "pd.Series[bool]":
    if "source" in data:
        return data["source"] == "published"
    return data["block"] == "The paper (Capella)" if "block" in data else pd.Series(False, index=data.index)


@one_book
def test_the_share_of_the_gpu_is_the_same_on_every_page(every, table) -> None:
    published = table[table["source"] == "published"]
    shares = (
        published["gpu_wh"] / (published["cpu_wh"] + published["gpu_wh"] + published["ram_wh"])
    ).dropna()
    expected = f"{100 * shares.min():.0f} to {100 * shares.max():.0f} %"
    places = {
        "notebooks/analysis/figure_2_components.html": rf"models whose bars can be read, {expected} of the energy",
        "notebooks/analysis/other_studies.html": rf"the GPU alone is {expected} of the paper's energy",
        "notebooks/analysis/claims.html": rf"The GPU takes {expected} of the energy of {len(shares)} runs",
        "book/beyond.html": rf"the GPU alone is {expected}",
    }
    for name, sentence in places.items():
        assert sentence in article(every[name]), name


@one_book
def test_what_a_mark_says_of_its_accuracy_is_in_the_results_table(every, table) -> None:
    published = table[(table["source"] == "published") & table["accuracy"].notna()]
    accuracies = {
        title: set(published.loc[published["model"] == name, "accuracy"]) for title, name in TITLES.items()
    }
    pattern = re.compile(rf"<b>({ANY_TITLE})</b> \(published, [^)]*\)<br>accuracy ([\d.]+)")
    compared = 0
    for name, page in every.items():
        for script in page.select("script.plotly-figure"):
            for text in _texts(json.loads(script.get_text())):
                for title, value in pattern.findall(markup.unescape(text)):
                    assert float(value) in accuracies[title], f"{name}: {title}"
                    compared += 1
    assert compared > 300


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


@one_book
def test_the_inferred_energy_is_marked_wherever_it_is_drawn_or_named(book, every) -> None:
    """Linear Tf-idf's 0.13 mWh on FKTG comes from the limits of a panel, and is the base of the decades."""
    drawn = 0
    for page in every.values():
        for script in page.select("script.plotly-figure"):
            for trace in json.loads(script.get_text())["data"]:
                hovers, symbols = trace.get("hovertext"), trace.get("marker", {}).get("symbol")
                if not isinstance(hovers, list) or not isinstance(symbols, list):
                    continue
                for hover, symbol in zip(hovers, symbols, strict=True):
                    if "inferred from the limits" in hover:
                        assert symbol.endswith("-open-dot"), hover
                        drawn += 1
    assert drawn >= 2  # Figure 1 and the frontier
    for name in ("index.html", "book/index.html", "book/story.html"):
        file = html(book) / name
        if file.is_file() and "least-energy.energy" in file.read_text(encoding="utf-8"):
            assert re.search(r"\( ?inferred ?\)", article(every[name])), name
    alt = article(every["notebooks/analysis/figure_1_accuracy_energy.html"])
    assert "decades; the least energy, of Linear Tf-idf, is inferred" in alt


def test_a_changed_share_changes_what_the_pages_say() -> None:
    """The rule itself: a test of the book would not see a rule that is the same everywhere and wrong."""
    rows = load_tables().results
    rows = rows[(rows["source"] == "published") & rows["gpu_wh"].notna()]
    assert selection.gpu_shares(rows).round(2).agg(["min", "max"]).to_list() == [0.55, 0.86]
    halved = selection.gpu_shares(rows.assign(gpu_wh=rows["gpu_wh"] / 2))
    assert (halved < selection.gpu_shares(rows)).all()
