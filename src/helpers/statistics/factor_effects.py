"""What a change of one factor does to the time, the accuracy and the energy of a language model."""

from typing import Any

import pandas as pd

from helpers.results.predictions import answers_of_run
from helpers.statistics import paired_runs
from helpers.statistics.paired import Estimate, with_texts_interval

QUANTITIES = ("time", "energy", "per_correct")
"""Ratios of a run to its partner: duration, energy, and energy per correct answer."""
EFFECTS = (
    *("shared_splits", "difference", "difference_low", "difference_high", "difference_is"),
    *(f"{quantity}_{end}" for quantity in QUANTITIES for end in ("ratio", "low", "high")),
    "ratio_is",
)


def effects(runs: pd.DataFrame, split_results: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `one_factor.partners` with what sets each changed run apart from its partner.

    Added columns `EFFECTS`: ratios to the partner over the splits that both have, with the ends of their intervals, over
    the texts where there is a single split, and what these are (`ratio_is`); `difference` is accuracy less that of the
    partner, paired over the texts. Absent for a run without a partner, and where there is no interval.
    """
    compared = pd.DataFrame(
        [_effect(row, split_results) for row in runs.to_dict("records")],
        index=runs.index,
        columns=list(EFFECTS),
    )
    return pd.concat([runs, compared], axis="columns")


def _effect(run: dict[Any, Any], split_results: pd.DataFrame) -> dict[str, object]:
    if run["role"] != "changed":
        return {}
    origins = str(run["origin"]), str(run["partner"])
    both = paired_runs.shared_splits(*origins, split_results)
    if both.empty:
        return {}
    answers, other_answers = map(answers_of_run, origins)

    def over_texts(ratio: Estimate | None, *, per_correct: bool = False) -> Estimate | None:
        if ratio is None or answers is None or other_answers is None:
            return ratio
        return with_texts_interval(ratio, answers, other_answers, per_correct=per_correct)

    time = over_texts(paired_runs.time_ratio(both))
    return {
        "shared_splits": len(both),
        **paired_runs.difference_columns(paired_runs.accuracy_gap(*origins, str(run["dataset"]), both)),
        **paired_runs.ends("time", time),
        **paired_runs.ends("energy", over_texts(paired_runs.energy_ratio(both))),
        **paired_runs.ends(
            "per_correct", over_texts(paired_runs.energy_per_correct_ratio(both), per_correct=True)
        ),
        "ratio_is": time.interval_is if time else None,
    }
