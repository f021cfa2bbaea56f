"""The tables below the accuracy-energy frontier."""

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.plots import tables as parts
from helpers.results.weights import run_titles
from helpers.statistics.frontier import CERTAIN, OFF, POSSIBLE
from helpers.study.catalogue import model_title, study


def published(rows: pd.DataFrame) -> str:
    """Return a table of the published runs on a frontier for certain, and a sentence per dataset on those that may be."""
    certain = rows[(rows["on_frontier"] == CERTAIN) & rows["disqualified"].eq("")].sort_values(
        ["dataset", "energy_high_wh"],
        key=lambda column: column.map(_rank) if column.name == "dataset" else column,
    )
    maybe = rows[(rows["on_frontier"] == POSSIBLE) & rows["disqualified"].eq("")]
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in certain["dataset"]],
            "Model": certain["model"].map(model_title),
            "Accuracy": certain["accuracy"].map("{:.2f}".format),
            "Accuracy range": [
                f"{low:.3f} to {high:.3f}"
                for low, high in zip(certain["accuracy_low"], certain["accuracy_high"], strict=True)
            ],
            "Energy (Wh)": _energies(certain, 1.0),
            "Gained": _gains(certain),
            "for energy times": _factors(certain),
        }
    )
    caption = (
        "Published runs certainly on the frontier, by increasing energy of one pass; the range of an accuracy is what figure "
        "and table allow"
    )
    body = html_table(shown, caption, list(shown.columns[2:]))
    sentences = [
        f"{study().datasets[str(dataset)].title}: {parts.titles(group['model'])} "
        "may be on the frontier; rounding or a limit leaves it open."
        for dataset, group in maybe.groupby("dataset", sort=False)
    ]
    return body + parts.remarks(sentences)


def measured(rows: pd.DataFrame) -> str:
    """Return a table of all measured runs: on the frontier of their campaign or not, and in how many resamples."""
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in rows["dataset"]],
            "Campaign": rows["source"],
            "Model": run_titles(rows),
            "Accuracy": rows["accuracy"].map("{:.3f}".format),
            "Energy (mWh)": _energies(rows, 1e3),
            "Energy is": rows["energy_kind"],
            "On the frontier": [
                "no" if on == OFF else f"not counted: {why}" if why else "yes"
                for on, why in zip(rows["on_frontier"], rows["disqualified"], strict=True)
            ],
            "In resamples": rows["share_of_resamples"].map(
                lambda share: f"{100 * share:.0f} %", na_action="ignore"
            ),
        }
    )
    return html_table(
        shown,
        "Measured runs, each campaign by itself; energy of one pass",
        ["Accuracy", "Energy (mWh)", "In resamples"],
    )


def _rank(dataset: str) -> int:
    return list(study().datasets).index(dataset)


def _energies(rows: pd.DataFrame, per_wh: float) -> list[str]:
    return [
        units.significant(per_wh * value, 3)
        if pd.notna(value)
        else f"< {units.significant(per_wh * limit, 1)}"
        for value, limit in zip(rows["energy_wh"], rows["energy_wh_below"], strict=True)
    ]


def _gains(rows: pd.DataFrame) -> list[str | None]:
    """Return what each run adds in printed accuracy to the one of its dataset with the next less energy."""
    gains = rows.groupby("dataset", sort=False)["accuracy"].diff()
    return [None if pd.isna(gain) else "below 0.01" if gain < _CENT / 2 else f"{gain:+.2f}" for gain in gains]


_CENT = 0.01
"""A unit of the last printed digit of an accuracy; what figures alone tell apart differs by less."""


def _factors(rows: pd.DataFrame) -> list[str | None]:
    """Return how many times the energy of the run before it each run takes; at least that, after a limit."""
    before = rows.groupby("dataset", sort=False)["energy_high_wh"].shift()
    factors = rows["energy_low_wh"].astype(float) / before
    exact = rows["energy_wh"].astype(float) / rows.groupby("dataset", sort=False)["energy_wh"].shift().astype(
        float
    )
    return [
        parts.times(value)
        if pd.notna(value)
        else f"> {parts.times(least)}"
        if pd.notna(least) and least > 1
        else None
        for value, least in zip(exact, factors, strict=True)
    ]
