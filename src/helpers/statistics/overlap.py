"""Texts that the test sets of a run share, by the ids that it keeps or the size of the pool, and what they leave of its texts."""

from pathlib import Path

import pandas as pd

from helpers.core import paths
from helpers.records.storage import PREDICTIONS
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

    Counted from the predictions beside its record, `origin`; where there are none, or those of one split, as of
    published runs, the expected share for the least pool that the study allows for the dataset.
    """
    entry = study().datasets[dataset]
    file = paths.ROOT / Path(origin).with_name(PREDICTIONS) if origin else None
    if file is not None and file.is_file():
        ids = pd.read_parquet(file, columns=["split", "id"])
        sets = [set(part) for _, part in ids.groupby("split")["id"]]
        if len(sets) > 1:
            return mean_overlap(sets)
    return expected_overlap(entry.split.test, entry.pool)
