"""Texts that the test sets of a run share, by the ids that it keeps or the size of the pool, and what they leave of its texts."""

from helpers.results.predictions import answers_of_run
from helpers.statistics.accuracy_noise import effective_texts, expected_overlap, mean_overlap
from helpers.study.catalogue import study


def effective_texts_of_run(dataset: str, texts: int, splits: int, origin: str | None = None) -> float:
    """Return how many independent texts the mean accuracy of a run stands for (`accuracy_noise.effective_texts`).

    Args:
        dataset: id of the dataset.
        texts: texts of a test set.
        splits: number of test sets.
        origin: as of `overlap_of_run`.
    """
    return effective_texts(texts, splits, overlap_of_run(origin, dataset))


def overlap_of_run(origin: str | None, dataset: str) -> float:
    """Return the share of texts that two test sets of a run have in common on average.

    Counted from the predictions beside its record, `origin`; where there are none that can be read, or those of one split, as
    of published runs, the expected share for the least pool that the study allows for the dataset.
    """
    entry = study().datasets[dataset]
    answers = answers_of_run(origin) if origin else None
    if answers is not None:
        sets = [set(part) for _, part in answers.groupby("split")["id"]]
        if len(sets) > 1:
            return mean_overlap(sets)
    return expected_overlap(entry.split.test, entry.pool)
