"""Two protocols of asking: what DSPy read in early 2025 and ours does not, its second request, its cache; kept apart."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.book.quoted_numbers import numbers
from helpers.claims.evidence import Evidence
from helpers.claims.source import source_of
from helpers.claims.values import Untestable
from helpers.core import lock
from helpers.figures.beyond.concurrency import series, swept_rows
from helpers.figures.beyond.run_list import runs
from helpers.figures.paper.figure_1 import figure_1
from helpers.measure import parameters
from helpers.measure import run as measurement
from helpers.measure.settings import LlmParameters
from helpers.models.llm import prompts
from helpers.models.llm.answer_cache import AnswerCache
from helpers.models.llm.generation import GenerationConfig
from helpers.models.llm.inference import Reply, open_inference_client
from helpers.results import compare
from helpers.results import tables as results
from helpers.study import datasets
from helpers.study.catalogue import Campaign, study
from helpers.study.protocols import DSPY_2025
from tests.conftest import ROOT, refusal
from tests.figures.test_any_campaign import Invented, record_of
from tests.measure.test_llm import measure_stub, write_texts
from tests.support.stub_server import COMPLETIONS, END, VALUE, Completion, Stub, stub

DATASET = study().datasets["news"]
LABELS = DATASET.labels
INSTRUCTION = prompts.instruction(DATASET)
OURS: dict[str, Any] = {"concurrency": 1, "timeout_s": 20.0}
THEIRS: dict[str, Any] = {**OURS, "max_tokens": 1000, "json_fallback": True, "protocol": "dspy-2025"}


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub() as running:
        yield running


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine lock of its own and a short idle phase, for runs in this process."""
    monkeypatch.setattr(lock, "MACHINE_LOCK", tmp_path / "machine.lock")
    monkeypatch.setattr(measurement, "IDLE_S", 0.1)


def answering(monkeypatch: pytest.MonkeyPatch, completion: Completion) -> str:
    """Have the stub give a completion; returns the text that asks for it."""
    monkeypatch.setitem(COMPLETIONS, "given", lambda _: completion)
    return "fault: given"


def ask(server: Stub, text: str, **settings: Any) -> Reply:
    with open_inference_client(server.endpoint, INSTRUCTION, LABELS, GenerationConfig(**settings)) as client:
        return client.ask([text])[0]


# Reading

READ_BY_OURS_ALONE = {
    "other capitals": f"{VALUE}world{END}",
    "quotes and a full stop": f'{VALUE}"World".{END}',
    "a bullet as in the instruction": f"{VALUE}- World{END}",
    "an explanation below": f"{VALUE}World\n\nIt is about the world.{END}",
}
READ_BY_DSPY_ALONE = {
    "a second section": (Completion(f"{VALUE}World\n{VALUE}Sports{END}"), "several-categories"),
    "tokens that ran out after the word": (Completion(f"{VALUE}World", "length"), "truncated"),
    "thinking that does not end": (Completion(f"<think>\n{VALUE}World\n", "length"), "reasoning-open"),
}


