"""Claims of section 4.2 about duration and energy, with Figure 6, Eq. 1 and 2, and Tables 3 and B6."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from helpers.claims.cells import Run
from helpers.claims.common import durations_and_energies, regression_runs, with_both
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import (
    Untestable,
    Value,
    largest,
    not_positive,
    one_at_a_time,
    positive,
    smallest,
)
from helpers.claims.wording import TRADITIONAL, names, number

_COARSE = 0.1
"""A printed duration that its rounding leaves open by more than this part says little of an energy."""


@claim("tables-report-duration-and-energy")
def both_quantities(evidence: Evidence) -> Recomputed:
    """Return the share of the tables of measurements (B1 to B5) with both quantities."""
    columns = {
        name: evidence.columns(name) for name in ("table_b1", "table_b2", "table_b3", "table_b4", "table_b5")
    }
    both = [name for name, present in columns.items() if {"duration_s", "energy_wh"} <= present]
    titles = names(name.removeprefix("table_").upper() for name in both)
    return recomputed(Value.exact(len(both) / len(columns)), f"Tables {titles} do, of {len(columns)}")


@claim("linear-for-each-number-of-gpus")
def linear_by_gpus(evidence: Evidence) -> Recomputed:
    """Return the smallest R2 of energy on duration among the runs with as many GPUs (FKTG, one node)."""
    r2 = {
        gpus: one_at_a_time(_r2_of_line, durations_and_energies(runs))
        for gpus, runs in _by_gpus(evidence).items()
    }
    r2_listed = ", ".join(f"{gpus} GPU{'s' * (gpus != 1)} {value.value:.4f}" for gpus, value in r2.items())
    return recomputed(smallest(list(r2.values())), f"R2 by number of GPUs: {r2_listed}")


@claim("figure-6-lines-are-regressions")
def figure_6_lines(evidence: Evidence) -> Recomputed:
    """Return by how much the slope of a drawn line misses the regression of its runs at the most (Figure 6)."""
    lines = {int(float(row.label("gpus"))): row for row in evidence.printed("figure_6_lines")}
    apart, slopes_listed = [], []
    for gpus, runs in _by_gpus(evidence).items():
        drawn = lines[gpus].number("slope_wh_per_s")
        fitted = one_at_a_time(_slope_of_line, durations_and_energies(runs))
        apart.append(abs(drawn / fitted - 1))
        slopes_listed.append(
            f"{gpus} GPU{'s' * (gpus != 1)} {number(drawn.value)} drawn and {number(fitted.value)} fitted"
        )
    return recomputed(largest(apart), f"slopes in Wh/s: {'; '.join(slopes_listed)}")


@claim("duration-is-a-good-proxy")
def good_proxy(evidence: Evidence) -> Recomputed:
    """Return the share of runs on Capella whose energy Eq. 2 gives within a limit (FKTG)."""
    runs = _capella_runs(evidence)
    errors = {id(run): abs(_equation_2(evidence, run) / run.energy() - 1) for run in runs}
    return _within(runs, errors, evidence.number("relative_error"), "of Eq. 2")


@reading("equation-2-for-llms")
def equation_2_llms(evidence: Evidence) -> Recomputed:
    """Return the share of runs of LLMs on Capella whose energy Eq. 2 gives within a factor (FKTG)."""
    runs = [run for run in _capella_runs(evidence) if run.row["family"] != TRADITIONAL]
    if not runs:
        raise Untestable(f"{evidence.source.label} has no run of an LLM with duration and energy on Capella")
    factor = evidence.number("factor")
    estimates = [_equation_2(evidence, run) / run.energy() for run in runs]
    off = [max(value.value, 1 / value.value) for value in estimates]
    margins = [largest([value, Value.exact(1.0) / value]) - factor for value in estimates]
    within = not_positive(margins)
    return recomputed(
        within / len(runs),
        f"Eq. 2 is within a factor of {number(factor)} for {within.value:.0f} of {len(runs)} runs of LLMs; the largest factor "
        f"is {number(max(off))}, the median error {100 * statistics.median(abs(value.value - 1) for value in estimates):.0f} %",
    )


@reading("equation-2-for-long-runs")
def equation_2_long(evidence: Evidence) -> Recomputed:
    """Return the share of runs on Capella from a duration on whose energy Eq. 2 gives within a limit (FKTG)."""
    least = evidence.number("duration_s")
    runs = [run for run in _capella_runs(evidence) if run.duration().value >= least]
    if not runs:
        raise Untestable(f"{evidence.source.label} has no run of {least:.0f} s or more")
    errors = {id(run): abs(_equation_2(evidence, run) / run.energy() - 1) for run in runs}
    return _within(runs, errors, evidence.number("relative_error"), "of Eq. 2")


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
    coefficients_listed = " and ".join(
        f"{printed.value:.3f} for {rounded:g}" for printed, rounded, _ in pairs
    )
    return recomputed(positive(margins), f"Table 3 has {coefficients_listed}")


@claim("equation-2-for-any-computation")
def equation_2(evidence: Evidence) -> Recomputed:
    """Count the runs on Capella whose energy Eq. 2 misses by more than a limit (FKTG)."""
    limit, runs = evidence.number("relative_error"), _capella_runs(evidence)
    errors = {id(run): abs(_equation_2(evidence, run) / run.energy() - 1) for run in runs}
    worst = max(runs, key=lambda run: errors[id(run)].value)
    wrong = positive([error - limit for error in errors.values()])
    middle = statistics.median(error.value for error in errors.values())
    return recomputed(
        wrong,
        f"Eq. 2 misses the energy of {wrong.value:.0f} of {len(runs)} runs by more than {100 * limit:.0f} %; the median "
        f"error is {100 * middle:.0f} %, the largest {100 * errors[id(worst)].value:.0f} % ({worst.title}{_hangs_on(worst)})",
    )


def _capella_runs(evidence: Evidence) -> list[Run]:
    """Return the runs of the regression on Capella, which Eq. 2 is about.

    Raises:
        Untestable: where the source ran on another machine.
    """
    evidence.only_on("capella")
    return regression_runs(evidence)


def _equation_2(evidence: Evidence, run: Run) -> Value:
    """Return the energy in Wh that Eq. 2 gives."""
    return run.duration() * (evidence.number("a") + evidence.number("c") * run.gpus)


def _hangs_on(run: Run) -> str:
    """Say what an error of a run rests on where its energy is inferred, or its duration is a few printed digits."""
    duration = run.duration()
    room = (duration.high - duration.low) / 2 / duration.value
    parts = [
        "an inferred energy" if run.row["energy_kind"] == "inferred" else "",
        f"a duration of {duration.value:g} s, printed to within {100 * room:.0f} %" if room > _COARSE else "",
    ]
    reasons = [part for part in parts if part]
    return f", from {' and '.join(reasons)}" if reasons else ""


def _within(runs: Sequence[Run], errors: Mapping[int, Value], limit: float, of_what: str) -> Recomputed:
    """Return the share of runs whose relative error is within a limit; `errors` are by the identity of the run."""
    missed = [run for run in runs if errors[id(run)].value > limit]
    longest = max((run.duration().value for run in missed), default=None)
    middle = statistics.median(error.value for error in errors.values())
    return recomputed(
        not_positive([error - limit for error in errors.values()]) / len(runs),
        f"{len(runs) - len(missed)} of {len(runs)} energies lie within {100 * limit:.0f} % {of_what}; the median error is "
        f"{100 * middle:.0f} %"
        + ("" if longest is None else f", and the longest run that is missed takes {number(longest)} s"),
    )


def _by_gpus(evidence: Evidence) -> dict[int, list[Run]]:
    """Return the runs on one node with duration and energy by number of GPUs, three or more of each.

    Raises:
        Untestable: where there are too few.
    """
    groups: dict[int, list[Run]] = {}
    for run in with_both(evidence.runs(None), evidence.source.label):
        groups.setdefault(run.gpus, []).append(run)
    large_groups = {gpus: groups[gpus] for gpus in sorted(groups) if len(groups[gpus]) > 2}
    if not large_groups:
        raise Untestable(f"{evidence.source.label} has no three runs with the same number of GPUs")
    return large_groups


def _r2_of_line(values: Sequence[float]) -> float:
    return float(np.corrcoef(np.reshape(values, (2, -1)))[0, 1]) ** 2


def _slope_of_line(values: Sequence[float]) -> float:
    duration, energy = np.reshape(values, (2, -1))
    return float(np.polyfit(duration, energy, 1)[0])
