"""Could the printed durations be one text at a time? The bound by memory bandwidth, and the page that shows it."""

import dataclasses
import html
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.book.quoted_numbers import numbers
from helpers.core import paths
from helpers.figures.beyond.one_text_at_a_time import one_text_at_a_time
from helpers.figures.paper.figure_5 import figure_5
from helpers.figures.paper.table_b3 import table_b3
from helpers.models.llm import prompts
from helpers.results.tables import load_tables
from helpers.statistics import bandwidth_bound
from helpers.statistics.bandwidth_bound import (
    ANSWER,
    ANSWER_TOKENS,
    IMPOSSIBLE,
    PHI_ANSWER_TOKENS,
    POSSIBLE,
    SHORTENED,
    AnswerTokens,
)
from helpers.study import roofline
from helpers.study.catalogue import study
from tests.figures.test_any_campaign import LLMS

A30, V100, H100 = (roofline.gpus()[card] for card in ("A30", "V100", "H100"))
SMALL = ["llama-3.1-8b", "qwen-2.5-7b", "phi-3.5-mini"]
DENSE = [name for name in LLMS if study().models[name].active_parameters_b is None]
PIECES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""How the tokenizers of Llama 3.1 and Qwen cut a text before they look for tokens; no token goes over a cut."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    nowhere = tmp_path_factory.mktemp("no-records")
    return load_tables(committed=nowhere, live=nowhere)


@pytest.fixture(scope="module")
def runs(tables):
    return bandwidth_bound.bounds(bandwidth_bound.published_runs(tables.results))


@pytest.fixture(scope="module")
def artefact(tables):
    return one_text_at_a_time(tables)


def of(runs, model, card, gpus=1, nodes=1):
    rows = runs[
        (runs["model"] == model)
        & (runs["gpu_model"] == card)
        & (runs["gpus"] == gpus)
        & (runs["nodes"] == nodes)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def changed(tables, column, value, model, machine):
    results = tables.results.copy()
    hit = (
        (results["source"] == "published")
        & (results["model"] == model)
        & (results["machine"] == machine)
        & results["duration_s"].notna()
    )
    assert hit.any()
    results.loc[hit, column] = value
    return dataclasses.replace(tables, results=results)


def words(fragment):
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", fragment)).split())


# The answer


def test_the_answer_is_what_dspy_asks_for():
    dspy = pytest.importorskip("dspy")
    signature = prompts.signature("Classify the text.")
    written = dspy.ChatAdapter().format_assistant_message_content(signature, {"category": "geoWK"})
    assert written.strip() == ANSWER.format(category="geoWK")


def test_dspy_reads_a_category_without_the_closing_marker_and_none_without_the_opening_one():
    dspy = pytest.importorskip("dspy")
    signature, adapter = prompts.signature("Classify the text."), dspy.ChatAdapter()
    assert adapter.parse(signature, "[[ ## category ## ]]\ngeoWK") == {"category": "geoWK"}
    with pytest.raises(Exception, match="geoWK"):
        adapter.parse(signature, "geoWK")


def test_no_tokenizer_of_that_kind_makes_fewer_tokens_of_the_shortest_answers():
    tokenizers = pytest.importorskip("tokenizers")
    cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PIECES), "isolated")
    labels = study().datasets["fktg"].labels
    end = 1
    full = [len(cut.pre_tokenize_str(ANSWER.format(category=label))) + end for label in labels]
    opened = [
        len(cut.pre_tokenize_str(ANSWER.format(category=label).partition("\n\n")[0])) + end
        for label in labels
    ]
    # A piece is one token or more: `geoWK` is one piece and two tokens.
    assert (min(opened), min(full)) == (7, 13)
    assert ANSWER_TOKENS.readable - min(opened) == ANSWER_TOKENS.complete - min(full) == 1
    assert max(full) <= ANSWER_TOKENS.longest