@pytest.mark.parametrize("name", READ_BY_OURS_ALONE)
def test_what_ours_reads_and_dspy_takes_for_another_category(
    server: Stub, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = answering(monkeypatch, Completion(READ_BY_OURS_ALONE[name]))
    companion, dspy_2025 = ask(server, text, **OURS), ask(server, text, **THEIRS)
    assert (companion.category, companion.kind) == ("World", "category")
    assert (dspy_2025.category, dspy_2025.kind, dspy_2025.requests) == (None, "off-list", 1)


@pytest.mark.parametrize("name", READ_BY_DSPY_ALONE)
def test_what_dspy_reads_and_ours_refuses(server: Stub, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    completion, kind = READ_BY_DSPY_ALONE[name]
    text = answering(monkeypatch, completion)
    companion, dspy_2025 = ask(server, text, **OURS), ask(server, text, **THEIRS)
    assert (companion.category, companion.kind) == (None, kind)
    assert (dspy_2025.category, dspy_2025.kind, dspy_2025.requests) == ("World", "category", 1)


def test_a_category_in_the_thinking_is_the_answer_for_dspy_of_then(
    server: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = f"<think>\n{VALUE}Sports\n\n[[ ## note ## ]]\nor is it?\n</think>\n\n{VALUE}World{END}"
    text = answering(monkeypatch, Completion(content))
    companion = ask(server, text, **OURS, reasoning=True, thinking_tokens=500)
    theirs = ask(server, text, **THEIRS, reasoning=True)
    assert (companion.category, theirs.category) == ("World", "Sports")


@pytest.mark.parametrize("label", LABELS)
def test_an_answer_in_the_format_is_the_same_for_both(server: Stub, label: str) -> None:
    replies = [ask(server, f"say: {label}", **settings) for settings in (OURS, THEIRS)]
    assert [(reply.category, reply.kind, reply.requests) for reply in replies] == [(label, "category", 1)] * 2


# The second request


def test_the_second_request_asks_for_json_under_a_schema_and_is_counted(server: Stub) -> None:
    reply = ask(server, "fault: json", **THEIRS)
    assert (reply.category, reply.kind, reply.requests) == (LABELS[0], "category", 2)
    first, second = server.state.bodies
    assert "response_format" not in first
    asked_for = second["response_format"]
    assert asked_for["type"] == "json_schema"
    assert asked_for["json_schema"]["schema"]["required"] == ["category"]
    assert {body["max_tokens"] for body in (first, second)} == {1000}
    assert {body["temperature"] for body in (first, second)} == {0.0}
    assert reply.tokens_in == server.state.counts["prompt"]
    assert ask(server, "fault: json", **OURS).kind == "bad-format"


@pytest.mark.parametrize(
    ("fault", "kind"), [("no-marker", "bad-format"), ("empty", "empty"), ("thinking-open", "reasoning-open")]
)
def test_an_answer_that_dspy_cannot_parse_twice_is_counted_by_its_kind(
    server: Stub, fault: str, kind: str
) -> None:
    reply = ask(server, f"fault: {fault}", **THEIRS)
    assert (reply.category, reply.kind, reply.requests) == (None, kind, 2)


def test_our_own_fallback_sends_no_schema(server: Stub) -> None:
    ask(server, "fault: json", **OURS, json_fallback=True)
    assert [body for body in server.state.bodies if "response_format" in body] == []


def test_thinking_counts_among_the_thousand_tokens(server: Stub) -> None:
    plan = parameters.llm_plan({"model": "ds-llama-8b", "protocol": "dspy-2025"})
    assert (plan.generation.max_tokens, plan.generation.thinking_tokens) == (1000, 0)
    with open_inference_client(server.endpoint, INSTRUCTION, LABELS, plan.generation) as client:
        client.ask(["text"])
    assert server.state.bodies[0]["max_tokens"] == 1000


# The cache


def test_a_text_of_an_earlier_split_is_not_sent_again_and_warming_up_fills_nothing(server: Stub) -> None:
    cache = AnswerCache()
    with open_inference_client(
        server.endpoint, INSTRUCTION, LABELS, GenerationConfig(**THEIRS), cache=cache
    ) as client:
        client.ask(["say: World"])
        assert server.requests == 1
        for _ in range(3):  # passes of the first split: none answers for the next one
            with cache.one_pass():
                (reply,) = client.ask(["say: World"])
            assert (reply.requests, reply.cached) == (1, 0)
        cache.end_split()
        with cache.one_pass():
            again, new = client.ask(["say: World", "say: Sports"])
        assert server.requests == 5
        client.ask(["say: World"])
    assert server.requests == 6
    assert (again.category, again.kind, again.requests, again.cached) == ("World", "category", 0, 1)
    assert (again.tokens_in, again.tokens_out, again.tokens_thinking) == (0, 0, 0)
    assert (new.requests, new.cached) == (1, 0)


def test_a_text_that_stands_twice_in_a_test_set_is_sent_once(server: Stub) -> None:
    cache = AnswerCache()
    with (
        open_inference_client(
            server.endpoint, INSTRUCTION, LABELS, GenerationConfig(**THEIRS), cache=cache
        ) as client,
        cache.one_pass(),
    ):
        replies = client.ask(["say: World"] * 3)
    assert [reply.requests for reply in replies] == [1, 0, 0]


def test_answers_of_other_settings_are_other_answers_and_failures_are_none(server: Stub) -> None:
    cache = AnswerCache()
    for settings in (THEIRS, {**THEIRS, "max_tokens": 999}):
        with (
            open_inference_client(
                server.endpoint, INSTRUCTION, LABELS, GenerationConfig(**settings), cache=cache
            ) as client,
            cache.one_pass(),
        ):
            client.ask(["say: World", "fault: http-500"])
        cache.end_split()
    assert server.requests == 4


def test_a_run_counts_what_the_cache_answered_across_its_splits(server: Stub, tmp_path: Path) -> None:
    write_texts(tmp_path, lambda _, label: f"say: {label}")
    record, _ = measure_stub(server, tmp_path, protocol="dspy-2025", dspy_cache=True, splits=3, window_s=3.0)
    splits = datasets.splits(datasets.load_dataset("tiny", tmp_path))[:3]
    cached_ids: set[int] = set()
    for item, split in zip(record.splits, splits, strict=True):
        seen = len(cached_ids.intersection(split.test))
        assert (item.requests_sent, item.requests_cached) == (60 - seen, seen)
        assert item.requests_answered == 60 - seen
        assert item.correct == 60
        assert item.replies is not None
        assert item.replies.engine is not None
        assert item.replies.engine.requests == (60 - seen) * item.passes, "each pass sends the same"
        cached_ids.update(split.test)
    assert record.splits[1].requests_cached > 0
    assert record.splits[-1].passes > 1
    named = {check.name: check for check in record.checks}
    assert named["no_cache"].passed
    assert "by dspy_cache, which is on by choice" in named["no_cache"].message
    assert named["engine_counts_agree"].passed
    assert record.run.asked is not None
    assert (record.run.asked.protocol, record.run.asked.dspy_cache) == ("dspy-2025", True)


def test_without_the_cache_each_text_is_sent_and_the_record_says_which_protocol(
    server: Stub, tmp_path: Path
) -> None:
    test = write_texts(tmp_path, lambda _, label: f"say: {label}")
    faulty = dict(zip(test, ("json", "no-marker", "off-list", "http-500"), strict=False))
    write_texts(
        tmp_path,
        lambda number, label: f"fault: {faulty[number]}" if number in faulty else f"say: {label}",
    )
    record, _ = measure_stub(server, tmp_path, protocol="dspy-2025")
    (item,) = record.splits
    assert (item.requests_sent, item.requests_cached) == (62, None)
    assert item.replies is not None
    assert item.replies.failures == {"bad-format": 1, "off-list": 1, "http-error": 1}
    assert item.parse_failures == 2
    asked = record.run.asked
    assert asked is not None
    assert (asked.protocol, asked.max_tokens, asked.json_fallback, asked.dspy_cache) == (
        "dspy-2025",
        1000,
        True,
        False,
    )
    companion, _ = measure_stub(server, tmp_path)
    assert companion.run.asked is not None
    assert (companion.run.asked.protocol, companion.splits[0].requests_sent) == ("companion", 60)
    assert companion.run.run_id != record.run.run_id


# Parameters


def plan(**values: Any) -> parameters.Plan:
    return parameters.plan({"model": "llama-3.1-8b", **values}, "-p", "llm")


def test_the_protocol_sets_what_it_is_made_of() -> None:
    chosen = plan(protocol="dspy-2025").parameters
    assert {name: getattr(chosen, name) for name in DSPY_2025} == dict(DSPY_2025)
    assert plan(protocol="dspy-2025", max_tokens=1000, json_fallback=True) == plan(protocol="dspy-2025")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_tokens": 64}, "max_tokens: found 64, but protocol 'dspy-2025' sets 1000"),
        ({"temperature": 0.5}, "temperature: found 0.5, but protocol 'dspy-2025' sets 0.0"),
        ({"output_mode": "constrained"}, "output_mode: found 'constrained', but"),
        ({"weights": "dummy"}, "weights: found 'dummy', but"),
        ({"thinking_tokens": 99}, "counts thinking among its max_tokens"),
    ],
)
def test_what_the_protocol_sets_cannot_be_chosen_beside_it(values: dict[str, Any], words: str) -> None:
    assert words in refusal(lambda: plan(protocol="dspy-2025", **values))


def test_the_cache_belongs_to_dspys_protocol_alone() -> None:
    assert "dspy_cache: found True with protocol 'companion'" in refusal(lambda: plan(dspy_cache=True))
    assert "protocol: unknown value 'dspy-2024'" in refusal(lambda: plan(protocol="dspy-2024"))


def test_protocol_and_cache_give_a_run_other_names_and_the_companions_runs_keep_theirs() -> None:
    names = {
        plan(**values).run_id
        for values in ({}, {"protocol": "dspy-2025"}, {"protocol": "dspy-2025", "dspy_cache": True})
    }
    assert len(names) == 3
    assert not {"protocol", "dspy_cache"} & set(plan().settings)


def test_no_help_calls_the_papers_what_the_paper_does_not_say() -> None:
    for name in ("max_tokens", "thinking_tokens", "temperature", "json_fallback", "prefix_caching"):
        description = LlmParameters.model_fields[name].description or ""
        assert "as in the paper" not in description
        assert "The paper does not say" in description or "the paper does not say" in description


def test_a_campaign_can_name_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = [
        {"model": "tiny", "dataset": "tiny", "protocol": ["companion", "dspy-2025"]},
        {"model": "tiny", "dataset": "tiny", "protocol": "dspy-2025", "dspy_cache": True},
    ]
    campaign = Campaign(title="t", description="d", notebook="llm", grid=grid)
    catalogue = study().model_copy(update={"campaigns": {"trial": campaign}})
    monkeypatch.setattr(parameters, "study", lambda: catalogue)
    planned = parameters.campaign_plans("trial")
    assert [item.parameters.protocol for item in planned] == ["companion", "dspy-2025", "dspy-2025"]
    assert len({item.run_id for item in planned}) == 3


# Kept apart


@pytest.fixture
def tables(tmp_path: Path) -> results.Tables:
    """The tables with the same run by both protocols, the second one with another accuracy."""
    return invented_tables(
        tmp_path,
        Invented("qwen-2.5-7b", "fktg", correct=90),
        Invented("qwen-2.5-7b", "fktg", correct=30, seconds=20.0, protocol="dspy-2025"),
    )


def invented_tables(folder: Path, *chosen: Invented) -> results.Tables:
    for number, run in enumerate(chosen):
        file = folder / "runs" / "invented" / f"run-{number}" / "record.json"
        file.parent.mkdir(parents=True)
        file.write_text(record_of(run, number).model_dump_json(), encoding="utf-8")
    loaded = results.load_tables(committed=folder / "none", live=folder / "runs")
    assert loaded.refused == []
    return loaded


def test_figures_fits_and_claims_take_the_companions_protocol_alone(tables: results.Tables) -> None:
    invented = tables.results[tables.results["source"] == "invented"]
    assert list(invented["protocol"]) == ["companion", "dspy-2025"]
    kept = results.select_sequential(tables.results)
    assert list(kept.loc[kept["source"] == "invented", "protocol"]) == ["companion"]
    assert (kept["source"] == "published").sum() == (tables.results["source"] == "published").sum()
    drawn = figure_1(tables).data
    assert len(drawn[drawn["source"] == "invented"]) == 1
    of_claims = source_of(tables, "invented", "total_as_published")
    assert [row["duration_s"] for row in of_claims.rows] == [invented["duration_s"].iloc[0]]
    assert {row["protocol"] for row in of_claims.splits} == {"companion"}


def test_the_list_of_runs_names_the_protocol(tables: results.Tables) -> None:
    body = runs(tables).body
    assert "companion" in body
    assert "dspy-2025" in body


def test_a_comparison_of_concurrencies_is_within_one_protocol(tmp_path: Path) -> None:
    mixed = invented_tables(
        tmp_path / "mixed",
        Invented("qwen-2.5-7b"),
        Invented("qwen-2.5-7b", concurrency=8, protocol="dspy-2025"),
    )
    assert swept_rows(mixed.results).empty
    alike = invented_tables(
        tmp_path / "alike",
        *(Invented("qwen-2.5-7b", concurrency=number, protocol="dspy-2025") for number in (1, 8)),
    )
    assert list(swept_rows(alike.results)["concurrency"]) == [1, 8]


def test_a_source_of_another_protocol_alone_is_said_to_be_one(tmp_path: Path) -> None:
    alone = invented_tables(tmp_path, Invented("qwen-2.5-7b", "fktg", "capella", protocol="dspy-2025"))
    evidence = Evidence(source_of(alone, "invented"))
    with pytest.raises(Untestable, match="by the companion's protocol, only by dspy-2025"):
        evidence.model("qwen-2.5-7b", "fktg")


def test_accuracies_are_compared_protocol_by_protocol(tables: results.Tables) -> None:
    table = compare.compare(tables.results, "invented")
    assert list(table["protocol"]) == ["companion", "dspy-2025"]
    table["comparable"] = True
    summary = compare.summary(table)
    assert summary.count("1 comparable cells") == 2
    assert "; protocol dspy-2025: 1 comparable" in summary


def test_runs_with_a_cache_are_no_line_with_those_without(tmp_path: Path) -> None:
    ways = [(cached, count) for cached in (False, True) for count in (1, 8)]
    made = invented_tables(
        tmp_path,
        *(
            Invented("qwen-2.5-7b", concurrency=count, protocol="dspy-2025", dspy_cache=cached)
            for cached, count in ways
        ),
    )
    lines = {name: list(rows["concurrency"]) for name, rows in series(swept_rows(made.results))}
    assert sorted(lines.values()) == [[1, 8], [1, 8]]
    assert sum("answer cache" in name for name in lines) == 1


# What the pages say


def table_of_protocols() -> dict[str, list[str]]:
    """The rows of the table on Methods by their first cell: the paper, here, a deviation, a conclusion."""
    page = (ROOT / "book" / "methods.md").read_text(encoding="utf-8")
    table = page.partition(":class: protocols\n")[2].partition("\n:::")[0]
    rows = [
        [" ".join(cell.split()) for cell in re.split(r"\n  - ", row)]
        for row in re.split(r"^\* - ", table, flags=re.MULTILINE)[2:]
    ]
    return {row[0]: row[1:] for row in rows}


def test_each_row_says_what_the_paper_does_what_we_do_and_what_hangs_on_it() -> None:
    table = table_of_protocols()
    assert len(table) == 17
    assert {len(cells) for cells in table.values()} == {4}
    assert all(all(cells) for cells in table.values())


@pytest.mark.parametrize(
    ("row", "then", "here"),
    [
        ("Second request, for JSON, where an answer has not the format", "default then: on", "Off. "),
        ("Tokens of an answer", "asking.dspy-2025.max-tokens", "asking.thinking-tokens"),
        ("Temperature", "asking.dspy-2025.temperature", "asking.temperature"),
        ("Reading of an answer", "all that stands behind the marker", "Our own rule"),
        ("DSPy's cache of answers", "default then: on", "Off. "),
        ("vLLM's prefix cache", "Its default differed", "Off"),
        ("Prompt on the four public sets: its language", "Not stated", "English"),
        ("Texts at a time", "Not stated", "One"),
    ],
)
def test_where_the_paper_is_silent_the_table_says_so(row: str, then: str, here: str) -> None:
    paper, companion, *_ = table_of_protocols()[row]
    assert paper.startswith("Not stated")
    assert then in paper
    assert here in companion


def test_methods_says_who_reads_the_answers() -> None:
    page = " ".join((ROOT / "book" / "methods.md").read_text(encoding="utf-8").split())
    assert "DSPy writes the prompt and reads the answer" not in page
    assert "DSPy writes the prompt. Our own rule reads the answer" in page


def test_the_numbers_of_the_table_are_the_settings() -> None:
    quoted = numbers(results.load_tables())
    names = ("max-tokens", "thinking-tokens", "temperature", "dspy-2025.max-tokens", "dspy-2025.temperature")
    assert [quoted[f"asking.{name}"].text for name in names] == ["128", "4,096", "0", "1,000", "0"]


def test_with_the_cache_each_test_set_of_fktgs_size_would_ask_for_half_of_the_one_before() -> None:
    seen: set[int] = set()
    new = []
    sets = [set(split.test) for split in datasets.splits(datasets.load_dataset("fktg-sample"))]
    for test in sets:
        new.append(len(test - seen))
        seen |= test
    assert {len(test) for test in sets} == {study().datasets["fktg"].split.test} == {189}
    assert all(0.35 < after / before < 0.65 for before, after in pairwise(new[:5]))
    assert sum(new) / sum(map(len, sets)) == pytest.approx(0.2, abs=0.005)
    assert 1 - new[1] / 189 == pytest.approx(0.5, abs=0.1)
    assert np.std(np.log10(new[:5]), ddof=1) > 0.2  # dex: more than the paper's durations vary


SETTINGS_NOT_STATED = re.compile(
    r"(temperature|max_tokens|thinking_tokens|json_fallback|prefix_caching|concurrency)[^\n]*\n?[^\n]*as in the paper"
)


@pytest.mark.parametrize(
    "file",
    [
        "src/helpers/measure/settings.py",
        "src/helpers/records/schema_run.py",
        "src/helpers/models/llm/inference.py",
        "notebooks/measure/llm.ipynb",
    ],
)
def test_no_setting_is_called_the_papers(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert SETTINGS_NOT_STATED.findall(text) == []
    assert "paper mode" not in text
