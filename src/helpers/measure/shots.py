"""Examples in the prompts of a language model: the first training texts of each split, with their labels."""

from collections.abc import Sequence

from helpers.measure.plan import LlmPlan
from helpers.study.datasets import Dataset, Split, pick


def examples(plan: LlmPlan, dataset: Dataset, chosen: Sequence[Split]) -> list[tuple[str, str]]:
    """Return the examples (text, category) that the prompts of these splits hold, one split after the other."""
    shown = [number for split in chosen for number in split.train[: plan.parameters.shots]]
    return list(zip(pick(dataset.texts, shown), pick(dataset.labels, shown), strict=True))
