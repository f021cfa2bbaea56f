"""Claims about printed regressions: Tables 3 and B6, section 5.1 on linearity."""

from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np
from scipy.stats import t

from helpers.claims.cells import PrintedRow
from helpers.claims.common import durations_and_energies, refit, regression_runs, with_both
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import Untestable, Value, misses, one_at_a_time, positive, smallest
from helpers.claims.wording import EVERYONE, dataset_title, names, number
from helpers.study.catalogue import machine_title

_ENOUGH = 0.8
"""A printed fit is checked with our points only where they are at least this share of its observations."""


@claim("table-3-r2-high")
def r2_high(evidence: Evidence) -> Recomputed:
    """Return the smallest printed R2 of Table 3."""
    r2 = {
        row.label("machine"): row.number("r2", 0.0005) for row in evidence.printed("table_3_regression_fktg")
    }
    r2_listed = ", ".join(f"{machine_title(name)} {value.value:.3f}" for name, value in r2.items())
    return recomputed(smallest(list(r2.values())), f"printed R2: {r2_listed}")


@claim("table-3-adjusted-r2")
def adjusted_r2(evidence: Evidence) -> Recomputed:
    """Count the fits of Table 3 whose adjusted R2 does not follow from R2 and the observations."""
    columns = {row.label("machine"): row for row in evidence.printed("table_3_regression_fktg")}
    margins = []
    for row in columns.values():
        n = row.number("observations").value
        expected = (row.number("r2", 0.0005) - 1) * ((n - 1) / (n - 4)) + 1
        gap = row.number("adjusted_r2", 0.0005) - expected
        margins.append(misses(gap))
    wrong = positive(margins)
    return recomputed(
        wrong, f"{len(margins) - wrong.value:.0f} of {len(margins)} follow from R2 and observations"
    )


@claim("linear-on-every-dataset")
def linear_everywhere(evidence: Evidence) -> Recomputed:
    """Return the smallest R2 of the fits by dataset: as printed in Table B6, or refitted to the runs measured."""
    if evidence.source.is_the_paper:
        r2 = {
            row.label("dataset"): row.number("r2", 0.0005) for row in evidence.printed("table_b6_regression")
        }
        how = "printed R2, not refitted, since the durations are not printed"
    else:
        r2 = {}
        for dataset in evidence.datasets(EVERYONE):
            runs = with_both(
                evidence.runs(dataset, nodes=None), f"{evidence.source.label} on {dataset_title(dataset)}"
            )
            r2[dataset] = Value.exact(refit(evidence, runs).r2)
        how = "R2 refitted"
    r2_listed = ", ".join(f"{dataset} {value.value:.3f}" for dataset, value in r2.items())
    return recomputed(smallest(list(r2.values())), f"{how}: {r2_listed}")


@claim("table-b6-coefficients")
def coefficients_by_dataset(evidence: Evidence) -> Recomputed:
    """Say how many of the durations that a refit of Table B6 needs are published."""
    datasets = sorted({row.label("dataset") for row in evidence.printed("table_b6_regression")})
    runs = [run for dataset in datasets for run in evidence.models(dataset)]
    with_duration = sum(run.has("duration_s") for run in runs)
    raise Untestable(
        f"this needs the durations of the runs on {names(datasets)}; of {len(runs)} such runs, the paper gives the "
        f"duration of {with_duration or 'none'}"
    )


@claim("table-b6-observations")
def observations_by_dataset(evidence: Evidence) -> Recomputed:
    """Count the models with an energy in Tables B4 and B5; the dataset farthest from the print stands for all."""
    printed = {
        row.label("dataset"): row.number("observations").value
        for row in evidence.printed("table_b6_regression")
    }
    counted = dict.fromkeys(printed, 0)
    for table in ("table_b4", "table_b5"):
        for row in evidence.printed(table):
            counted[row.label("dataset")] += 1
    farthest = max(counted, key=lambda dataset: (abs(counted[dataset] - printed[dataset]), dataset))
    counts_listed = ", ".join(f"{dataset} {count}" for dataset, count in counted.items())
    return recomputed(Value.exact(counted[farthest]), f"models in Tables B4 and B5: {counts_listed}")


