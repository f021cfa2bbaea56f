"""Two measured runs over the splits that both have: their values side by side, and the difference of their accuracies."""

import pandas as pd

from helpers.results.predictions import answers_of_run
from helpers.statistics.overlap import effective_texts_of_run
from helpers.statistics.paired import Estimate, accuracy_difference, ratio_over_splits, unpaired_difference

_VALUES = ["split", "texts", "correct", "duration_s", "energy_wh"]


def shared_splits(origin: str, other: str, split_results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per split that both runs have, with the values of the first, and those of the other as `NAME_other`.

    Values: `texts`, `correct`, `duration_s`, `energy_wh`, of one pass; an absent energy is NaN.
    """
    first, second = (
        split_results.loc[split_results["origin"] == name, _VALUES].astype(float) for name in (origin, other)
    )
    return first.merge(second, on="split", suffixes=("", "_other"))


def time_ratio(both: pd.DataFrame) -> Estimate:
    """Return how many times as long the first run of `shared_splits` takes."""
    return ratio_over_splits([both["duration_s"]], [both["duration_s_other"]])


def energy_ratio(both: pd.DataFrame) -> Estimate | None:
    """Return how many times the energy the first run of `shared_splits` takes; None where a split lacks one."""
    if both[["energy_wh", "energy_wh_other"]].isna().any(axis=None):
        return None
    return ratio_over_splits([both["energy_wh"]], [both["energy_wh_other"]])


def energy_per_correct_ratio(both: pd.DataFrame) -> Estimate | None:
    """Return the ratio of energies per correct answer; None where a split lacks an energy or a run has none correct."""
    if both[["energy_wh", "energy_wh_other"]].isna().any(axis=None):
        return None
    if not both["correct"].sum() or not both["correct_other"].sum():
        return None
    return ratio_over_splits(
        [both["energy_wh"], both["correct_other"]], [both["energy_wh_other"], both["correct"]]
    )


def accuracies(both: pd.DataFrame) -> tuple[float, float]:
    """Return the accuracies of both runs of `shared_splits`."""
    texts = both["texts"].sum()
    return float(both["correct"].sum() / texts), float(both["correct_other"].sum() / texts)


def accuracy_gap(origin: str, other: str, dataset: str, both: pd.DataFrame) -> Estimate:
    """Return how much more accurate the first run is, paired over the texts where both runs have their predictions."""
    answers, other_answers = answers_of_run(origin), answers_of_run(other)
    if answers is not None and other_answers is not None:
        return accuracy_difference(answers, other_answers)
    texts = effective_texts_of_run(dataset, int(both["texts"].iloc[0]), len(both))
    return unpaired_difference(*accuracies(both), texts)


def ends(quantity: str, estimate: Estimate | None) -> dict[str, float | None]:
    """Return `QUANTITY_ratio` with `QUANTITY_low` and `QUANTITY_high`; absent where there is no estimate."""
    if estimate is None:
        return dict.fromkeys((f"{quantity}_ratio", f"{quantity}_low", f"{quantity}_high"))
    return {
        f"{quantity}_ratio": estimate.value,
        f"{quantity}_low": estimate.low,
        f"{quantity}_high": estimate.high,
    }


def difference_columns(estimate: Estimate) -> dict[str, object]:
    """Return the columns `difference`, `difference_low`, `difference_high` and `difference_is` of an `accuracy_gap`."""
    return {
        "difference": estimate.value,
        "difference_low": estimate.low,
        "difference_high": estimate.high,
        "difference_is": estimate.interval_is,
    }
