"""The page on concurrency: rates of the published runs, what the hardware allows at best, and our runs beside."""

import dataclasses
import itertools
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.figures.beyond import concurrency_panels, llm_runs
from helpers.figures.beyond.concurrency import NO_SWEEP, concurrency, series, swept_rows, with_rates
from helpers.figures.beyond.run_list import runs
from helpers.figures.paper.figure_1 import figure_1
from helpers.results.tables import load_tables, select_sequential
from helpers.study import roofline
from helpers.study.catalogue import study
from tests.conftest import refusal
from tests.figures.test_any_campaign import DEEPSEEK, LLMS, Invented, record_of

H100 = roofline.gpus()["H100"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published values and nothing else."""
    nowhere = tmp_path_factory.mktemp("no-records")
    return load_tables(committed=nowhere, live=nowhere)


@pytest.fixture
def measured(tmp_path):
    """A function that gives the tables with these runs of a campaign, through their records."""

    def load(*chosen):
        for number, run in enumerate(chosen):
            file = tmp_path / "runs" / "invented" / f"run-{number}" / "record.json"
            file.parent.mkdir(parents=True)
            file.write_text(record_of(run, number).model_dump_json(), encoding="utf-8")
        tables = load_tables(committed=tmp_path / "none", live=tmp_path / "runs")
        assert tables.refused == []
        return tables

    return load


def sweep(model, concurrencies=(1, 8, 64), **settings):
    return [Invented(model, concurrency=c, seconds=40 / c**0.5, **settings) for c in concurrencies]


def panel(figure, name):
    return next(item for item in figure.panels if item.name == name)


# What is published


def test_texts_per_second_and_energy_are_those_of_table_b1(published):
    data = concurrency(published).data.set_index("model")
    printed = published.printed["table_b1"].set_index("model")
    assert len(data) == 11
    for model, row in data.iterrows():
        texts = study().datasets["fktg"].split.test
        assert row["texts_per_s"] == pytest.approx(texts / printed.loc[model, "duration_s"])
        assert row["wh_per_text"] == pytest.approx(printed.loc[model, "energy_wh"] / texts)
    assert data["concurrency"].isna().all()  # the paper does not print it


def test_the_finding_names_the_fastest_published_model_with_numbers_of_the_table(published):
    finding = concurrency(published).finding
    assert "Qwen 2.5 7B" in finding
    assert "5.2 texts per second" in finding
    assert re.search(r"5\.58\sWh for 189 texts", finding)


def test_the_numbers_follow_the_published_values(published):
    rows = published.results.copy()
    hit = rows["origin"].str.contains("table_b1") & (rows["model"] == "phi-3.5-mini")
    rows.loc[hit, "duration_s"] = 3.78
    finding = concurrency(dataclasses.replace(published, results=rows)).finding
    assert "Phi 3.5 Mini" in finding
    assert "50 texts per second" in finding


def test_a_sentence_stands_where_no_campaign_varies_concurrency(published):
    figure = concurrency(published)
    assert NO_SWEEP in figure.body
    assert NO_SWEEP in figure.finding
    assert [item.name for item in figure.panels] == ["published-energy", "published-speed"]


def test_reasoning_models_have_no_bound_since_their_tokens_are_not_printed(published):
    data = concurrency(published).data
    assert data[data["family"] == "Deepseek"]["bound_texts_per_s"].isna().all()
    assert data[data["family"] != "Deepseek"]["bound_texts_per_s"].notna().all()


def test_no_published_run_is_better_than_its_bound(published):
    data = concurrency(published).data.dropna(subset=["bound_texts_per_s"])
    assert (data["texts_per_s"] < data["bound_texts_per_s"]).all()
    assert (data["wh_per_text"] > data["bound_wh_per_text"]).all()


# The lower bound


def test_the_bound_of_a_7b_model_is_that_of_a_calculation_by_hand():
    work = roofline.Work(texts=189, parameters=7.6e9, active_parameters=7.6e9, tokens_in=600, tokens_out=22)
    bound = roofline.concurrent_bound(work, H100, 1)
    assert bound.duration_s == pytest.approx(2 * 7.6e9 * 189 * 621 / 989.4e12)
    assert bound.energy_wh == pytest.approx(bound.duration_s * 700 / 3600)
    assert bound.texts_per_s == pytest.approx(189 / bound.duration_s)
    alone = roofline.sequential_bound(work, H100, 1)
    assert alone.duration_s == pytest.approx(189 * (2 * 7.6e9 * 600 / 989.4e12 + 21 * 2 * 7.6e9 / 3.35e12))


def test_a_few_texts_with_long_answers_are_bound_by_reading_the_weights():
    work = roofline.Work(texts=2, parameters=7.6e9, active_parameters=7.6e9, tokens_in=10, tokens_out=1000)
    assert roofline.concurrent_bound(work, H100, 1).duration_s == pytest.approx(1000 * 2 * 7.6e9 / 3.35e12)


@given(
    texts=st.integers(1, 10_000),
    parameters=st.floats(1e8, 1e12),
    share=st.floats(0.05, 1),
    tokens_in=st.integers(1, 10_000),
    tokens_out=st.integers(1, 5_000),
    count=st.integers(1, 16),
)
def test_all_texts_together_are_never_slower_than_sequential_ones(
    texts, parameters, share, tokens_in, tokens_out, count
):
    work = roofline.Work(texts, parameters, share * parameters, tokens_in, tokens_out)
    together, alone = (
        bound(work, H100, count) for bound in (roofline.concurrent_bound, roofline.sequential_bound)
    )
    if share == 1 or texts >= 1 / share:  # a token of a mixture may read less than all experts
        assert together.duration_s <= alone.duration_s * (1 + 1e-9)
    assert together.energy_wh == pytest.approx(together.duration_s * 700 * count / 3600)


@given(count=st.integers(1, 8))
def test_more_gpus_take_less_time_and_the_same_energy(count):
    work = roofline.Work(texts=189, parameters=7e9, active_parameters=7e9)
    one, several = roofline.concurrent_bound(work, H100, 1), roofline.concurrent_bound(work, H100, count)
    assert several.duration_s == pytest.approx(one.duration_s / count)
    assert several.energy_wh == pytest.approx(one.energy_wh)


def test_a_gpu_is_matched_by_its_name_and_an_unlisted_one_has_no_limits():
    assert roofline.find_limits("NVIDIA H100 80GB HBM3") == H100
    assert roofline.find_limits("NVIDIA H200") == roofline.gpus()["H200"]
    assert roofline.find_limits("NVIDIA GeForce RTX 3090 Ti") is None
    assert roofline.find_limits(None) is None


def test_a_mistake_in_the_file_of_gpus_is_one_line(tmp_path):
    file = tmp_path / "gpus.yaml"
    file.write_text("gpus: {H100: {title: x, bf16_tflops: -1}}", encoding="utf-8")
    assert "bf16_tflops" in refusal(roofline.load_gpus, file)


# Our runs


def test_a_campaign_that_varies_concurrency_gets_three_panels_and_a_table(measured):
    figure = concurrency(measured(*sweep("qwen-2.5-7b")))
    assert [item.name for item in figure.panels[2:]] == ["news-energy", "news-speed", "news-accuracy"]
    line = panel(figure, "news-speed").figure.data[0]
    assert list(line.x) == [1, 8, 64]
    assert list(line.y) == sorted(line.y)
    assert NO_SWEEP not in figure.body
    assert "8.0 times as many texts per second" in figure.finding
    assert "accuracy of" in figure.finding


def test_runs_that_differ_in_more_than_concurrency_are_no_series(measured):
    tables = measured(
        Invented("qwen-2.5-7b", concurrency=1),
        Invented("qwen-2.5-7b", concurrency=8, output_mode="constrained"),
    )
    assert NO_SWEEP in concurrency(tables).body


def test_each_series_is_named_by_what_distinguishes_it_from_the_others(measured):
    tables = measured(
        *sweep("qwen-2.5-7b"),
        *sweep("qwen-2.5-7b", gpus=2),
        *sweep("qwen-2.5-7b", gpus=0, dummy=True),
        *sweep("qwen-2.5-7b", gpus=2, shots=4),
    )
    rows = swept_rows(with_rates(tables.results))
    assert [name for name, _ in series(rows)] == [
        "Qwen 2.5 7B, 1 GPU",
        "Qwen 2.5 7B, 2 GPUs",
        "Qwen 2.5 7B, CPU, dummy weights",
        "Qwen 2.5 7B, 2 GPUs, en, 4 examples",
    ]


def test_dummy_weights_have_energy_and_speed_but_no_accuracy(measured):
    figure = concurrency(measured(*sweep("qwen-2.5-7b", dummy=True)))
    assert len(panel(figure, "news-energy").figure.data) == 2  # the line and its label
    assert len(panel(figure, "news-accuracy").figure.data) == 0
    assert "dummy weights" in panel(figure, "news-accuracy").note
    assert "accuracy of" not in figure.finding


def test_runs_without_energy_are_named_and_have_their_speed(measured):
    figure = concurrency(measured(*sweep("qwen-2.5-7b", energy="none", gpus=0)))
    assert "No energy, so not drawn: Qwen 2.5 7B" in panel(figure, "news-energy").note
    assert len(panel(figure, "news-speed").figure.data) == 2
    assert "of the energy" not in figure.finding


def test_a_series_that_does_not_start_with_one_text_is_shown_and_not_compared(measured):
    figure = concurrency(measured(*sweep("qwen-2.5-7b", (8, 64))))
    assert "None of our series starts with one text at a time" in figure.finding
    assert list(panel(figure, "news-speed").figure.data[0].x) == [8, 64]


def test_labels_of_lines_that_end_together_stand_apart():
    heights = concurrency_panels._spread([0.5, 0.5, 0.51, 0.9], concurrency_panels.ACCURACY, (0.0, 1.0))
    ordered = sorted(heights)
    gap = concurrency_panels._LABEL_PX / concurrency_panels._HEIGHT_PX
    assert min(b - a for a, b in itertools.pairwise(ordered)) >= gap - 1e-9
    assert max(heights) <= 1.0


# The other pages


def test_other_figures_show_one_text_at_a_time_in_the_papers_way_only(measured):
    tables = measured(
        *sweep("qwen-2.5-7b"),
        Invented("llama-3.1-8b", dummy=True),
        Invented("llama-3.1-70b", output_mode="constrained"),
        Invented("phi-3.5-mini", shots=4),
        Invented("linear-bow", gpus=0),
    )
    kept = select_sequential(tables.results)
    own = kept[kept["source"] != "published"]
    assert sorted(own["model"]) == ["linear-bow", "qwen-2.5-7b"]
    assert (kept["source"] == "published").sum() == (tables.results["source"] == "published").sum()
    data = figure_1(tables).data
    assert sorted(data[data["source"] == "invented"]["model"]) == ["linear-bow", "qwen-2.5-7b"]


def test_the_hover_of_a_language_model_has_tokens_and_parse_failures(measured):
    tables = measured(Invented("qwen-2.5-7b", "fktg", "capella", failures=(("off-list", 12),)))
    hover = " ".join(
        text for trace in figure_1(tables).panels[0].figure.data for text in trace.hovertext or ()
    )
    assert "tokens per text: 600 in, 22 out" in hover
    assert "answers without a category: 12 of" in hover
    assert "embedding owner/name" not in hover


def test_the_list_of_runs_shows_what_only_language_models_have(measured):
    tables = measured(
        Invented("qwen-2.5-7b", gpus=4, nodes=2, failures=(("off-list", 3), ("truncated", 1))),
        Invented(DEEPSEEK[0], dummy=True),
        Invented("linear-bow", gpus=0),
    )
    figure = runs(tables)
    data = figure.data.set_index("model")
    assert data.loc["qwen-2.5-7b", ["family", "gpus", "nodes", "parse_failures"]].to_list() == [
        "Other LLM",
        4,
        2,
        4,
    ]
    assert data.loc[DEEPSEEK[0], "weights"] == "dummy"
    assert pd.isna(data.loc[DEEPSEEK[0], "parse_failures"])
    assert "off-list 30, truncated 10" in figure.body  # over ten splits
    assert "vllm 0.32.0" in figure.body
    assert "dummy: answers are meaningless" in figure.body
    assert "2 of them of language models" in figure.finding


def test_the_list_of_runs_says_that_no_language_model_was_measured(measured):
    assert llm_runs.NONE in runs(measured(Invented("linear-bow", gpus=0))).body


def test_every_language_model_of_the_catalogue_has_a_lower_bound():
    assert {roofline.work_for(study().models[name], 189).tokens_in for name in LLMS} == {roofline.TOKENS_IN}
