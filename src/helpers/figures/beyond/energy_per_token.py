"""Energy and emissions per token of measured language models, beside the energy per correct answer."""

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.plots import tables as parts
from helpers.results.weights import run_titles
from helpers.study.carbon_intensity import co2e_g, grids
from helpers.study.catalogue import study

HOME = "germany"
"""The grid of the paper's machines, as on the page on emissions."""
MILLION, J_PER_WH = 1e6, 3600.0
COLUMNS = ("j_per_output_token", "j_per_token", "g_co2e_per_million_tokens")
"""In J and in g CO2e; a token of the latter two is one that is read or generated."""


def per_token(runs: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `results` with `COLUMNS`: energy of a pass by the tokens of a pass, means over the splits.

    Null for models without tokens, for published rows, whose tokens the paper does not print, and without an energy.
    """
    energy_wh = runs["energy_wh"].astype(float)
    generated = _positive(runs["tokens_out"])
    total = _positive(runs["tokens_in"]) + generated
    grams = energy_wh.map(lambda wh: co2e_g(wh, grids()[HOME]))
    return runs.assign(
        j_per_output_token=energy_wh * J_PER_WH / generated,
        j_per_token=energy_wh * J_PER_WH / total,
        g_co2e_per_million_tokens=MILLION * grams / total,
    )


def measured_rows(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with an energy per token: measured language models whose engine reports tokens."""
    return costs[costs["j_per_token"].notna()]


def table(costs: pd.DataFrame) -> str:
    """Return the table of the `measured_rows`, or the sentence that stands for it."""
    rows = measured_rows(costs)
    if rows.empty:
        return parts.paragraph("Energy per token: no language model was measured on this machine.")
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in rows["dataset"]],
            "Model": run_titles(rows),
            "Campaign": rows["source"],
            "Energy is": rows["energy_kind"],
            "Tokens in, per text": _each(rows, "tokens_in"),
            "out, per text": _each(rows, "tokens_out"),
            "J per output token": _three(rows["j_per_output_token"]),
            "J per token": _three(rows["j_per_token"]),
            f"g CO2e per million tokens ({grids()[HOME].title})": _three(rows["g_co2e_per_million_tokens"]),
        }
    )
    caption = "Measured language models, energy of one pass by its tokens; what the paper's models generate is not printed"
    return html_table(shown, caption, list(shown.columns[4:]))


def _positive(tokens: pd.Series) -> pd.Series:
    counts = tokens.astype(float)
    return counts.where(counts > 0)


def _each(rows: pd.DataFrame, name: str) -> list[str]:
    return [f"{value:.0f}" for value in rows[name].astype(float) / rows["texts"].astype(float)]


def _three(values: pd.Series) -> list[str]:
    return [units.significant(value, 3) for value in values]
