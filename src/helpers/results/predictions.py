"""The answer to each text of a run, from the predictions beside its record: ids, labels and outcomes, never a text."""

from pathlib import Path

import pandas as pd

from helpers.core import paths
from helpers.records.storage import PREDICTIONS, Record
from helpers.study.datasets import sha256_of_ids


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


def contradiction(record: Record, file: Path) -> str | None:
    """Count texts and correct answers again from a run's predictions; returns the first field that says otherwise.

    Args:
        record: of the run.
        file: its predictions; where they cannot be read there is nothing to compare, and the hash in the record differs.
    """
    try:
        table = read_answers(file)[["split", "id", "right"]]
    except (OSError, ValueError, KeyError):
        return None
    for split in record.splits:
        rows = table[table["split"] == split.split]
        field, correct = f"splits.{split.split}", int(rows["right"].sum())
        if len(rows) != split.texts:
            return f"{field}: texts: {split.texts}, but {PREDICTIONS} has {len(rows)}"
        if split.correct is not None and correct != split.correct:
            return f"{field}: correct: {split.correct}, but {PREDICTIONS} has {correct}"
        if sha256_of_ids(rows["id"].tolist()) != split.test_ids_sha256:
            return f"{field}: test_ids_sha256: not that of the ids in {PREDICTIONS}"
    return None