def test_phi_has_a_tokenizer_of_its_own_and_jamba_the_fewest_tokens():
    assert bandwidth_bound.answer_tokens("phi-3.5-moe") == PHI_ANSWER_TOKENS == AnswerTokens(11, 19, 34)
    assert bandwidth_bound.answer_tokens("jamba-mini-1.5") == ANSWER_TOKENS == AnswerTokens(8, 14, 28)


# The bound


@pytest.mark.parametrize(
    ("model", "card", "tokens", "verdict"),
    [
        ("llama-3.1-8b", "A30", 6, IMPOSSIBLE),
        ("qwen-2.5-7b", "A30", 6, IMPOSSIBLE),
        ("phi-3.5-mini", "A30", 12, SHORTENED),
        ("llama-3.1-8b", "V100", 8, SHORTENED),
        ("qwen-2.5-7b", "V100", 7, IMPOSSIBLE),
        ("phi-3.5-mini", "V100", 15, SHORTENED),
        ("llama-3.1-8b", "H100", 40, POSSIBLE),
        ("ds-llama-8b", "A30", 372, POSSIBLE),
    ],
)
def test_the_tokens_that_fit_are_those_of_a_calculation_by_hand(runs, model, card, tokens, verdict):
    row = of(runs, model, card)
    assert row["text_s"] == pytest.approx(row["duration_s"] / 189, rel=1e-3)
    by_hand = row["duration_s"] / 189 * roofline.gpus()[card].bandwidth_tb_per_s * 1e12
    assert tokens == math.floor(by_hand / (2e9 * study().models[model].parameters_b)) == row["most_tokens"]
    assert row["verdict"] == verdict


def test_16_gb_of_weights_take_17_ms_on_an_a30(runs):
    row = of(runs, "llama-3.1-8b", "A30")
    assert row["gb_per_token"] == pytest.approx(16.06)
    assert 1e3 * row["token_s"] == pytest.approx(17.2, abs=0.05)
    assert 1e3 * row["text_s"] == pytest.approx(110, abs=0.1)


@pytest.mark.parametrize(
    ("model", "bound_s", "shortest_s"),
    [("llama-3.1-8b", 79.4, 45.5), ("qwen-2.5-7b", 75.3, 43.2), ("phi-3.5-mini", 37.8, 29.4)],
)
def test_lower_bounds_on_an_a30_with_the_assumed_tokens_and_with_the_shortest_answer(
    runs, model, bound_s, shortest_s
):
    work = roofline.work_for(study().models[model], 189)
    assert (work.tokens_in, work.tokens_out) == (600, 22)
    assert roofline.sequential_bound(work, A30, 1).duration_s == pytest.approx(bound_s, abs=0.05)
    assert of(runs, model, "A30")["least_duration_s"] == pytest.approx(shortest_s, abs=0.05)
    assert of(runs, model, "A30")["duration_s"] < shortest_s < bound_s


def test_every_published_run_with_a_duration_is_there_once(runs, tables):
    published = tables.results[(tables.results["source"] == "published")]
    llms = published[(published["family"] != "Traditional") & published["duration_s"].notna()]
    assert sorted(runs["origin"]) == sorted(llms["origin"])
    counts = runs.groupby("machine").size().to_dict()
    assert counts == {"capella": 32, "paula": 7, "clara": 7}
    assert set(runs.loc[runs["machine"] != "capella", "gpus_origin"]) == {"inferred"}


def test_one_text_at_a_time_fits_all_of_capella_and_all_other_runs_but_six(runs):
    lacking = runs[runs["verdict"] != POSSIBLE]
    assert sorted(lacking["model"].unique()) == sorted(SMALL)
    assert sorted(lacking["gpu_model"].unique()) == ["A30", "V100"]
    assert len(lacking) == 6
    assert (runs.loc[runs["family"] == "Deepseek", "verdict"] == POSSIBLE).all()


