"""A campaign that nobody measured, as `reference-llm-cpu` is planned: classifiers and small language models on a CPU.

Its records, and the predictions beside them, say what a test asks for; energies are estimated, as without a counter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.records.storage import PREDICTIONS, Component, Energy
from helpers.results.tables import Tables, load_tables
from helpers.study.catalogue import study
from tests.figures.test_any_campaign import Invented, record_of

CAMPAIGN = "stub-llm-cpu"
DATASETS = ("news", "yelp", "tomatoes", "emotion")
CLASSIFIERS = {
    "linear-bow": (0.60, 0.02),
    "linear-tfidf": (0.62, 0.01),
    "linear-embedding": (0.80, 15.0),
    "xgboost-bow": (0.55, 0.03),
    "xgboost-tfidf": (0.56, 0.04),
    "xgboost-embedding": (0.70, 16.0),
}
"""Accuracy, and seconds of a pass."""
LLMS = {
    "qwen2.5-coder-0.5b": (0.45, 130.0),
    "qwen2.5-coder-1.5b": (0.52, 330.0),
    "smollm2-135m": (0.02, 420.0),
}
TEXTS = 200


@dataclass(frozen=True)
class Plan:
    """What the records of a campaign say."""

    values: Mapping[str, tuple[float, float]]
    """Accuracy, and seconds of a pass, by model."""
    splits: int = 10
    splits_of: tuple[tuple[str, int], ...] = ()
    """Models with another number of splits."""
    datasets: tuple[str, ...] = DATASETS
    energy: str = "estimated"
    """`estimated`, `measured` or `none`."""
    predictions: bool = True


def planned(**values: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """Return the values of all models, with those of some language models replaced: `qwen_1_5b=(0.9, 330.0)`."""
    short = {"qwen_0_5b": "qwen2.5-coder-0.5b", "qwen_1_5b": "qwen2.5-coder-1.5b", "smollm2": "smollm2-135m"}
    return CLASSIFIERS | LLMS | {short[name]: value for name, value in values.items()}


def load(folder: Path, plan: Plan) -> Tables:
    """Write the records of a plan into an empty folder and return the results tables with them alone."""
    fewer = dict(plan.splits_of)
    for number, (model, dataset) in enumerate(_runs(plan)):
        accuracy, seconds = plan.values[model]
        splits = fewer.get(model, plan.splits)
        run = Invented(
            model, dataset, "box", 0, splits=splits, seconds=seconds, correct=round(accuracy * TEXTS)
        )
        record = record_of(run, number, CAMPAIGN)
        told = [
            item.model_copy(update={"energy": _energy(plan.energy, item.duration_s)})
            for item in record.splits
        ]
        file = folder / CAMPAIGN / f"run-{number}" / "record.json"
        file.parent.mkdir(parents=True)
        file.write_text(record.model_copy(update={"splits": told}).model_dump_json(), encoding="utf-8")
        if plan.predictions:
            _predictions(model, dataset, accuracy, splits).to_parquet(file.with_name(PREDICTIONS))
    return load_tables(committed=folder / "none", live=folder)


def _runs(plan: Plan) -> Iterable[tuple[str, str]]:
    return ((model, dataset) for model in plan.values for dataset in plan.datasets)


def _energy(kind: str, seconds: float) -> Energy:
    missing = Component(energy_wh=None, method="missing")
    if kind == "none":
        return Energy(cpu=missing, gpu=missing, ram=missing, ram_codecarbon=missing)
    methods = {"estimated": "estimated:cpu-load", "measured": "measured:rapl"}
    memory = Component(energy_wh=6 * seconds / 3600, method="estimated:ram-0.375W/GB")
    cpu = Component.model_validate({"energy_wh": 40 * seconds / 3600, "method": methods[kind]})
    return Energy(cpu=cpu, gpu=missing, ram=memory, ram_codecarbon=memory)


def _predictions(model: str, dataset: str, accuracy: float, splits: int) -> pd.DataFrame:
    """Return answers of which the right number is right in each split; which ones differs between models."""
    label, wrong = study().datasets[dataset].labels[:2]
    order = np.random.default_rng(sorted(study().models).index(model))
    parts = [
        pd.DataFrame(
            {
                "split": split,
                "id": range(split * TEXTS, (split + 1) * TEXTS),
                "label": label,
                "answer": np.where(order.permutation(TEXTS) < round(accuracy * TEXTS), label, wrong),
            }
        )
        for split in range(splits)
    ]
    return pd.concat(parts, ignore_index=True)
