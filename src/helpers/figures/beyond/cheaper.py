"""What would make a language model cheaper: one factor changed at a time, on one machine, beside the run without the change."""

import pandas as pd

from helpers.figures.beyond import cheaper_panels, cheaper_tables, cheaper_words
from helpers.figures.display import Figure
from helpers.figures.plots import scatter
from helpers.figures.plots import tables as parts
from helpers.figures.plots.campaigns import not_measured, of_campaign
from helpers.results.tables import Tables
from helpers.statistics.factor_effects import EFFECTS, effects
from helpers.statistics.one_factor import partners, with_factors

CAMPAIGN = "factors-cpu"
_COLUMNS = [
    *(
        "source",
        "dataset",
        "model",
        "machine",
        "role",
        "factor",
        "level",
        "engine",
        "weights",
        "quantisation",
    ),
    *("prefix_caching", "concurrency", "prompt", "output_mode", "protocol", "splits", "texts"),
    *("accuracy", "accuracy_sd", "duration_s", "energy_wh", "energy_kind", "wh_per_correct"),
    *("tokens_in", "tokens_out", "parse_failures", *EFFECTS, "checks_failed", "partner", "origin"),
]


def cheaper(tables: Tables) -> Figure:
    """Show what each change of one factor does to time, accuracy and energy per correct answer of a language model.

    A run is compared with the one that differs from it in that factor alone, over the splits and texts that both have.
    """
    return draw(compared(rows(tables.results), tables.split_results))


def draw(data: pd.DataFrame) -> Figure:
    """Draw the `compared` runs, and set them beside the paper's own list of what it left out (section 5)."""
    changed = data[data["time_ratio"].notna()]
    return Figure(
        name="cheaper",
        label="One factor at a time",
        finding=cheaper_words.finding(changed) if len(changed) else not_measured(CAMPAIGN),
        note=cheaper_words.note(data),
        data=data,
        function="helpers.figures.beyond.cheaper.cheaper",
        panels=cheaper_panels.panels(changed),
        body=cheaper_tables.body(data, changed),
        inputs=parts.inputs(data["origin"]) or ["data/study/models.yaml"],
    )


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the campaign with what each changes, its `level` in words, and Wh per correct answer.

    Columns of `results` and of `one_factor.partners`.
    """
    runs = of_campaign(results, CAMPAIGN)
    runs = scatter.sorted_by_study(runs[(runs["family"] != "Traditional") & runs["accuracy"].notna()])
    runs = partners(with_factors(runs))
    correct = runs["texts"].astype(float) * runs["accuracy"].astype(float)
    return runs.assign(
        level=pd.Series(
            [cheaper_words.level(row) for row in runs.to_dict("records")], runs.index, dtype=object
        ),
        wh_per_correct=(runs["energy_wh"].astype(float) / correct).where(correct > 0),
    )


def compared(runs: pd.DataFrame, split_results: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` with their `factor_effects.effects`; by dataset, the changes in the order of the factors."""
    levels = cheaper_words.ordered(set(runs["level"]))
    by_level = effects(
        runs.sort_values("level", key=lambda names: names.map(levels.index), kind="stable"), split_results
    )
    return scatter.sorted_by_study(by_level)[_COLUMNS].reset_index(drop=True)