def test_a_mixture_of_experts_reads_the_experts_of_a_token_only(runs):
    assert bandwidth_bound.bytes_per_token("phi-3.5-moe") == pytest.approx(2 * 6.6e9)
    assert bandwidth_bound.bytes_per_token("jamba-mini-1.5") == pytest.approx(2 * 12.0e9)
    assert of(runs, "phi-3.5-moe", "V100", gpus=4)["most_tokens"] == 46


def test_two_nodes_read_one_after_the_other(runs):
    one, two = (of(runs, "llama-3.1-70b", "H100", gpus=2, nodes=nodes) for nodes in (1, 2))
    assert two["token_s"] == pytest.approx(2 * one["token_s"])
    assert (one["most_tokens"], two["most_tokens"]) == (40, 38)


def test_the_verdict_on_capella_does_not_hang_on_the_rate_of_its_cards(runs):
    capella = runs[runs["machine"] == "capella"]
    least = bandwidth_bound.least_bandwidth_tb_per_s(capella)
    assert least == pytest.approx(1.25, abs=0.01)
    # At that rate all runs are just possible, and below it one no longer.
    for factor, verdicts in ((1.0001, {POSSIBLE}), (0.9999, {POSSIBLE, SHORTENED})):
        gpu = H100.model_copy(update={"bandwidth_tb_per_s": least * factor})
        tokens = [
            bandwidth_bound.most_tokens(
                row["text_s"], bandwidth_bound.token_s(row["model"], gpu, row["gpus"] // row["nodes"])
            )
            for _, row in capella.iterrows()
        ]
        allowed = {
            bandwidth_bound.verdict(count, bandwidth_bound.answer_tokens(model))
            for count, model in zip(tokens, capella["model"], strict=True)
        }
        assert allowed == verdicts


@pytest.mark.parametrize(
    ("model", "card", "tokens"),
    [
        ("llama-3.1-8b", "A30", {1: 6, 2: 12, 4: 25, 8: 51}),
        ("llama-3.1-8b", "V100", {1: 8, 2: 16, 4: 32}),  # four on a node
        ("qwen-2.5-7b", "A30", {1: 6, 2: 12, 4: 25}),  # 28 heads cannot be split by eight
        ("phi-3.5-moe", "A30", {4: 116, 8: 232}),  # 84 GB of weights
        ("ds-qwen-32b", "V100", {4: 637}),
    ],
)
def test_each_number_of_gpus_that_may_have_been_has_its_tokens(runs, model, card, tokens):
    rows = runs[(runs["model"] == model) & (runs["gpu_model"] == card)]
    bounded = bandwidth_bound.by_gpus(rows)
    assert dict(zip(bounded["gpus"], bounded["most_tokens"], strict=True)) == tokens


def test_a_cache_over_the_ten_halves_leaves_a_fifth_of_the_requests():
    assert bandwidth_bound.cached_share(378, 189, 10) == pytest.approx(0.2, abs=0.0005)
    assert bandwidth_bound.cached_share(378, 189, 1) == pytest.approx(1)
    assert bandwidth_bound.cached_share(10, 10, 4) == pytest.approx(1 / 4)


@given(
    model=st.sampled_from(sorted(LLMS)),
    text_s=st.floats(1e-3, 1e3),
    gpus=st.integers(1, 8),
    card=st.sampled_from([A30, V100, H100]),
)
def test_more_gpus_leave_more_tokens_and_a_lower_bound(model, text_s, gpus, card):
    one, more = (bandwidth_bound.token_s(model, card, count) for count in (gpus, gpus + 1))
    assert more < one
    assert bandwidth_bound.most_tokens(text_s, more) >= bandwidth_bound.most_tokens(text_s, one)
    assert bandwidth_bound.least_duration_s(189, 14, more) < bandwidth_bound.least_duration_s(189, 14, one)


@given(tokens=st.integers(0, 5000), more=st.integers(0, 100), model=st.sampled_from(sorted(LLMS)))
def test_the_bound_grows_with_the_tokens_and_the_verdict_never_falls_with_them(tokens, more, model):
    each_s = bandwidth_bound.token_s(model, A30, 1)
    bounds_s = [bandwidth_bound.least_duration_s(189, count, each_s) for count in (tokens, tokens + more)]
    assert bounds_s == sorted(bounds_s)
    ranks = [
        bandwidth_bound.VERDICTS.index(bandwidth_bound.verdict(count, bandwidth_bound.answer_tokens(model)))
        for count in (tokens, tokens + more)
    ]
    assert ranks == sorted(ranks, reverse=True)


@given(
    model=st.sampled_from(DENSE),
    tokens_in=st.integers(1, 3000),
    tokens_out=st.integers(1, 500),
    gpus=st.integers(1, 8),
)
def test_it_is_never_stricter_than_the_bound_that_counts_the_prompt(model, tokens_in, tokens_out, gpus):
    work = roofline.work_for(study().models[model], 189, tokens_in, tokens_out)
    each_s = bandwidth_bound.token_s(model, A30, gpus)
    generous_s = bandwidth_bound.least_duration_s(189, tokens_out, each_s)
    assert generous_s <= roofline.sequential_bound(work, A30, gpus).duration_s * (1 + 1e-9)


def test_a_traditional_model_and_an_unknown_card_are_refused(runs):
    with pytest.raises(TypeError, match="linear-bow"):
        bandwidth_bound.token_s("linear-bow", A30, 1)
    with pytest.raises(KeyError, match="A100"):
        bandwidth_bound.bounds(
            runs.head(1)[["model", "gpus", "nodes", "texts", "duration_s"]].assign(gpu_model="A100")
        )


# The page


def test_the_finding_says_how_many_and_names_the_tightest(artefact):
    assert artefact.finding == (
        "One text at a time is possible for all 32 published durations on Capella. But 6 of 14 durations on Paula and Clara "
        "leave no time for a full answer, with the numbers of cards that we infer; 3 of these 6 leave no time for any answer "
        "that DSPy reads. Llama 3.1 8B on one A30 (inferred) has time for at most 6 tokens per text; the shortest answer in "
        "DSPy's template has 14, and 8 without its closing marker."
    )
    assert artefact.panels[0].alt.startswith(artefact.finding)


def test_the_finding_follows_the_published_values(tables):
    slower = tables
    for machine in ("paula", "clara"):
        for model in SMALL:
            slower = changed(slower, "duration_s", 100.0, model, machine)
    shown = one_text_at_a_time(slower)
    assert shown.finding.endswith("is possible for all 46 published durations on Capella, Paula and Clara.")
    assert shown.body == ""
    faster = one_text_at_a_time(changed(tables, "duration_s", 1.0, "qwen-2.5-72b", "capella"))
    assert (
        "With one text at a time, 9 of 46 durations on Capella, Paula and Clara leave no time for a full answer"
        in faster.finding
    )


def test_each_run_is_a_hollow_mark_at_its_tokens_and_each_model_has_its_bar(artefact, runs):
    template, *cards = artefact.panels[0].figure.data
    assert [trace.name for trace in cards] == ["A30", "V100", "H100"]
    assert sum(len(trace.x) for trace in cards) == len(runs) == 46
    assert all(symbol.endswith("-open") for trace in cards for symbol in trace.marker.symbol)
    for trace in cards:
        own = runs[runs["gpu_model"] == trace.name]
        assert list(trace.x) == list(own["most_tokens"])
    spans = set(zip(template.x[0::3], template.x[1::3], strict=True))
    assert spans == {(8, 14), (11, 19)}


def test_the_tables_have_the_cards_side_by_side_and_other_numbers_of_cards(artefact):
    text = words(artefact.body)
    assert "Llama 3.1 8B A30 not in the template 6 14 0.110 16.1 20.78 45.5" in text
    assert "Llama 3.1 8B H100 possible 40 14 0.195 16.1 36.88 12.7" in text
    assert "Llama 3.1 8B A30 6 12 25 51 14 4 cards" in text
    assert "Llama 3.1 8B 79.4 s, Qwen 2.5 7B 75.3 s and Phi 3.5 Mini 37.8 s" in text


def test_reasons_are_left_open_with_their_numbers(artefact):
    text = words(artefact.body)
    assert "3 texts at a time are enough" in text
    assert "about 20 % of the requests would reach the model, with time for 31 tokens or more" in text
    assert (
        "on the A30 497 to 528 W, where the other runs draw 523 W with 1, 678 W with 2 and 824 to 948 W with 4"
        in text
    )
    assert "10 for Llama 3.1 8B, 9 for Qwen 2.5 7B and 19 for Phi 3.5 Mini" in text
    assert "we do not know which of these is the reason" in text
    assert "38 tokens against 40 (Llama 3.1 70B) and 37 tokens against 40 (Qwen 2.5 72B)" in text
    assert not re.search(r"does not hold|wrong|error|impossible", text)


def test_the_note_says_whose_rate_the_h100_has(artefact):
    assert "card with 80 GB; Capella's has 94 GB" in artefact.note
    assert "From 1.3 TB/s on" in artefact.note  # 1.249: rounded down, it would not do


def test_the_data_have_the_runs_with_their_origin(artefact):
    assert len(artefact.data) == 46
    sources = artefact.sources()
    assert {
        "data/study/gpus.yaml",
        "data/published/table_b3.csv",
        "data/published/inferred_b3_gpu_counts.csv",
    } <= set(sources)


def test_figure_5_and_table_b3_say_that_the_work_may_differ(tables):
    for made in (figure_5(tables), table_b3(tables)):
        assert "For short answers, it is open whether the cards did the same work" in made.note
        assert (
            "that we infer and one text at a time, 3 leave no time for any answer that DSPy reads and 3 more only"
            in made.note
        )
    slower = tables
    for machine in ("paula", "clara"):
        for model in SMALL:
            slower = changed(slower, "duration_s", 100.0, model, machine)
    assert "same work" not in figure_5(slower).note


def test_the_story_shows_the_number_of_durations_that_are_too_short(tables):
    quoted = numbers(tables)
    assert [quoted[f"bound.{name}"].text for name in ("lacking", "impossible", "shortened")] == [
        "6",
        "3",
        "3",
    ]


# What other pages say of one text at a time


@pytest.mark.parametrize(
    "page",
    [
        "book/limits.md",
        "book/methods.md",
        "book/story.md",
        "book/errata.md",
        "notebooks/analysis/concurrency.ipynb",
        "notebooks/analysis/frontier.ipynb",
        "notebooks/analysis/figure_5_gpu_models.ipynb",
        "notebooks/analysis/table_b3.ipynb",
    ],
)
def test_pages_that_speak_of_it_lead_to_the_page(page):
    assert "one_text_at_a_time.ipynb" in (paths.ROOT / page).read_text(encoding="utf-8")


def test_no_page_calls_one_text_at_a_time_the_papers_way():
    pages = [*(paths.ROOT / "book").glob("*.md"), *(paths.NOTEBOOKS / "analysis").glob("*.ipynb")]
    claims = r"one (?:text|request) (?:after the other|at a time),? as (?:in )?the paper|code's defaults|compared fairly"
    matches = {
        page.name: hit[0]
        for page in pages
        if (hit := re.search(claims, " ".join(page.read_text(encoding="utf-8").split())))
    }
    assert matches == {}


def test_reproduce_tells_tensor_and_pipeline_parallel_apart():
    text = (paths.ROOT / "book" / "reproduce.md").read_text(encoding="utf-8")
    assert re.search(r"gpus=4` splits every layer[^.]*tensor parallel", text)
    assert re.search(r"nodes=2` spreads the layers[^.]*pipeline parallel", text)


def test_methods_name_all_that_differs_from_the_printed_prompt():
    assert "in layout and by a colon after `(str)`" in (paths.ROOT / "book" / "methods.md").read_text(
        encoding="utf-8"
    )
