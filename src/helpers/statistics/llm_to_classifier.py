"""A language model beside the classifiers that were measured on the same texts and machine."""

from typing import Any

import pandas as pd

from helpers.core import units
from helpers.core.errors import UserError
from helpers.results.tables import Tables, select_campaign, select_sequential
from helpers.statistics import paired_runs, selection
from helpers.study.catalogue import model_title

MOST_ACCURATE, FASTEST = "the most accurate classifier", "the fastest classifier that is no less accurate"
"""The classifiers that a language model is compared with (`rival`)."""
_RATIO = ("ratio", "low", "high")
COLUMNS = (
    *(
        "source",
        "dataset",
        "model",
        "family",
        "checkpoint",
        "weights",
        "rival",
        "classifier",
        "splits",
        "texts",
    ),
    *("accuracy", "classifier_accuracy", "difference", "difference_low", "difference_high", "difference_is"),
    *(f"{quantity}_{end}" for quantity in ("time", "energy") for end in _RATIO),
    *("ratio_is", "energy_kind", "checks_failed", "origin"),
)


def comparisons(runs: pd.DataFrame, split_results: pd.DataFrame) -> pd.DataFrame:
    """Return each language model of a campaign's runs beside each of its `rival` classifiers, over the splits that both have.

    Columns `COLUMNS`: ratios are language model to classifier; `difference` is its accuracy less that of the
    classifier. Ends of an interval are absent where there is none.
    """
    compared = [
        _compare(llm, rival, classifier, split_results)
        for _, llm in runs[runs["family"] != "Traditional"].iterrows()
        for rival, classifier in _rivals(llm, runs)
    ]
    return pd.DataFrame([row for row in compared if row is not None], columns=list(COLUMNS))


def comparisons_of_campaign(tables: Tables, campaign: str) -> pd.DataFrame:
    """Return the `comparisons` of the sequential runs of a campaign, committed and live.

    Raises:
        UserError: one line where it has no pair of a classifier and a language model on the same texts.
    """
    runs = select_sequential(select_campaign(tables.results, campaign), invented=True)
    compared = comparisons(runs[runs["accuracy"].notna()], tables.split_results)
    if compared.empty:
        raise UserError(
            f"ratios: {campaign} has no language model and classifier measured on the same texts and machine, expected one "
            f"pair; measure them: python -m helpers run {campaign}"
        )
    return compared


def in_words(compared: "pd.Series[Any]") -> str:
    """Return a row of `comparisons` as a line of text; energies without a counter are called estimated."""
    said = [f"{units.significant(compared['time_ratio'], 3)} times the time"]
    if pd.notna(compared["energy_ratio"]):
        how = "" if compared["energy_kind"] == "measured" else f" ({compared['energy_kind']})"
        said.append(f"{units.significant(compared['energy_ratio'], 3)} times the energy{how}")
    weights = "" if compared["weights"] == "real" else f" ({compared['weights']} weights)"
    return (
        f"{compared['dataset']}: {model_title(compared['model'])}{weights} takes {' and '.join(said)} of "
        f"{model_title(compared['classifier'])}, {compared['rival']}; accuracy {compared['accuracy']:.3f} against "
        f"{compared['classifier_accuracy']:.3f} on {compared['texts'] * compared['splits']} texts"
    )


def _rivals(llm: "pd.Series[Any]", runs: pd.DataFrame) -> list[tuple[str, "pd.Series[Any]"]]:
    alike = (runs["dataset"] == llm["dataset"]) & (runs["machine"] == llm["machine"])
    classifiers = runs[alike & (runs["family"] == "Traditional")]
    if classifiers.empty:
        return []
    rivals = [(MOST_ACCURATE, selection.most_accurate(classifiers))]
    no_less = classifiers[classifiers["accuracy"] >= llm["accuracy"] - selection.TIE]
    fastest = no_less.sort_values("duration_s", kind="stable").head(1)
    rivals += [(FASTEST, row) for _, row in fastest.iterrows() if row["origin"] != rivals[0][1]["origin"]]
    return rivals


def _compare(
    llm: "pd.Series[Any]", rival: str, classifier: "pd.Series[Any]", split_results: pd.DataFrame
) -> dict[str, object] | None:
    origins = str(llm["origin"]), str(classifier["origin"])
    both = paired_runs.shared_splits(*origins, split_results)
    if both.empty:
        return None
    accuracy, other = paired_runs.accuracies(both)
    time = paired_runs.time_ratio(both)
    return {
        **{name: llm[name] for name in ("source", "dataset", "model", "family", "checkpoint", "weights")},
        "rival": rival,
        "classifier": classifier["model"],
        "splits": len(both),
        "texts": int(llm["texts"]),
        "accuracy": accuracy,
        "classifier_accuracy": other,
        **paired_runs.difference_columns(paired_runs.accuracy_gap(*origins, str(llm["dataset"]), both)),
        **paired_runs.ends("time", time),
        **paired_runs.ends("energy", paired_runs.energy_ratio(both)),
        "ratio_is": time.interval_is,
        "energy_kind": llm["energy_kind"],
        "checks_failed": " ".join(
            sorted({*llm["checks_failed"].split(), *classifier["checks_failed"].split()})
        ),
        "origin": " ".join(origins),
    }


def most_accurate_llms(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `comparisons` of the most accurate language model of each dataset and the most accurate classifier."""
    first = compared[compared["rival"] == MOST_ACCURATE]
    best = [
        group.iloc[selection.most_accurate_positions(group["accuracy"].to_list())[0]]
        for _, group in first.groupby("dataset", sort=False)
    ]
    return pd.DataFrame(best, columns=compared.columns)
