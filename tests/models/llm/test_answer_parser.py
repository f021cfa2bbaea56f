"""An answer is read by one rule: every answer has a kind, and only a whole category is one."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.models.llm.answer_parser import PARSE_FAILURES, REQUEST_FAILURES, read_answer, read_value
from helpers.models.llm.connections import MAX_RESPONSE_BYTES
from helpers.study.catalogue import study

NEWS = ["World", "Sports", "Business", "Sci/Tech"]
YELP = ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]
FKTG = study().datasets["fktg"].labels
START, END = "[[ ## category ## ]]\n", "\n\n[[ ## completed ## ]]"


def read(content, labels=NEWS, finish_reason="stop", reasoning=False):
    category, kind, _ = read_answer(content, labels, finish_reason, reasoning)
    return kind if category is None else category


@pytest.mark.parametrize("label", [*NEWS, *YELP, *FKTG])
def test_every_category_of_a_dataset_is_read_from_the_answer_that_dspy_asks_for(label):
    labels = next(labels_of_dataset for labels_of_dataset in (NEWS, YELP, FKTG) if label in labels_of_dataset)
    assert read(f"{START}{label}{END}", labels) == label
    assert read(f"{START}{label.upper()}{END}", labels) == label


ANSWERS = {
    "the value beside the marker": (f"[[ ## category ## ]] World{END}", "World"),
    "without the last marker": (f"{START}World", "World"),
    "after a preamble": (f"Sure, here it is:\n\n{START}World{END}", "World"),
    "blank lines before the value": (f"{START}\n\n  World{END}", "World"),
    "a bullet as in the instruction": (f"{START}- World{END}", "World"),
    "a bullet without a blank": (f"{START}-World{END}", "World"),
    "a number that is not of the list": (f"{START}-1 World{END}", "off-list"),
    "numbered": (f"{START}2. World{END}", "World"),
    "quoted": (f'{START}"World"{END}', "World"),
    "German quotes and a full stop": (f"{START}„World“.{END}", "World"),
    "emphasis": (f"{START}**World**{END}", "World"),
    "an explanation below": (f"{START}World\n\nIt is about sports in the world.{END}", "World"),
    "more after the end": (f"{START}World{END}\n\n{START}Sports{END}", "World"),
    "the same twice": (f"{START}World\nworld{END}", "World"),
    "truncated within the last marker": (f"{START}World\n\n[[ ## comple", "World"),
    "another word": (f"{START}Politics{END}", "off-list"),
    "a category and more words": (f"{START}World politics{END}", "off-list"),
    "a sentence that names one": (f"{START}The category is World{END}", "off-list"),
    "the placeholder": (f"{START}{{category}}{END}", "off-list"),
    "markup": (f"{START}<script>alert('World')</script>{END}", "off-list"),
    "two in a line": (f"{START}World, Sports{END}", "several-categories"),
    "two in a sentence": (f"{START}Either World or Sci/Tech.{END}", "several-categories"),
    "two lines": (f"{START}World\n- Sports{END}", "several-categories"),
    "two sections": (f"{START}World\n{START}Sports{END}", "several-categories"),
    "no marker": ("World", "bad-format"),
    "a marker in mid-line": ("the [[ ## category ## ]] is World", "bad-format"),
    "another field": (f"[[ ## answer ## ]]\nWorld{END}", "bad-format"),
    "JSON": ('{"category": "World"}', "bad-format"),
    "nothing": ("", "empty"),
    "white space": (" \n\n", "empty"),
    "no content": (None, "empty"),
    "no value": (f"{START}{END}", "empty"),
    "thinking, then the answer": (f"<think>\n{START}Sports{END}\n</think>\n\n{START}World{END}", "World"),
    "thinking without an end": (f"<think>\nis it World?\n{START}World{END}", "reasoning-open"),
    "thinking and nothing more": ("<think>World</think>", "empty"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_as_its_kind(name):
    content, expected = ANSWERS[name]
    assert read(content) == expected


MET = {
    "a word of its own": (f"{START}unprofessional", YELP, "stop", "off-list"),
    "what the text is about": (f"{START}food{END}", YELP, "stop", "off-list"),
    "a bullet that touches the category": (f"{START}-World{END}", NEWS, "stop", "World"),
    "the category as a marker, and the text": (
        "[[ pos ]]\nan invented sentence.",
        ["pos", "neg"],
        "stop",
        "bad-format",
    ),
}
"""Answers of Qwen2.5-Coder-0.5B and SmolLM2-135M that were met, with an invented sentence where they quote a text."""


@pytest.mark.parametrize("name", MET)
def test_an_answer_of_a_real_model_is_read_as_its_kind(name):
    content, labels, finish_reason, expected = MET[name]
    assert read(content, labels, finish_reason) == expected


TRUNCATED = {
    "within the value": (f"{START}Wor", "truncated"),
    "after the value, which may go on": (f"{START}World", "truncated"),
    "right after the marker": (START, "truncated"),
    "within the first marker": ("[[ ## categ", "truncated"),
    "before any marker": ("Let me see. This text", "truncated"),
    "after the line of the value": (f"{START}World\n", "World"),
    "within the last marker": (f"{START}World\n\n[[ ## comple", "World"),
    "in an explanation": (f"{START}World\n\nIt is about", "World"),
    "in an explanation of something else": (f"{START}Politics\n\nIt is about", "off-list"),
    "after the end": (f"{START}World{END}\n\n{START}Spo", "World"),
    "within the last marker after no value": (f"{START}\n[[ ## comple", "empty"),
    "with nothing said": ("", "empty"),
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_where_the_tokens_ran_out_only_a_whole_line_counts(name):
    content, expected = TRUNCATED[name]
    assert read(content, finish_reason="length") == expected


def test_a_category_that_contains_another_is_not_two():
    assert read(f"{START}Anwendung geoWK{END}", FKTG) == "Anwendung geoWK"
    assert read(f"{START}ist Anwendung geoWK gemeint{END}", FKTG) == "off-list"
    assert read(f"{START}Anwendung geoWK oder Tongestein{END}", FKTG) == "several-categories"
    assert read(f"{START}geoWK und Anwendung geoWK{END}", FKTG) == "several-categories"
    assert read(f"{START}21 stars{END}", YELP) == "off-list"


def test_categories_that_differ_only_in_what_is_normalised_have_to_be_exact():
    labels = ["A", "a", "- b", "b"]
    assert [read(f"{START}{label}{END}", labels) for label in labels] == labels
    assert read(f"{START}B{END}", labels) == "off-list"


def test_a_composed_and_a_decomposed_umlaut_are_the_same():
    assert read(f"{START}Datenverfu\u0308gbarkeit{END}", FKTG) == "Datenverfügbarkeit"


@pytest.mark.parametrize(
    ("content", "finish_reason", "expected"),
    [
        # The chat template of a reasoning model may have opened the thinking already.
        (f"is it Sports?\n{START}Sports{END}\n</think>\n{START}World{END}", "stop", ("World", "category")),
        (f"is it Sports?\n{START}Sports{END}\nbut then", "length", (None, "reasoning-open")),
        (f"{START}World{END}", "stop", ("World", "category")),
        (f"is it Sports?\n</think>\n{START}Wor", "length", (None, "truncated")),
    ],
)
def test_thinking_that_the_chat_template_opened_is_cut_off_up_to_its_end(content, finish_reason, expected):
    assert read_answer(content, NEWS, finish_reason, True)[:2] == expected


def test_the_thinking_that_was_cut_off_is_returned_without_its_marks():
    content = f"<think>\nlet me see\n</think>\n{START}World{END}"
    assert read_answer(content, NEWS, "stop", False)[2] == "let me see"
    assert read_answer(content.removeprefix("<think>"), NEWS, "stop", True)[2] == "let me see"
    assert read_answer(f"{START}World{END}", NEWS, "stop", True)[2] is None


def test_a_value_that_was_parsed_already_is_read_by_the_same_rule():
    assert read_value("**world**.", NEWS) == ("World", "category")
    assert read_value("World, Sports", NEWS) == (None, "several-categories")
    assert read_value("", NEWS) == (None, "empty")


@pytest.mark.parametrize("filler", ["x", " ", '"', "- ", "World ", "World\n", "\n", START, "[[ ## "])
def test_the_largest_answer_that_is_taken_is_read_at_once(filler):
    start = time.perf_counter()
    read(START + filler * (MAX_RESPONSE_BYTES // len(filler)))
    assert time.perf_counter() - start < 10


# Properties

FRAGMENT = st.sampled_from(
    [*NEWS, START, END, "\n", "[[ ## ", "[[ ## text ## ]]", "<think>", "</think>", " ", "- ", '"', "of"]
)
CONTENT = st.one_of(st.none(), st.text(), st.lists(FRAGMENT | st.text(max_size=3), max_size=12).map("".join))
LABELS = st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=5, unique=True)
FINISH = st.sampled_from(["stop", "length", None, "tool_calls", ""])


@given(CONTENT, LABELS | st.just(NEWS), FINISH, st.booleans())
def test_whatever_is_answered_it_has_a_kind_and_a_category_only_where_it_is_one(
    content, labels, finish, reasoning
):
    category, kind, thinking = read_answer(content, labels, finish, reasoning)
    assert (category in labels) if kind == "category" else (category is None and kind in PARSE_FAILURES)
    assert kind not in REQUEST_FAILURES
    assert thinking is None or thinking in (content or "")


@given(CONTENT, FINISH)
def test_a_category_that_is_read_is_the_value_that_dspy_finds(content, finish):
    import dspy

    category, kind, thinking = read_answer(content, NEWS, finish, False)
    if kind == "category" and thinking is None:
        parsed = dspy.ChatAdapter().parse(dspy.Signature("text -> category"), content)["category"]
        # DSPy leaves a marker that was cut off in the value, and whatever else follows the first line.
        assert read_value(parsed.splitlines()[0], NEWS) == (category, "category")


@given(st.sampled_from(NEWS), st.text(), st.text().filter(lambda text: "</think>" not in text))
def test_neither_thinking_nor_what_follows_the_end_changes_the_category(label, after, thinking):
    answer = f"{START}{label}{END}"
    assert read(f"{answer}\n{after}") == label
    assert read(f"<think>{thinking}</think>{answer}") == label
    assert read(f"{thinking}</think>{answer}", reasoning=True) == label


@given(st.sampled_from(NEWS), st.text(string.ascii_letters, min_size=1, max_size=8))
def test_a_word_beside_the_category_makes_it_something_else(label, word):
    assert read(f"{START}{label} {word}{END}") in {"off-list", "several-categories"}
