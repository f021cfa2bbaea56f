"""Models that are not the paper's: they stand beside its figures and tables, marked, and change no sentence about it."""

from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from helpers.figures.beyond.break_even import language_models
from helpers.figures.beyond.carbon import carbon
from helpers.figures.beyond.energy_per_correct import energy_per_correct
from helpers.figures.beyond.energy_per_token import COLUMNS
from helpers.figures.beyond.pareto_frontier import frontier
from helpers.figures.paper import figure_1, figure_7
from helpers.figures.paper.figure_3 import figure_3
from helpers.figures.paper.tables_b4_b5 import table_b4, table_b5
from helpers.figures.plots.measured_runs import RING, reservations
from helpers.results.compare import compare
from helpers.results.tables import Tables, load_tables, select_sequential
from helpers.results.weights import run_title
from helpers.study.carbon_intensity import grids
from tests.figures.test_any_campaign import Invented, record_of
from tests.support.figure_functions import figure_functions

SMALL, LARGE, FAILING = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m"
STORED = "dequantised Q4_K_M"
OWN = [
    Invented(SMALL, gpus=0, splits=3, correct=105, failures=(("bad-format", 3),), seconds=100.0),
    Invented(LARGE, gpus=0, splits=3, correct=119, seconds=300.0),
    Invented(
        FAILING, gpus=0, splits=1, correct=0, failures=(("truncated", 145), ("bad-format", 55)), seconds=0.002
    ),
    Invented("linear-tfidf", gpus=0, correct=170, seconds=0.004),
]


def tables_with(folder: Path, runs: list[Invented], weights: dict[str, str] | None = None) -> Tables:
    """Return the published values and invented runs of the campaign `own`, with the weights by model."""
    for number, run in enumerate(runs):
        file = folder / "own" / f"run-{number}" / "record.json"
        file.parent.mkdir(parents=True)
        record = record_of(run, number, "own")
        if run.failures and run.correct is not None:  # `record_of` takes half of what was read for right
            splits = [item.model_copy(update={"correct": run.correct}) for item in record.splits]
            record = record.model_copy(update={"splits": splits})
        file.write_text(record.model_dump_json(), encoding="utf-8")
    loaded = load_tables(committed=folder / "none", live=folder)
    assert loaded.refused == []
    stored = weights or {}

    def with_weights(table):
        given = [
            stored.get(model, weights)
            for model, weights in zip(table["model"], table["weights"], strict=True)
        ]
        return table.assign(weights=given)

    return replace(
        loaded, results=with_weights(loaded.results), split_results=with_weights(loaded.split_results)
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    weights = dict.fromkeys((SMALL, LARGE, FAILING), STORED)
    return tables_with(tmp_path_factory.mktemp("runs"), OWN, weights)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("none")
    return load_tables(committed=folder, live=folder)


def remarks(body: str) -> list[str]:
    items = body.split('<ul class="remarks">')[1]
    return [unescape(item.split("</li>")[0]) for item in items.split("</ul>")[0].split("<li>")[1:]]


def test_models_outside_the_paper_change_no_sentence_of_its_tables(own, published):
    for table in (table_b4, table_b5):
        with_own, without = table(own), table(published)
        assert with_own.finding == without.finding
        common = set(remarks(without.body))
        added = [item for item in remarks(with_own.body) if item not in common]
        assert all("Linear Tf-idf" in item or "measured accuracies differ" in item for item in added), added


def test_rows_of_other_models_are_marked_and_a_column_has_one_number_format(own):
    body = unescape(table_b4(own).body)
    assert f"Qwen2.5-Coder-0.5B-Instruct (not in the paper, {STORED})" in body
    assert "SmolLM2-135M-Instruct (not in the paper" in body
    assert '<td class="number">0.000</td>' in body
    assert '<td class="number">0.525</td>' in body
    assert '<td class="number">0</td>' not in body
    assert "Linear Tf-idf</td>" in body


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (Invented("qwen-2.5-7b", correct=20, splits=10), "All of its answers were read as labels."),
        (
            Invented("qwen-2.5-7b", correct=20, splits=10, failures=(("off-list", 20),)),
            "Of 200 answers, 20.0 could not be read as labels.",
        ),
    ],
)
def test_below_chance_a_measured_run_says_how_many_answers_were_read(run, says, tmp_path):
    body = unescape(table_b4(tables_with(tmp_path, [run])).body)
    (sentence,) = [item for item in remarks(body) if "has an accuracy of 0.10 on news (own)" in item]
    assert sentence.endswith(says)
    (of_the_paper,) = [item for item in remarks(body) if "has an accuracy of 0.01 on news, below" in item]
    assert of_the_paper.endswith("The paper does not say how many of its answers could be read as labels.")
    assert "not read as labels" not in body.replace(says, "")


