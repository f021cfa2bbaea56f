"""The one rule by which the book names a best model, most and least energy, and a share."""

import math

import pandas as pd
import pytest

from helpers.book.quoted_numbers import numbers
from helpers.claims.ledger import evaluate
from helpers.results.tables import load_tables
from helpers.statistics import selection


def runs(*values: tuple[str, float | None, float | None, float | None]) -> pd.DataFrame:
    return pd.DataFrame(values, columns=["model", "accuracy", "energy_wh", "energy_wh_below"])


def test_of_equally_accurate_models_the_one_with_the_least_energy_is_the_best() -> None:
    rows = runs(("a", 0.91, 32.0, None), ("b", 0.91, 8.0, None), ("c", 0.90, 0.1, None))
    assert selection.most_accurate(rows)["model"] == "b"
    assert list(selection.tied_for_best(rows)["model"]) == ["b", "a"]


def test_a_printed_limit_counts_as_the_energy_and_an_unknown_one_comes_last() -> None:
    rows = runs(("none", 0.5, None, None), ("some", 0.5, 0.02, None), ("limit", 0.5, None, 0.01))
    assert list(selection.tied_for_best(rows)["model"]) == ["limit", "some", "none"]


def test_most_and_least_energy_leave_out_what_is_not_known() -> None:
    rows = runs(("limit", 0.5, None, 0.01), ("less", 0.4, 0.1, None), ("more", None, 700.0, None))
    assert selection.least_energy(rows)["model"] == "less"
    assert selection.most_energy(rows)["model"] == "more"


@pytest.mark.parametrize("pick", [selection.most_accurate, selection.most_energy, selection.least_energy])
def test_without_a_value_there_is_none_to_pick(pick) -> None:
    with pytest.raises(ValueError, match="no run has an"):
        pick(runs(("a", None, None, None)))


def test_shares_add_up_to_one_and_what_is_missing_has_none() -> None:
    shares = selection.shares({"cpu": 1.0, "gpu": 3.0, "ram": None})
    assert shares == {"cpu": 0.25, "gpu": 0.75, "ram": None}
    assert selection.shares({"cpu": 0.0, "gpu": None}) == {"cpu": None, "gpu": None}
    assert selection.shares({"cpu": math.nan, "gpu": 2.0}) == {"cpu": None, "gpu": 1.0}


def test_prose_and_claims_pick_the_same_best_models() -> None:
    tables = load_tables()
    prose = numbers(tables)
    reasons = {item.claim.id: item.reason for item in evaluate(tables)}
    for dataset, claim in (("tomatoes", "tomatoes-traditional-models-behind"),):
        best = f"{prose[f'best.{dataset}.model'].text} {prose[f'best.{dataset}.accuracy'].text}"
        assert best in reasons[claim]
    assert (
        f"next {prose['best.llm.model'].text} {prose['best.llm.accuracy'].text}"
        in (reasons["linear-embedding-most-accurate"])
    )
