"""Classifiers and language models measured on one machine: how many times the time and energy, for how much accuracy."""

from collections.abc import Sequence

import pandas as pd

from helpers.claims.catalogue import CLAIMS
from helpers.claims.ledger import Assessment, evaluate
from helpers.core.paths import relative
from helpers.figures.beyond import one_machine_panels, one_machine_tables, one_machine_words
from helpers.figures.display import Figure
from helpers.figures.plots import scatter
from helpers.figures.plots import tables as parts
from helpers.figures.plots.campaigns import not_measured, of_campaign
from helpers.figures.plots.comparable import comparable
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import selection
from helpers.statistics.llm_to_classifier import COLUMNS, MOST_ACCURATE, comparisons

CAMPAIGN = "reference-llm-cpu"


def one_machine(tables: Tables) -> Figure:
    """Show accuracy against time of classifiers and language models of one campaign, and what the paper has beside it.

    Each language model is compared with the most accurate classifier of its dataset, and with the fastest that is no
    less accurate: accuracies paired over the texts, durations and energies over the splits that both have. The published
    ratios are those of the most accurate language model to the most accurate classifier, with the accounting as published.
    """
    runs = rows(tables.results)
    measured = comparisons(runs, tables.split_results)
    return draw(runs, measured, published(tables), evaluate(tables, CAMPAIGN))


def draw(
    runs: pd.DataFrame, measured: pd.DataFrame, printed: pd.DataFrame, ledger: Sequence[Assessment]
) -> Figure:
    """Draw `rows` with their `comparisons`, beside those of the `published` runs and the claims tested with the campaign."""
    tested = one_machine_tables.claims(ledger) if len(runs) else ""
    return Figure(
        name="one_machine",
        label="The paper's comparison on one machine",
        finding=one_machine_words.finding(measured, printed) if len(measured) else not_measured(CAMPAIGN),
        note=one_machine_words.note(runs),
        data=pd.concat([measured, printed], ignore_index=True),
        function="helpers.figures.beyond.one_machine.one_machine",
        panels=one_machine_panels.panels(runs, measured),
        body=one_machine_tables.body(runs, measured, printed) + tested,
        inputs=parts.inputs(runs["origin"], printed["origin"]) + ([relative(CLAIMS)] if tested else []),
    )


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the sequential runs of the campaign that have an accuracy, with seconds and Wh per 1000 texts."""
    runs = of_campaign(select_sequential(results), CAMPAIGN)
    runs = scatter.sorted_by_study(runs[runs["accuracy"].notna()])
    per_1000 = 1000 / runs["texts"].astype(float)
    return runs.assign(
        s_per_1000_texts=runs["duration_s"].astype(float) * per_1000,
        wh_per_1000_texts=runs["energy_wh"].astype(float) * per_1000,
    )


def published(tables: Tables) -> pd.DataFrame:
    """Return the paper's most accurate language model beside its most accurate classifier, on each public dataset.

    Columns of `llm_to_classifier.comparisons`. Ends of intervals are what the rounding of the printed values, or the
    reading of a figure, allows; durations on these datasets are not printed. A classifier whose energy is printed as a
    limit only leaves the lower end of the ratio.
    """
    runs = comparable(tables)
    runs = runs[(runs["source"] == "published") & runs["origin"].str.contains("table_b4|table_b5")]
    compared = [_compare_published(group) for _, group in runs.groupby("dataset", sort=False)]
    return pd.DataFrame(compared, columns=list(COLUMNS))


def _compare_published(runs: pd.DataFrame) -> dict[str, object]:
    llm, classifier = (
        selection.most_accurate(runs[(runs["family"] == "Traditional") == traditional])
        for traditional in (False, True)
    )
    low, high = classifier["energy_low_wh"], classifier["energy_high_wh"]
    return {
        **{name: llm[name] for name in ("source", "dataset", "model", "family", "texts", "accuracy")},
        "energy_kind": ", ".join(sorted({llm["energy_kind"], classifier["energy_kind"]})),
        "rival": MOST_ACCURATE,
        "classifier": classifier["model"],
        "classifier_accuracy": classifier["accuracy"],
        "difference": llm["accuracy"] - classifier["accuracy"],
        "difference_low": llm["accuracy_low"] - classifier["accuracy_high"],
        "difference_high": llm["accuracy_high"] - classifier["accuracy_low"],
        "difference_is": "rounding",
        "energy_ratio": llm["energy_wh"] / classifier["energy_wh"],
        "energy_low": llm["energy_low_wh"] / high,
        "energy_high": llm["energy_high_wh"] / low if low > 0 else None,
        "ratio_is": "rounding",
        "origin": f"{llm['origin']} {classifier['origin']}",
    }
