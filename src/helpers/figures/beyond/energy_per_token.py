"""Energy and emissions per token of measured language models, beside the energy per correct answer."""

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.plots import tables as parts
from helpers.results.weights import run_titles
from helpers.study.carbon_intensity import HOME, grids
from helpers.study.catalogue import study

COLUMNS = ("j_per_output_token", "j_per_token", "g_co2e_per_million_tokens")
"""In J and in g CO2e; a token of the latter two is one that is read or generated. Null for models without tokens, for
published rows, whose tokens the paper does not print, and without an energy."""


def measured_rows(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with an energy per token: measured language models whose engine reports tokens."""
    return costs[costs["j_per_token"].notna()]


def table(costs: pd.DataFrame) -> str:
    """Return the table of the `measured_rows`, or the sentence that stands for it."""
    rows = measured_rows(costs)
    if rows.empty:
        return parts.paragraph("Energy per token: no language model was measured by us.")
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
            f"g CO₂e per million tokens ({grids()[HOME].title})": _three(rows["g_co2e_per_million_tokens"]),
        }
    )
    caption = (
        "Measured language models: energy of one pass divided by its tokens; the paper prints no token counts"
    )
    return html_table(shown, caption, list(shown.columns[4:]))


def _each(rows: pd.DataFrame, name: str) -> list[str]:
    return [f"{value:.0f}" for value in rows[name].astype(float) / rows["texts"].astype(float)]


def _three(values: pd.Series) -> list[str]:
    return [units.significant(value, 3) for value in values]