def _significance(evidence: Evidence, table: str, column: str) -> Recomputed:
    """Count the printed terms that are not as the text says: duration and duration x GPUs significant, others not.

    A term is significant where estimate / standard error gives a p below the level for some rounding of both.
    """
    wrong, rows, level = [], evidence.printed(table), evidence.number("p")
    for row in rows:
        estimate, error = abs(row.number("estimate", 0.0005)), row.number("std_error", _half(row))
        degrees = row.number("observations").value - 4
        p_values = [2 * t.sf(ratio, degrees) for ratio in ((estimate / error).low, (estimate / error).high)]
        expected = row.label("term").startswith("duration")
        if (min(p_values) < level) != expected and (max(p_values) < level) != expected:
            wrong.append(f"{row.label('term')} ({row.label(column)})")
    return recomputed(
        Value.exact(len(wrong)),
        f"estimate / standard error agrees for {len(rows) - len(wrong)} of {len(rows)} terms; others: {names(wrong)}",
    )


def _half(row: PrintedRow) -> float:
    """Return half a unit of the last digit of a standard error; small ones have four decimals."""
    return 0.00005 if float(row.label("std_error")) < 0.001 else 0.0005


def _refit(evidence: Evidence, machine: str, name: str) -> Recomputed:
    """Refit a coefficient or R2 of Table 3 to the runs of a machine.

    Raises:
        Untestable: where the published material gives too few of the observations of the printed fit.
    """
    evidence.only_on(machine)
    runs = regression_runs(evidence, machine)
    fit, others = f"{len(runs)} runs", ""
    if evidence.source.is_the_paper:
        printed = next(
            row for row in evidence.printed("table_3_regression_fktg") if row.label("machine") == machine
        )
        observations = int(printed.number("observations").value)
        fit = f"{len(runs)} of {observations} observations"
        missing = observations - len(runs)
        others = f"; the other {missing} are not published" if missing else ""
        if len(runs) < _ENOUGH * observations:
            inferred = any(run.row["gpus_origin"] == "inferred" for run in runs)
            raise Untestable(
                f"this needs the runs behind Table 3; only {fit} can be recovered from tables and figures"
                + (", and their GPU counts are inferred" if inferred else "")
            )
    fitted = refit(evidence, runs)
    if name != "r2" and name not in fitted.terms:
        raise Untestable(f"the {len(runs)} runs of {evidence.source.label} all have the same number of GPUs")
    gpus = [run.gpus for run in runs]
    around = one_at_a_time(lambda values: _least_squares(values, gpus)[name], durations_and_energies(runs))
    estimate = fitted.r2 if name == "r2" else fitted.terms[name].estimate
    coefficient = Value(estimate, around.low, around.high)
    error = f", standard error {fitted.terms[name].std_error:.4f}" if name in fitted.terms else ""
    return recomputed(coefficient, f"refitted to {fit}: {number(coefficient.value, 4)}{error}{others}")


def _least_squares(values: Sequence[float], gpus: Sequence[int]) -> dict[str, float]:
    """Fit as `regression.fit` does, but fast enough to move one input after the other."""
    duration, energy = np.reshape(values, (2, -1))
    count = np.asarray(gpus)
    terms = np.column_stack([duration, count, duration * count, np.ones_like(duration)])
    estimates, *_ = np.linalg.lstsq(terms, energy, rcond=None)
    r2 = 1 - np.sum((energy - terms @ estimates) ** 2) / np.sum((energy - energy.mean()) ** 2)
    names_of_terms = ("duration", "gpus", "duration:gpus", "constant")
    return {**dict(zip(names_of_terms, map(float, estimates), strict=True)), "r2": float(r2)}


for _machine, _term in product(
    ("capella", "clara", "paula"), ("duration", "gpus", "duration:gpus", "constant", "r2")
):
    claim(f"table-3-{_machine}-{_term.replace(':', '-')}")(partial(_refit, machine=_machine, name=_term))
claim("table-3-only-a-and-c-significant")(
    partial(_significance, table="table_3_regression_fktg", column="machine")
)
claim("table-b6-only-a-and-c-significant")(
    partial(_significance, table="table_b6_regression", column="dataset")
)
