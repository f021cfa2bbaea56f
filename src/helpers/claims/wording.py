"""Words for the sentences of the ledger: lists, and names of families, machines, tables."""

from collections.abc import Iterable, Sequence

from helpers.core import units
from helpers.study.catalogue import study

TRADITIONAL, OTHER, REASONING = "Traditional", "Other LLM", "Deepseek"
LLM = (OTHER, REASONING)
EVERYONE = (TRADITIONAL, *LLM)
_FAMILIES = {
    (TRADITIONAL,): "traditional model",
    LLM: "LLM",
    (OTHER,): "LLM without reasoning",
    (REASONING,): "reasoning LLM",
    EVERYONE: "model",
}


def names(items: Iterable[str], limit: int = 4) -> str:
    """Return a list in words, cut after `limit` names: `A, B and 3 more`; an empty one is `none`."""
    listed = list(items)
    if len(listed) > limit + 1:
        listed = [*listed[:limit], f"{len(listed) - limit} more"]
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed or ["none"])


def number(value: float, digits: int = 3) -> str:
    """Return a number with that many significant digits, without zeros at its end."""
    return _without_zeros(units.significant(value, digits))


def accuracy(value: float) -> str:
    """Return an accuracy with two decimals, or with three where it has them."""
    text = f"{value:.3f}"
    return text[:-1] if text.endswith("0") else text


def energy(wh: float, digits: int = 2) -> str:
    """Return an energy with its unit."""
    amount, unit = units.energy(wh, digits).split(units.THIN)
    return f"{_without_zeros(amount)}{units.THIN}{unit}"


def family_name(families: Sequence[str]) -> str:
    """Return what a model of these families is called."""
    return _FAMILIES[tuple(families)]


def dataset_title(dataset: str) -> str:
    """Return the name of a dataset."""
    return study().datasets[dataset].title


def a(name: str) -> str:
    """Return a noun with its article."""
    return f"an {name}" if name.startswith("LLM") else f"a {name}"


def printed_title(name: str) -> str:
    """Return `Table B2` for table_b2 and `Figure 6` for figure_6_lines."""
    kind, label, *_ = name.split("_")
    return f"{kind.title()} {label.upper()}"


def _without_zeros(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