def marks(panel) -> Iterator[tuple[str, float, float, str]]:
    for trace in panel.figure.data:
        if trace.hovertext is not None:
            for hover, x, y in zip(trace.hovertext, trace.x, trace.y, strict=True):
                yield hover.partition("</b>")[0].removeprefix("<b>"), x, y, hover


def test_figure_1_has_a_panel_for_each_dataset_of_ones_own(tmp_path, published):
    mine = Invented("linear-tfidf", gpus=0, dataset="tiny", correct=170, seconds=0.004)
    drawn = figure_1.figure_1(tables_with(tmp_path, [mine]))
    without = figure_1.figure_1(published)
    assert drawn.finding == without.finding
    assert len(drawn.panels) == len(without.panels) + 1
    own = drawn.panels[-1]
    assert [name for name, *_ in marks(own)] == ["Linear Tf-idf"]


@pytest.mark.parametrize("function", [figure_1.figure_1, figure_7.figure_7])
def test_figures_1_and_7_show_every_measured_language_model_with_its_weights(function, own):
    (panel,) = [item for item in function(own).panels if item.name == "news"]
    drawn = {name: (x, y, hover) for name, x, y, hover in marks(panel)}
    for title, accuracy in (
        ("Qwen2.5-Coder-0.5B-Instruct", 0.525),
        ("Qwen2.5-Coder-1.5B-Instruct", 0.595),
        ("SmolLM2-135M-Instruct", 0.0),
    ):
        x, _, hover = drawn[f"{title} ({STORED})"]
        assert x == pytest.approx(accuracy)
        assert "campaign own" in hover
        assert STORED in hover
        assert f"{title} ({STORED}) {accuracy:.2f} (own)" in panel.alt
        assert panel.figure.layout.xaxis.range[0] <= accuracy
    (ring,) = [trace for trace in panel.figure.data if trace.name == RING]
    assert sorted(ring.x) == pytest.approx([0.0, 0.525, 0.595])
    assert (
        f"In a ring: quantised weights, none of the paper's models: Qwen2.5-Coder-0.5B-Instruct ({STORED})"
        in panel.note
    )
    labels = " ".join(text for trace in panel.figure.data if trace.text is not None for text in trace.text)
    assert "SmolLM2-135M" in labels


def test_the_other_panels_keep_the_axes_of_the_papers_models(own):
    lefts = {panel.name: panel.figure.layout.xaxis.range[0] for panel in figure_7.figure_7(own).panels}
    assert lefts.pop("news") == 0.0
    assert len(set(lefts.values())) == 1
    assert min(lefts.values()) > 0


def test_of_several_runs_of_a_campaign_one_mark_is_drawn(tmp_path):
    runs = [
        Invented(SMALL, gpus=0, splits=1, correct=90),
        Invented(SMALL, gpus=0, splits=5, correct=110),
        Invented(SMALL, gpus=0, splits=10, correct=120, language="de"),
    ]
    (panel,) = [item for item in figure_7.figure_7(tables_with(tmp_path, runs)).panels if item.name == "news"]
    assert [x for name, x, *_ in marks(panel) if name.startswith("Qwen2.5-Coder")] == pytest.approx([0.55])


def test_quantised_weights_of_a_model_of_the_paper_are_never_that_model(tmp_path):
    run = Invented("qwen-2.5-7b", gpus=0, correct=160)
    own_weights = tables_with(tmp_path / "a", [run])
    quantised = tables_with(tmp_path / "b", [run], {"qwen-2.5-7b": "Q4_K_M"})
    assert len(select_sequential(own_weights.results).query("source == 'own'")) == 1
    assert select_sequential(quantised.results).query("source == 'own'").empty
    checkpoint = {"checkpoint": "Qwen/Qwen2-7B-Instruct"}
    compared = [
        compare(tables.results.assign(**checkpoint), "own")["comparable"].tolist()
        for tables in (own_weights, quantised)
    ]
    assert compared == [[True], [False]]


