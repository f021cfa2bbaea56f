"""The texts of the tiny dataset: invented, composed by rule, the same on every machine (`data/sample/tiny.yaml`)."""

import hashlib
from dataclasses import dataclass

import pandas as pd
from pydantic import Field

from helpers.core import paths
from helpers.core.validation import Strict, load_yaml, parse

NAME = "tiny"
"""Of the dataset, in the catalogue and of its file."""
FILE = paths.SAMPLE.with_name("tiny.yaml")
SEEN_PER_CATEGORY = 18
"""Texts of the dataset with a phrase that training texts have, too, behind another opening."""
UNSEEN_PER_CATEGORY = 6
"""Texts of the dataset with a phrase that no training text has."""


@dataclass(frozen=True)
class TinyTexts:
    """Pairs of text and category; no text is in both lists."""

    train: tuple[tuple[str, str], ...]
    """What the tiny model is trained on; never part of the dataset."""
    dataset: tuple[tuple[str, str], ...]
    """What it is asked: the dataset `tiny`."""

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, in the order of the word bank, which is that of the catalogue."""
        return tuple(dict.fromkeys(category for _, category in self.train))

    def frame(self) -> pd.DataFrame:
        """Return the dataset with the columns of a NAME.csv.gz: text and label."""
        return pd.DataFrame(self.dataset, columns=["text", "label"])


class _Phrases(Strict):
    seen: list[str] = Field(min_length=1)
    unseen: list[str] = Field(min_length=1)


class _WordBank(Strict):
    openings: list[str] = Field(min_length=1)
    phrases: dict[str, _Phrases]


def tiny_texts() -> TinyTexts:
    """Compose the texts for training and the dataset.

    Raises:
        UserError: one line where the word bank is not what it should be.
    """
    location = paths.relative(FILE)
    bank = parse(_WordBank, load_yaml(FILE, location), location)
    train: list[tuple[str, str]] = []
    asked: list[tuple[str, str]] = []
    for category, phrases in bank.phrases.items():
        seen = _shuffled(bank.openings, phrases.seen)
        unseen = _shuffled(bank.openings, phrases.unseen)
        asked += [(text, category) for text in (*seen[:SEEN_PER_CATEGORY], *unseen[:UNSEEN_PER_CATEGORY])]
        train += [(text, category) for text in seen[SEEN_PER_CATEGORY:]]
    return TinyTexts(tuple(train), tuple(sorted(asked, key=lambda pair: _rank(pair[0]))))


def _shuffled(openings: list[str], phrases: list[str]) -> list[str]:
    return sorted((opening.format(phrase) for opening in openings for phrase in phrases), key=_rank)


def _rank(text: str) -> bytes:
    """Order by hash: no random generator whose stream may change with a version."""
    return hashlib.sha256(text.encode()).digest()
