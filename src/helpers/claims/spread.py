"""Claims of section 4 about test sets and the dispersion over them."""

import math
import statistics
from collections.abc import Mapping
from functools import partial

from helpers.claims.cells import Run
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.source import Row
from helpers.claims.source import number as cell
from helpers.claims.values import Untestable, Value
from helpers.claims.wording import dataset_title, number
from helpers.results.accounting import TITLES
from helpers.statistics.accuracy_noise import split_variance
from helpers.statistics.overlap import overlap_of_run
from helpers.study.catalogue import model_title, study

_Run = tuple[str, ...]
"""Model, dataset and record."""


_TEST_SETS = 10
"""Of the paper (section 4); the scatter over fewer is a less certain number."""
_OUR_DESIGN = (
    "this needs the paper's own test sets; those of a campaign are our design, so they are not a test: "
)
"""Why the two statements about test sets are open for campaigns as well."""


@claim("same-test-sets-for-every-model")
def same_test_sets(evidence: Evidence) -> Recomputed:
    """Count the splits of a dataset in which models met different test sets; in a campaign they are our design."""
    test_sets: dict[tuple[str, int], set[str]] = {}
    for row in evidence.splits():
        _log(evidence, row, "test_ids_sha256")
        test_sets.setdefault((str(row["dataset"]), int(row["split"])), set()).add(str(row["test_ids_sha256"]))
    differ = sum(len(hashes) > 1 for hashes in test_sets.values())
    raise Untestable(f"{_OUR_DESIGN}{differ} of {len(test_sets)} splits have more than one test set")


@claim("ten-test-sets")
def ten_test_sets(evidence: Evidence) -> Recomputed:
    """Count the test sets of each model on each dataset; in a campaign they are our design."""
    test_sets: dict[tuple[str, str], set[str]] = {}
    for row in evidence.splits():
        _log(evidence, row, "test_ids_sha256")
        test_sets.setdefault((str(row["dataset"]), str(row["model"])), set()).add(str(row["test_ids_sha256"]))
    counts = [len(hashes) for hashes in test_sets.values()]
    raise Untestable(
        f"{_OUR_DESIGN}{' to '.join(map(str, sorted({min(counts), max(counts)})))} different test sets for each of "
        f"{len(counts)} models and datasets"
    )


@claim("accuracy-variance")
def accuracy_variance(evidence: Evidence) -> Recomputed:
    """Return the largest variance of the accuracy over the splits."""
    try:
        groups = _by_run(evidence, "accuracy")
    except Untestable as lacking:
        raise Untestable(f"{lacking}{_sampling(evidence)}") from None
    spread = _variances(groups)
    most = max(spread, key=lambda key: (spread[key], key))
    return recomputed(
        Value.exact(spread[most]),
        f"the largest of {len(spread)} variances is {number(spread[most])} ({_named(most)}), a standard deviation of "
        f"{number(math.sqrt(spread[most]), 2)}",
    )


@reading("accuracy-variance-in-general")
def accuracy_variance_in_general(evidence: Evidence) -> Recomputed:
    """Return the median over runs of the variance of the accuracy over the splits."""
    return _middle(_variances(_by_run(evidence, "accuracy")), "variances")


def _middle(spread: Mapping[_Run, float], what: str) -> Recomputed:
    middle = statistics.median(spread.values())
    return recomputed(Value.exact(middle), f"the median of {len(spread)} {what} is {number(middle)}")


def _variances(groups: Mapping[_Run, list[float]]) -> dict[_Run, float]:
    return {key: statistics.variance(values) for key, values in groups.items()}


def _largest_dex(evidence: Evidence, column: str) -> Recomputed:
    """Return the largest standard deviation of log10 of a quantity over the splits, in dex."""
    spread = _deviations_dex(evidence, column)
    most = max(spread, key=lambda key: (spread[key], key))
    return recomputed(
        Value.exact(spread[most]),
        f"the largest of {len(spread)} standard deviations over splits is {number(spread[most])} dex ({_named(most)}), "
        f"a factor of {number(10 ** spread[most])}",
    )


def _median_dex(evidence: Evidence, column: str) -> Recomputed:
    """Return the median over runs of the standard deviation of log10 of a quantity over the splits, in dex."""
    return _middle(_deviations_dex(evidence, column), "standard deviations in dex")


def _deviations_dex(evidence: Evidence, column: str) -> dict[_Run, float]:
    """Return the standard deviation of the decadic logarithm over the splits of each run.

    Raises:
        Untestable: where a value is 0.
    """
    groups = _by_run(evidence, column)
    for key, values in groups.items():
        if min(values) <= 0:
            what = "energy" if column == "energy" else "duration"
            raise Untestable(
                f"{evidence.source.label} has a split of {_named(key)} whose {what} is 0, less than its meter can resolve: "
                "it has no logarithm"
            )
    return {key: statistics.stdev(map(math.log10, values)) for key, values in groups.items()}


def _by_run(evidence: Evidence, column: str) -> dict[_Run, list[float]]:
    """Return the values over splits of each run that has as many of them as the paper's."""
    groups: dict[_Run, list[float]] = {}
    for row in evidence.splits():
        value = cell(row[column])
        if value is not None:
            _log(evidence, row, "energy_wh" if column == "energy" else column)
            if column == "energy":
                evidence.log.notes.add(TITLES[evidence.source.mode])
            key = (str(row["model"]), str(row["dataset"]), str(row["origin"]))
            groups.setdefault(key, []).append(value)
    repeated = {key: values for key, values in groups.items() if len(values) >= _TEST_SETS}
    if not repeated:
        what = (
            f"no energy that counts ({TITLES[evidence.source.mode]})"
            if column == "energy"
            else f"no run with the {_TEST_SETS} splits that the statement is about"
        )
        raise Untestable(f"{evidence.source.label}: {what}")
    return repeated


def _sampling(evidence: Evidence) -> str:
    """Say how much the choice of the texts alone makes an accuracy vary."""
    if not evidence.source.is_the_paper:
        return ""
    runs = evidence.models("fktg")
    variance = max(_test_text_variance(run) for run in runs)
    return (
        f"; the choice of {int(runs[0].row['texts'])} of {study().datasets['fktg'].pool} texts alone gives a variance of up to "
        f"{number(variance, 2)}, a standard deviation of {number(math.sqrt(variance), 2)}, so the number can only be a variance"
    )


def _test_text_variance(run: Run) -> float:
    """Return the variance over splits that the choice of the test texts gives, which share many of them."""
    texts = int(run.row["texts"])
    overlap = overlap_of_run(str(run.row["origin"]), str(run.row["dataset"]))
    return split_variance(run.accuracy().value, texts, overlap)


def _named(key: tuple[str, ...]) -> str:
    return f"{model_title(key[0])} on {dataset_title(key[1])}"


def _log(evidence: Evidence, row: Row, quantity: str) -> None:
    evidence.log.add(row, quantity, str(row["origin"]))


for _quantity, _column in (("energy", "energy"), ("duration", "duration_s")):
    claim(f"{_quantity}-variance")(partial(_largest_dex, column=_column))
    reading(f"{_quantity}-variance-in-general")(partial(_median_dex, column=_column))
