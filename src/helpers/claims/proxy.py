"""Claims of section 4.2 about duration and energy, with Figure 6, Eq. 1 and 2, and Tables 3 and B6."""

import statistics
from collections.abc import Sequence

import numpy as np

from helpers.claims.cells import Run
from helpers.claims.common import durations_and_energies, refit, regression_runs, with_both
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import (
    Untestable,
    Value,
    corners,
    largest,
    not_positive,
    one_at_a_time,
    positive,
    smallest,
)
from helpers.claims.wording import names, number
from helpers.statistics import regression


@claim("tables-report-duration-and-energy")
def both_quantities(evidence: Evidence) -> Recomputed:
    """Return the share of the tables of measurements (B1 to B5) with both quantities."""
    columns = {
        name: evidence.columns(name) for name in ("table_b1", "table_b2", "table_b3", "table_b4", "table_b5")
    }
    both = [name for name, found in columns.items() if {"duration_s", "energy_wh"} <= found]
    titles = names(name.removeprefix("table_").upper() for name in both)
    return recomputed(Value.exact(len(both) / len(columns)), f"Tables {titles} do, of {len(columns)}")


@claim("linear-for-each-number-of-gpus")
def linear_by_gpus(evidence: Evidence) -> Recomputed:
    """Return the smallest R2 of energy on duration among the runs with as many GPUs (FKTG, one node)."""
    found = {
        gpus: one_at_a_time(_r2_of_line, durations_and_energies(runs))
        for gpus, runs in _by_gpus(evidence).items()
    }
    told = ", ".join(f"{gpus} GPU{'s' * (gpus != 1)} {value.value:.4f}" for gpus, value in found.items())
    return recomputed(smallest(list(found.values())), f"R2 by number of GPUs: {told}")


@claim("figure-6-lines-are-regressions")
def figure_6_lines(evidence: Evidence) -> Recomputed:
    """Return by how much the slope of a drawn line misses the regression of its runs at the most (Figure 6)."""
    lines = {int(float(row.label("gpus"))): row for row in evidence.printed("figure_6_lines")}
    apart, told = [], []
    for gpus, runs in _by_gpus(evidence).items():
        drawn = lines[gpus].number("slope_wh_per_s")
        fitted = one_at_a_time(_slope_of_line, durations_and_energies(runs))
        apart.append(abs(drawn / fitted - 1))
        told.append(
            f"{gpus} GPU{'s' * (gpus != 1)} {number(drawn.value)} drawn and {number(fitted.value)} fitted"
        )
    return recomputed(largest(apart), f"slopes in Wh/s: {'; '.join(told)}")


@claim("abstract-duration-is-a-practical-proxy")
@claim("duration-is-a-good-proxy")
def good_proxy(evidence: Evidence) -> Recomputed:
    """Return the share of runs whose energy the refitted regression gives within a limit."""
    limit = evidence.number("relative_error")
    runs = regression_runs(evidence)
    fitted = refit(evidence, runs)
    errors = [_relative_error(fitted, run) for run in runs]
    missed = [run for run, error in zip(runs, errors, strict=True) if error.value > limit]
    longest = max((run.duration().value for run in missed), default=None)
    return recomputed(
        not_positive([error - limit for error in errors]) / len(runs),
        f"{len(runs) - len(missed)} of {len(runs)} energies lie within {100 * limit:.0f} % of the refitted regression; "
        f"the median error is {100 * statistics.median(error.value for error in errors):.0f} %"
        + ("" if longest is None else f", and the longest run that is missed takes {number(longest)} s"),
    )


@claim("equation-2-rounds-table-3")
def equation_2_coefficients(evidence: Evidence) -> Recomputed:
    """Count the coefficients of Eq. 2 that are not those of Table 3, Capella, in the digits given."""
    rows = {
        row.label("term"): row.number("estimate", 0.0005)
        for row in evidence.printed("table_3_regression_fktg")
        if row.label("machine") == "capella"
    }
    pairs = [
        (rows["duration_a"], evidence.number("a"), 0.05),
        (rows["duration_x_gpus_c"], evidence.number("c"), 0.005),
    ]
    margins = [abs(printed - rounded) - half for printed, rounded, half in pairs]
    told = " and ".join(f"{printed.value:.3f} for {rounded:g}" for printed, rounded, _ in pairs)
    return recomputed(positive(margins), f"Table 3 has {told}")


@claim("equation-2-for-any-computation")
def equation_2(evidence: Evidence) -> Recomputed:
    """Count the runs on Capella whose energy Eq. 2 misses by more than a limit (FKTG)."""
    evidence.only_on("capella")
    limit, a, c = (evidence.number(name) for name in ("relative_error", "a", "c"))
    runs = regression_runs(evidence)
    errors = {id(run): abs(run.duration() * (a + c * run.gpus) / run.energy() - 1) for run in runs}
    worst = max(runs, key=lambda run: errors[id(run)].value)
    wrong = positive([error - limit for error in errors.values()])
    middle = statistics.median(error.value for error in errors.values())
    return recomputed(
        wrong,
        f"Eq. 2 misses the energy of {wrong.value:.0f} of {len(runs)} runs by more than {100 * limit:.0f} %; the median "
        f"error is {100 * middle:.0f} %, the largest {100 * errors[id(worst)].value:.0f} % ({worst.title})",
    )


def _relative_error(fitted: regression.Fit, run: Run) -> Value:
    expected = corners(lambda duration: regression.predicted_wh(fitted, duration, run.gpus), run.duration())
    return abs(expected / run.energy() - 1)


def _by_gpus(evidence: Evidence) -> dict[int, list[Run]]:
    """Return the runs on one node with duration and energy by number of GPUs, three or more of each.

    Raises:
        Untestable: where there are too few.
    """
    groups: dict[int, list[Run]] = {}
    for run in with_both(evidence.runs(None), evidence.source.label):
        groups.setdefault(run.gpus, []).append(run)
    found = {gpus: groups[gpus] for gpus in sorted(groups) if len(groups[gpus]) > 2}
    if not found:
        raise Untestable(f"{evidence.source.label} has no three runs with as many GPUs")
    return found


def _r2_of_line(values: Sequence[float]) -> float:
    return float(np.corrcoef(np.reshape(values, (2, -1)))[0, 1]) ** 2


def _slope_of_line(values: Sequence[float]) -> float:
    duration, energy = np.reshape(values, (2, -1))
    return float(np.polyfit(duration, energy, 1)[0])
