"""What a verdict of a campaign rests on: how many models, datasets, test sets and texts were read for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from helpers.claims.cells import Log
from helpers.claims.source import Source
from helpers.claims.wording import names
from helpers.study.catalogue import model_title, paper_models


@dataclass(frozen=True)
class Basis:
    """The runs behind a number, counted from what was read."""

    models: tuple[str, ...]
    """Their ids."""
    datasets: tuple[str, ...]
    splits_least: int
    """Test sets of a run, or of a comparison, whichever are fewer; the fewest of all."""
    splits_most: int
    texts_least: int
    """Of a test set."""
    texts_most: int

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return what several numbers rest on together."""
        return cls(
            models=tuple(sorted({name for part in parts for name in part.models})),
            datasets=tuple(sorted({name for part in parts for name in part.datasets})),
            splits_least=min(part.splits_least for part in parts),
            splits_most=max(part.splits_most for part in parts),
            texts_least=min(part.texts_least for part in parts),
            texts_most=max(part.texts_most for part in parts),
        )

    @property
    def text(self) -> str:
        """The counts in words, with the models that the paper does not have."""
        splits, texts = (
            _span(*ends)
            for ends in ((self.splits_least, self.splits_most), (self.texts_least, self.texts_most))
        )
        others = [model_title(name) for name in self.models if name not in paper_models()]
        return (
            f"{_counted(len(self.models), 'model')}, {_counted(len(self.datasets), 'dataset')}, {splits} test "
            f"set{'s' * (self.splits_most > 1)} of {texts} texts"
            + (f"; not the paper's: {names(others, len(others))}" if others else "")
        )


def basis_of(source: Source, log: Log) -> Basis | None:
    """Return what a number of a campaign rests on; None where no run was read for it."""
    read = {use.origin for use in log.uses}
    rows = [row for row in source.rows if row["origin"] in read]
    if not rows:
        return None
    splits = [log.splits.get(str(row["origin"]), int(row["splits"])) for row in rows]
    texts = [int(row["texts"]) for row in rows]
    return Basis(
        models=tuple(sorted({str(row["model"]) for row in rows})),
        datasets=tuple(sorted({str(row["dataset"]) for row in rows})),
        splits_least=min(splits),
        splits_most=max(splits),
        texts_least=min(texts),
        texts_most=max(texts),
    )


def _span(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} to {most}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
