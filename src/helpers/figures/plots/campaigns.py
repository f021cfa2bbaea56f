"""The runs of one campaign, and what a page says that has none of them."""

import pandas as pd

FETCH = "make real-models"


def of_campaign(table: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """Return the rows of `results` or `split_results` of a campaign; live ones of a committed campaign are another source."""
    return table[table["source"] == campaign] if len(table) else table


def not_measured(campaign: str) -> str:
    """Return the sentence for a campaign without records: how to measure it."""
    return (
        f"The campaign {campaign} has no records here: {FETCH} fetches the language models, and "
        f".venv/bin/python -m helpers run {campaign} measures it."
    )
