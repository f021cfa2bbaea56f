"""The answer to each text of a run, from the predictions beside its record: ids, labels and outcomes, never a text."""

from pathlib import Path

import pandas as pd

from helpers.core import paths
from helpers.records.storage import PREDICTIONS


def read_answers(file: Path) -> pd.DataFrame:
    """Return the predictions in a file, one row per split and text, with the column `right`.

    Columns `split`, `id`, `label` and `right` always; of a language model also `kind` (`helpers.records.schema_kinds`),
    `tokens_in`, `tokens_out` and `latency_s`.

    Raises:
        OSError, ValueError, KeyError: where the file is not that of a run.
    """
    table = pd.read_parquet(file)
    answers = table["answer" if "answer" in table else "category"]  # a classifier's, a language model's
    return table.assign(right=(table["label"] == answers).fillna(False).astype(bool))


def answers_of_run(origin: str) -> pd.DataFrame | None:
    """Return `read_answers` of the run with this record (`origin`); None where its predictions cannot be read."""
    file = (paths.ROOT / origin).with_name(PREDICTIONS)
    try:
        return read_answers(file)
    except (OSError, ValueError, KeyError):
        return None
