"""Runs that may stand side by side, with the interval in which each published number lies."""

import html

import pandas as pd

from helpers.figures.html import Markup
from helpers.figures.plots import scatter
from helpers.results.tables import Tables

_RUN = ["model", "dataset", "machine", "gpus", "nodes"]


def comparable(tables: Tables) -> pd.DataFrame:
    """Return the measured runs, and of the published ones those with an accuracy: Tables B1, B4 and B5, one node.

    Rows of `results` that have an energy or a limit for it. Added columns: `accuracy_low`, `accuracy_high`,
    `energy_low_wh`, `energy_high_wh`, the bounds of rounding and reading; an energy printed as a limit lies
    between zero and the limit. `accuracy_read` is where a mark is drawn: the most precise reading that agrees with the
    printed accuracy (Figures 1 and 7), and `read_low`, `read_high` are the bounds that print and readings leave
    together. For measured runs all of them are the value itself.
    """
    rows = scatter.side_by_side(tables.results)
    rows = rows[scatter.drawable(rows)].reset_index(drop=True)
    precise = rows.merge(_readings(tables.observations), on=_RUN, how="left", validate="many_to_one")
    use = (rows["source"] == "published") & precise["best"].notna()
    margin = rows["accuracy_uncertainty"].astype(float).fillna(0)
    rows["accuracy_low"] = (rows["accuracy"] - margin).clip(lower=0)
    rows["accuracy_high"] = rows["accuracy"] + margin
    rows["accuracy_read"] = precise["best"].where(use, rows["accuracy"])
    rows["read_low"] = precise["low"].where(use, rows["accuracy_low"])
    rows["read_high"] = precise["high"].where(use, rows["accuracy_high"])
    rows["origin"] = [
        " ".join(sorted({*origin.split(), *more.split()})) if used else origin
        for origin, more, used in zip(rows["origin"], precise["origins"].fillna(""), use, strict=True)
    ]
    energy, spread = rows["energy_wh"].astype(float), rows["energy_uncertainty_wh"].astype(float).fillna(0)
    rows["energy_low_wh"] = (energy - spread).clip(lower=0).fillna(0.0)
    rows["energy_high_wh"] = (energy + spread).fillna(rows["energy_wh_below"].astype(float))
    return scatter.sorted_by_study(rows)


def folded(summary: str, body: str) -> Markup:
    """Return a part of a page that is closed at first; the summary is text, the body HTML."""
    return Markup(f"<details><summary>{html.escape(summary)}</summary>{body}</details>")


def _readings(observations: pd.DataFrame) -> pd.DataFrame:
    """Return per published run the accuracy that all its readings allow, where they agree."""
    seen = observations[(observations["source"] == "published") & (observations["quantity"] == "accuracy")]
    seen = seen.assign(low=seen["value"] - seen["uncertainty"], high=seen["value"] + seen["uncertainty"])
    seen = seen.sort_values("uncertainty", kind="stable")
    runs = seen.groupby(_RUN, dropna=False, sort=False).agg(
        low=("low", "max"),
        high=("high", "min"),
        best=("value", "first"),
        origins=("origin", " ".join),
    )
    runs["best"] = runs["best"].clip(runs["low"], runs["high"])
    return runs[runs["low"] <= runs["high"]].reset_index()
