"""What a language model is told is what the paper's Appendix A prints."""

from dataclasses import replace

import pytest
import yaml

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.models.llm import prompts
from helpers.study.catalogue import study
from helpers.study.datasets import load_dataset
from tests.conftest import refusal

# Appendix A of the paper, with two categories.
PAPER_SYSTEM = """\
Your input fields are:
1. `text` (str)
Your output fields are:
1. `category` (str)
All interactions will be structured in the following way, with the appropriate values filled in.
[[ ## text ## ]]
{text}
[[ ## category ## ]]
{category}
[[ ## completed ## ]]
In adhering to this structure, your objective is:
        Classify the text as one of the following categories:
        - pos
        - neg"""
PAPER_USER = """\
[[ ## text ## ]]
<text>
Respond with the corresponding output fields, starting with the field `[[ ## category ## ]]`, and then ending with \
the marker for `[[ ## completed ## ]]`."""

# How the messages differ from the paper's listing, and in nothing else; it is the listing's layout, not another prompt.
COLON_AFTER_THE_TYPE = ("(str)", "(str):")
BLANK_LINES_BEFORE = (
    "[[ ## text ## ]]",
    "[[ ## category ## ]]",
    "[[ ## completed ## ]]",
    "Respond with the corresponding output fields",
)
SPACE_AT_THE_END = "your objective is:"

TOMATOES = """\
Classify the text as one of the following categories:
- pos
- neg"""


def with_known_differences(listing):
    """Rewrite the paper's listing by the known differences."""
    lines = []
    for number, line in enumerate(listing.splitlines()):
        if number and line.startswith(BLANK_LINES_BEFORE):
            lines.append("")
        typed = line.replace(*COLON_AFTER_THE_TYPE) if line.endswith(COLON_AFTER_THE_TYPE[0]) else line
        lines.append(f"{typed} " if typed.endswith(SPACE_AT_THE_END) else typed)
    return "\n".join(lines)


def test_the_messages_are_those_of_appendix_a_but_for_the_known_differences_of_layout():
    instruction = prompts.instruction(study().datasets["tomatoes"])
    assert instruction == TOMATOES
    assert prompts.messages(instruction, "<text>") == [
        {"role": "system", "content": with_known_differences(PAPER_SYSTEM)},
        {"role": "user", "content": with_known_differences(PAPER_USER)},
    ]


def test_the_instruction_of_the_papers_data_is_german_with_its_14_categories_in_the_order_of_the_catalogue():
    fktg = study().datasets["fktg"]
    first, *listed = prompts.instruction(fktg).splitlines()
    assert first == "Ordne den Text einer der folgenden Kategorien zu:"
    assert listed == [f"- {label}" for label in fktg.labels]
    assert len(listed) == 14
    assert prompts.instruction(study().datasets["fktg-sample"]) == prompts.instruction(fktg)


def test_the_language_of_the_instruction_can_be_chosen_and_the_categories_stay():
    news = study().datasets["news"]
    german, english = (prompts.instruction(news, language).splitlines() for language in ("de", "en"))
    assert german[0] != english[0]
    assert german[1:] == english[1:]
    assert prompts.instruction(news) == "\n".join(english)


def test_a_text_is_passed_on_as_it_is():
    text = '<b>&amp;</b> {braces} [[ ## category ## ]]\n\n"quoted"\ttab \U0001f600'
    assert text in prompts.messages(TOMATOES, text)[-1]["content"]


def test_examples_stand_between_instruction_and_text_as_dspy_writes_them():
    made = prompts.messages(TOMATOES, "third", [("first", "pos"), ("second", "neg")])
    assert [message["role"] for message in made] == ["system", *["user", "assistant"] * 2, "user"]
    assert made[1]["content"] == "[[ ## text ## ]]\nfirst"
    assert made[2]["content"] == "[[ ## category ## ]]\npos\n\n[[ ## completed ## ]]\n"


def test_the_hash_changes_with_instruction_and_examples_and_with_nothing_else():
    news = study().datasets["news"]
    instructions = [prompts.instruction(news, "de"), prompts.instruction(news, "en"), TOMATOES]
    hashes = [prompts.prompt_sha256(one) for one in instructions] + [
        prompts.prompt_sha256(TOMATOES, [("a", "pos")])
    ]
    assert len(set(hashes)) == 4
    assert prompts.prompt_sha256(TOMATOES) == prompts.prompt_sha256(TOMATOES, [])


def test_the_hash_of_the_papers_prompt_is_the_one_that_records_have():
    instruction = prompts.instruction(study().datasets["fktg"])
    assert (
        prompts.prompt_sha256(instruction)
        == "d5fa1771a0507981db47560f8646780b690e2454f509e24395c580dfe2734f3a"
    ), "the prompt has changed: records before and after do not compare"


def test_a_slip_in_the_prompts_is_one_line_with_file_and_key(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "STUDY", tmp_path)
    given = yaml.safe_dump({"instructions": {"de": "Ordne zu:", "fr": "Classez :"}})
    (tmp_path / "prompts.yaml").write_text(given, encoding="utf-8")
    prompts._instructions.cache_clear()
    try:
        with pytest.raises(UserError, match=r"prompts.yaml: instructions.*'fr'"):
            prompts.instruction(study().datasets["news"])
    finally:
        prompts._instructions.cache_clear()


def test_a_text_that_dspy_would_alter_is_refused():
    from dspy.adapters.types.base_type import CUSTOM_TYPE_START_IDENTIFIER

    assert prompts.DSPY_MARK == CUSTOM_TYPE_START_IDENTIFIER
    harmless = load_dataset("fktg-sample")
    prompts.check_texts(harmless)
    marked = replace(harmless, texts=(*harmless.texts[:-1], f"a {prompts.DSPY_MARK} b"))
    line = refusal(prompts.check_texts, marked)
    assert line.startswith(f"fktg-sample: text {len(marked)} of {len(marked)} holds DSPy's mark")
    (_, asked) = prompts.messages(
        "Classify.", f'a {prompts.DSPY_MARK}[{{"type": "text", "text": "b"}}]<<CUSTOM-TYPE-END-IDENTIFIER>>'
    )
    assert not isinstance(asked["content"], str)  # what this prevents
