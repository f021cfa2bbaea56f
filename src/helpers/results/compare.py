"""Accuracies of a campaign beside the published ones of the same model and dataset."""

from typing import Any

import pandas as pd

from helpers.core.errors import UserError
from helpers.results.tables import select_campaign
from helpers.results.weights import quantisation_of
from helpers.study.catalogue import PAPER_EMBEDDING, LanguageModel, study

CLOSE, NEAR = 0.05, 0.08


def compare(results: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """Return one row per model and dataset that both have: published and measured accuracy, difference.

    A live campaign of the name of a committed one stands beside it, as another source. `comparable` is
    whether the model is the paper's, and asked as there as far as the paper says: it is not where another checkpoint was
    used, or a language model was quantised, constrained or shown examples. `protocol`: how a language model was asked
    (`helpers.study.protocols`).

    Raises:
        UserError: one line where the campaign has no such run.
    """
    measured = select_campaign(results, campaign)
    measured = measured[measured["accuracy"].notna()]  # dummy weights have none
    published = results[(results["source"] == "published") & (results["nodes"] == 1)]
    published = published[published["accuracy"].notna()]
    both = measured.merge(published, on=["model", "dataset"], suffixes=("", "_published"))
    if both.empty:
        raise UserError(f"compare: {campaign} has no run that the paper publishes an accuracy for")
    return pd.DataFrame(
        {
            "source": both["source"],
            "dataset": both["dataset"],
            "model": both["model"],
            "protocol": both["protocol"],
            "dspy_cache": both["dspy_cache"],
            "published": both["accuracy_published"],
            "measured": both["accuracy"].round(4),
            "difference": (both["accuracy"] - both["accuracy_published"]).round(4),
            "comparable": [_comparable(row) for _, row in both.iterrows()],
        }
    ).sort_values(["source", "dataset", "model", "protocol", "dspy_cache"], ignore_index=True)


def _comparable(row: "pd.Series[Any]") -> bool:
    model = study().models[str(row["model"])]
    if not isinstance(model, LanguageModel):
        return bool(pd.isna(row["checkpoint"]) or row["checkpoint"] == PAPER_EMBEDDING)
    as_asked = row["output_mode"] == "free" and "," not in str(row["prompt"])
    own_weights = pd.isna(row["quantisation"]) and not quantisation_of(row)
    return bool(row["checkpoint"] == model.checkpoint and as_asked and own_weights)


def summary(table: pd.DataFrame) -> str:
    """Say how many of the comparable cells agree, and how closely; each way of asking beside the companion's for itself."""
    cached = table["dspy_cache"].eq(True).map({True: " with its cache", False: ""})
    return "; ".join(
        ("" if name == "companion" else f"protocol {name}: ") + _summary(rows)
        for name, rows in table.groupby(table["protocol"].fillna("companion") + cached)
    )


def _summary(table: pd.DataFrame) -> str:
    apart = table.loc[table["comparable"], "difference"].abs()
    others = len(table) - len(apart)
    note = f"; {others} rows use another checkpoint or other settings and are not counted" if others else ""
    if apart.empty:
        return f"no comparable cells{note}"
    return (
        f"{len(apart)} comparable cells: {(apart <= CLOSE).sum()} within {CLOSE}, "
        f"{(apart <= NEAR).sum()} within {NEAR}, largest difference {apart.max():.3f}{note}"
    )
