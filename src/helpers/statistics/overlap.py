"""How many texts the test sets of a dataset share, by the ids that a run keeps, or by the size of the pool."""

from pathlib import Path

import pandas as pd

from helpers.core import paths
from helpers.records.storage import PREDICTIONS
from helpers.statistics.accuracy_noise import expected_overlap, mean_overlap
from helpers.study.catalogue import study


def overlap_of_run(origin: str, dataset: str) -> float:
    """Return the share of texts that two test sets of a run have in common on average.

    Counted from the predictions beside its record, `origin`; where there are none, or those of one split, as of
    published runs, what is to be expected of the least pool that the study allows for the dataset.
    """
    entry = study().datasets[dataset]
    file = paths.ROOT / Path(origin).with_name(PREDICTIONS)
    if file.is_file():
        ids = pd.read_parquet(file, columns=["split", "id"])
        sets = [set(part) for _, part in ids.groupby("split")["id"]]
        if len(sets) > 1:
            return mean_overlap(sets)
    return expected_overlap(entry.split.test, entry.pool)