def test_the_frontier_recommends_no_model_at_or_below_chance(own):
    (panel,) = [item for item in frontier(own).panels if item.name == "news-measured"]
    said, _, left_out = panel.alt.partition("Not counted")
    assert "SmolLM2" not in said.partition("Measured language models")[0]
    assert "Linear Tf-idf" in said
    assert "SmolLM2-135M-Instruct" in left_out
    assert "best guess" in left_out
    assert any(name.startswith("SmolLM2") for name, *_ in marks(panel))  # it keeps its mark


def test_energy_per_token_is_of_measured_language_models_alone(own):
    page = energy_per_correct(own)
    rows = page.data[page.data["source"] == "own"].set_index("model")
    row = rows.loc[SMALL]
    # 600 tokens in and 22 out a text (`record_of`), 200 texts
    assert row["j_per_output_token"] == pytest.approx(3600 * row["energy_wh"] / (22 * 200))
    assert row["j_per_token"] == pytest.approx(3600 * row["energy_wh"] / (622 * 200))
    intensity = grids()["germany"].gco2e_per_kwh
    of_a_pass = row["energy_wh"] / 1000 * intensity
    assert row["g_co2e_per_million_tokens"] == pytest.approx(1e6 * of_a_pass / (622 * 200))
    columns = list(COLUMNS)
    assert rows.loc["linear-tfidf", columns].isna().all()
    assert page.data.loc[page.data["source"] == "published", columns].isna().all(axis=None)
    table = unescape(page.body).partition("energy of one pass divided by its tokens")[2]
    assert f"Qwen2.5-Coder-0.5B-Instruct ({STORED})" in table
    assert "partly-measured" in table or "measured" in table
    assert "Linear" not in table


@pytest.mark.parametrize("function", [carbon, energy_per_correct])
def test_pages_with_a_row_per_model_give_quantised_weights_a_row_of_their_own(function, tmp_path):
    runs = [Invented(SMALL, gpus=0, correct=110), Invented(LARGE, gpus=0, correct=110)]
    tables = tables_with(tmp_path, runs, {SMALL: "Q4_K_M"})
    (panel,) = [item for item in function(tables).panels if item.name in ("news", "measured-news")]
    rows = list(panel.figure.layout.yaxis.categoryarray)
    assert "Qwen2.5-Coder-0.5B-Instruct (Q4_K_M)" in rows
    assert "Qwen2.5-Coder-0.5B-Instruct" not in rows
    assert "Qwen2.5-Coder-1.5B-Instruct" in rows
    assert {y for trace in panel.figure.data for y in trace.y} <= set(rows)
    assert "In a ring: quantised weights" in panel.note


@pytest.mark.parametrize("function", figure_functions(), ids=lambda function: function.__name__)
def test_every_page_can_be_drawn_with_quantised_weights(function, own):
    assert function(own).finding


def test_training_is_set_against_no_language_model_that_only_guesses(published):
    rows = published.results.copy()
    guess = (rows["dataset"] == "news") & (rows["model"] == "phi-3.5-mini")
    assert language_models(rows).query("dataset == 'news'")["model"].iloc[0] == "phi-3.5-mini"
    rows.loc[guess, "accuracy"] = 0.25
    assert "phi-3.5-mini" not in set(language_models(rows).query("dataset == 'news'")["model"])


def test_figure_3_says_nothing_of_models_outside_the_paper(tmp_path):
    ours = [Invented(SMALL, gpus=gpus, seconds=40.0 / gpus) for gpus in (1, 2)]
    theirs = [Invented("qwen-2.5-7b", gpus=gpus, seconds=40.0 / gpus) for gpus in (1, 2)]
    assert "In our runs" not in figure_3(tables_with(tmp_path / "a", ours)).note
    both = figure_3(tables_with(tmp_path / "b", [*ours, *theirs]))
    assert "In our runs of the paper's models more GPUs shorten the run in 1 of 1 steps" in both.note


def test_runs_that_cannot_be_ranked_or_read_cut_texts_are_named_where_they_are_drawn(own):
    runs = own.results[own.results["source"] != "published"].head(3)
    runs = runs.assign(
        splits=[10, 1, 10],
        checks_failed=["repeats_agree", "repeats_agree", "texts_read_whole"],
        weights=None,  # no ring, which names every run
    )
    scattered, once, cut = (run_title(row) for _, row in runs.iterrows())
    said = reservations(runs)
    assert f" Durations vary too much between splits to rank close runs: {scattered}." in said
    assert f" The embedding read only the beginning of some texts: {cut}." in said
    assert once not in said
    assert reservations(runs.assign(checks_failed="")) == ""
