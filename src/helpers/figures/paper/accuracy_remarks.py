"""Remarks on the accuracies of Tables B4 and B5: below the best guess, or away from the published value?"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.plots import tables as parts
from helpers.figures.plots.scatter import other_embeddings
from helpers.results.weights import of_the_papers_models
from helpers.statistics.accuracy_gaps import CLEAR, verdict
from helpers.statistics.accuracy_noise import Z, standard_error
from helpers.statistics.overlap import effective_texts_of_run
from helpers.study.catalogue import model_title, study

_ALIKE = 0.005
"""By so much more than its share of all labels a label may be frequent, and still be called as frequent as others."""


def chance(dataset: str) -> float:
    """Return the accuracy of always naming the most frequent label, or the least that it can be."""
    return study().datasets[dataset].chance


def below_chance(published: pd.DataFrame, measured: pd.DataFrame, datasets: Sequence[str]) -> Iterator[str]:
    """Yield the accuracy of always naming the most frequent label, and a sentence for every model of the paper below it.

    Measured rows of other models, and of quantised weights, add nothing. Whether answers could be read as labels is known of
    our runs alone (`parse_failures`).
    """
    rows = pd.concat([published, measured[of_the_papers_models(measured)]], ignore_index=True)
    below = rows[rows["accuracy"] + rows["accuracy_uncertainty"].fillna(0) < rows["chance"]]
    levels = [f"{chance(name):.2f} on {name} ({_most_frequent(name)})" for name in datasets]
    lead = f"Always naming the most frequent label gives an accuracy of {parts.listed(levels)}"
    yield (
        f"{lead}."
        if len(below)
        else f"{lead}; no accuracy of a model of the paper, published or measured, is below that."
    )
    for _, row in below.iterrows():
        peers = rows[
            (rows["dataset"] == row["dataset"])
            & (rows["source"] == row["source"])
            & ((rows["family"] == "Traditional") == (row["family"] == "Traditional"))
            & (rows["model"] != row["model"])
        ]["accuracy"]
        trained = row["family"] == "Traditional"
        kind = "traditional models" if trained else "LLMs"
        source = "" if row["source"] == "published" else f" ({row['source']})"
        others = f" The other {kind} reach {peers.min():.2f} to {peers.max():.2f}." if len(peers) else ""
        meaning = "" if trained else f" {_answers_read(row)}"
        noise = Z * standard_error(row["accuracy"], _effective_texts(row))
        within = row["chance"] - row["accuracy"] <= noise
        doubt = f", but within the noise of {int(row['splits'])} test sets (± {noise:.2f})" if within else ""
        yield (
            f"{model_title(row['model'])} has an accuracy of {row['accuracy']:.2f} on {row['dataset']}{source}, below the "
            f"{row['chance']:.2f} of always naming the most frequent label{doubt}.{others}{meaning}"
        )


def _answers_read(row: "pd.Series[Any]") -> str:
    """Say how many answers of a language model were not read as labels, as far as that is known."""
    if row["source"] == "published":
        return "The paper does not say how many of its answers could be read as labels."
    failures = row["parse_failures"]
    if pd.isna(failures):
        return "Its record does not say how many of its answers could be read as labels."
    if failures == 0:
        return "All of its answers were read as labels."
    return f"Of {int(row['texts'])} answers, {units.significant(float(failures), 3)} could not be read as labels."


def _most_frequent(dataset: str) -> str:
    """Return the most frequent label in words; that all are alike where they are."""
    entry = study().datasets[dataset]
    if entry.largest_class is None:
        return "at least: the shares of its labels are not known"
    alike = entry.largest_class.share * len(entry.labels) < 1 + _ALIKE
    return f"{len(entry.labels)} equally frequent labels" if alike else entry.largest_class.label


def _effective_texts(row: "pd.Series[Any]") -> float:
    return effective_texts_of_run(
        str(row["dataset"]), int(row["texts"]), int(row["splits"]), str(row["origin"])
    )


def differs_by_noise(row: "pd.Series[Any]") -> bool | None:
    """Return whether an accuracy and the published one differ by no more than noise and rounding; None without both.

    `row`: a measured row with `published_accuracy`, its uncertainty, `splits_published` and `texts_published`.
    """
    if pd.isna(row["published_accuracy"]) or pd.isna(row["accuracy"]):
        return None
    texts, splits = int(row["texts_published"]), int(row["splits_published"])
    published_texts = effective_texts_of_run(str(row["dataset"]), texts, splits)
    error = math.hypot(
        standard_error(row["accuracy"], _effective_texts(row)),
        standard_error(row["published_accuracy"], published_texts),
    )
    gap = abs(row["accuracy"] - row["published_accuracy"])
    return verdict(gap, row["published_accuracy_uncertainty"], error) != CLEAR


def agreement(measured: pd.DataFrame) -> Iterator[str]:
    """Yield which measured accuracies differ from the published ones by more than test texts and rounding explain."""
    compared = measured[measured["published_accuracy"].notna() & measured["accuracy"].notna()]
    if compared.empty:
        return
    away = compared[~compared["differs_by_noise"].astype(bool)]
    named = [
        f"{model_title(str(model))} on {dataset} ({', '.join(part['source'])}{_other_embedding(part)})"
        for (dataset, model), part in away.groupby(["dataset", "model"], sort=False)
    ]
    yield (
        f"{len(compared) - len(away)} of {len(compared)} measured accuracies differ from the published one by no more than "
        "rounding and the noise of the test texts (95 %, means over splits)"
        + (f"; the others are {parts.listed(named)}." if named else ".")
    )


def _other_embedding(rows: pd.DataFrame) -> str:
    other = other_embeddings(rows)
    return f"; embedding {', '.join(other)}" if other else ""
