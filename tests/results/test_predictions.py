"""The answers beside a record, of classifiers and language models."""

import pandas as pd

from helpers.core import paths
from helpers.records.storage import PREDICTIONS
from helpers.results.predictions import answers_of_run, read_answers


def test_a_classifiers_answer_is_compared_with_the_label(tmp_path):
    file = tmp_path / PREDICTIONS
    frame = pd.DataFrame({"split": 0, "id": [3, 5], "label": ["a", "b"], "answer": ["a", "a"]})
    frame.to_parquet(file)
    assert list(read_answers(file)["right"]) == [True, False]


def test_a_language_model_without_a_category_is_wrong(tmp_path):
    frame = pd.DataFrame({"split": 0, "id": [3, 5], "label": ["a", "b"], "category": ["a", None]})
    frame.to_parquet(tmp_path / PREDICTIONS)
    answers = answers_of_run(str(tmp_path / "record.json"))
    assert list(answers["right"]) == [True, False]


def test_a_run_without_predictions_or_with_a_broken_file_has_no_answers(tmp_path):
    origin = str(tmp_path / "record.json")
    assert answers_of_run(origin) is None
    (tmp_path / PREDICTIONS).write_bytes(b"no parquet")
    assert answers_of_run(origin) is None
    pd.DataFrame({"split": [0]}).to_parquet(tmp_path / PREDICTIONS)
    assert answers_of_run(origin) is None


def test_committed_predictions_agree_with_their_records():
    file = next((paths.MEASUREMENTS / "reference-cpu").glob("*/record.json"))
    answers = answers_of_run(paths.relative(file))
    assert {"split", "id", "label", "right"} <= set(answers.columns)
