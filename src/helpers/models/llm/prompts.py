"""The prompts of a language model (paper, Appendix A)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from pydantic import Field

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.validation import Strict, load_yaml, parse
from helpers.study.catalogue import DatasetEntry
from helpers.study.datasets import Dataset

Language = Literal["de", "en"]

DSPY_MARK = "<<CUSTOM-TYPE-START-IDENTIFIER>>"
"""What follows it in a text DSPy takes for a part of its own (`dspy.adapters.types.base_type`), and not for text."""


class _Prompts(Strict):
    instructions: dict[Language, str] = Field(min_length=2)


def instruction(dataset: DatasetEntry, language: Language | None = None) -> str:
    """Return the paper's instruction with the categories of a dataset, in the catalogue's order.

    The paper prints it in English and used it in German on FKTG; the German one is translated back. In which language the
    other datasets were asked about, it does not say.

    Args:
        dataset: the dataset's entry.
        language: of the sentence above the list; None: that of the dataset.
    """
    sentence = _instructions()[language or dataset.language]
    return "\n".join([sentence, *(f"- {label}" for label in dataset.labels)])


def messages(instruction: str, text: str, examples: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """Return the messages (role, content) that DSPy makes of an instruction, a text and examples (text, category)."""
    import dspy  # noqa: PLC0415  (absent where only the book is built)

    made: list[dict[str, str]] = dspy.ChatAdapter().format(
        signature(instruction), demonstrations(examples), {"text": text}
    )
    return made


def check_texts(dataset: Dataset) -> None:
    """Check that DSPy sends every text as it is.

    Raises:
        UserError: one line with the first text that holds `DSPY_MARK`.
    """
    marked = next((number for number, text in enumerate(dataset.texts, start=1) if DSPY_MARK in text), None)
    if marked is not None:
        raise UserError(
            f"{dataset.name}: text {marked} of {len(dataset)} holds DSPy's mark {DSPY_MARK}, so that it would not be sent as "
            "it is; take the mark out of the text"
        )


def prompt_sha256(instruction: str, examples: Sequence[tuple[str, str]] = ()) -> str:
    """Return the hash of the messages around an empty text: equal hashes, equal prompts."""
    made = json.dumps(messages(instruction, "", examples), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(made.encode()).hexdigest()


def signature(instruction: str) -> Any:
    """Return the paper's DSPy signature, text -> category, both of them strings.

    Appendix A prints `category` as a string; a `Literal` of the categories would tell the model more than that.
    """
    import dspy  # noqa: PLC0415  (absent where only the book is built)

    return dspy.Signature("text -> category", instruction)


def demonstrations(examples: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return examples (text, category) as DSPy takes them."""
    return [{"text": text, "category": category} for text, category in examples]


@cache
def _instructions() -> dict[Language, str]:
    file = paths.STUDY / "prompts.yaml"
    location = paths.relative(file)
    return parse(_Prompts, load_yaml(file, location), location).instructions
