"""Claims of the abstract about the range of energies, what influences them, and their correlation with duration."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from helpers.claims.cells import Run
from helpers.claims.common import MAYBE_OTHER_WORK, NO_EMBEDDING, PAPER_LINEAGES, correlation, family_plural
from helpers.claims.evidence import ANY, Evidence
from helpers.claims.noise import too_little
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.values import Untestable, Value, largest, median, smallest
from helpers.claims.wording import (
    LLM,
    OTHER,
    REASONING,
    TRADITIONAL,
    dataset_title,
    energy,
    names,
    number,
)
from helpers.results.accounting import TITLES
from helpers.study.catalogue import machine_title, model_title


@claim("abstract-below-one-mwh")
def below_one_mwh(evidence: Evidence) -> Recomputed:
    """Return the least energy of one run; without a model that is cheap it says nothing."""
    if not any(run.model in NO_EMBEDDING for run in evidence.runs(None)):
        raise Untestable(f"{evidence.source.label} has no model without embeddings")
    runs = [run for run in evidence.runs(None) if _energy_known(run)]
    least = min(_some_energy(runs, evidence), key=lambda run: run.energy().value)
    return recomputed(
        smallest([run.energy() for run in runs]),
        f"the least is {energy(least.energy().value)} ({least.title} on {dataset_title(str(least.row['dataset']))})"
        + too_little(evidence, least),
    )


@claim("abstract-above-one-kwh")
def above_one_kwh(evidence: Evidence) -> Recomputed:
    """Return the largest energy of one run, on any number of nodes; without a reasoning LLM it says nothing."""
    evidence.runs(None, (REASONING,), nodes=None)
    everything = [run for run in evidence.runs(None, nodes=None) if _energy_known(run)]
    most = max(_some_energy(everything, evidence), key=lambda run: run.energy().value)
    alone = [run.energy() for run in everything if run.nodes == 1]
    on_one = f"; on one node it is {energy(largest(alone).value, 3)}" if alone else ""
    return recomputed(
        largest([run.energy() for run in everything]),
        f"the largest is {energy(most.energy().value, 3)} ({most.title}, {most.nodes} "
        f"node{'s' * (most.nodes != 1)}){on_one}",
    )


@claim("abstract-energy-varies-with-model-type")
def varies_with_type(evidence: Evidence) -> Recomputed:
    """Return the smaller of the two steps between the families' median energies on FKTG."""
    medians = {
        family: median([run.energy() for run in evidence.models("fktg", (family,))])
        for family in (TRADITIONAL, OTHER, REASONING)
    }
    steps = [medians[OTHER] / medians[TRADITIONAL], medians[REASONING] / medians[OTHER]]
    return recomputed(
        smallest(steps),
        "median energies on FKTG: "
        + ", ".join(f"{family_plural(family)} {energy(middle.value)}" for family, middle in medians.items()),
    )


@claim("abstract-energy-grows-with-model-size")
def grows_with_size(evidence: Evidence) -> Recomputed:
    """Return the smallest ratio of energies between a larger and a smaller model of one lineage (FKTG)."""
    ratios = {
        f"{model_title(large)} to {model_title(small)}": evidence.model(large).energy()
        / evidence.model(small).energy()
        for small, large in PAPER_LINEAGES
    }
    return recomputed(
        smallest(list(ratios.values())),
        "; ".join(f"{pair} {number(ratio.value)}" for pair, ratio in ratios.items()),
    )


def _between_machines(evidence: Evidence) -> tuple[dict[tuple[str, int], Value], str]:
    """Return the ratio of the largest to the smallest energy of each LLM and number of GPUs, and the machines.

    Raises:
        Untestable: where no LLM ran on several machines with as many GPUs.
    """
    by_run: dict[tuple[str, int], dict[str, Run]] = {}
    everywhere = evidence.runs("fktg", LLM, machine=ANY)
    for run in everywhere:
        by_run.setdefault((run.model, run.gpus), {}).setdefault(str(run.row["machine"]), run)
    machines = sorted({str(run.row["machine"]) for run in everywhere})
    several = {key: list(runs.values()) for key, runs in by_run.items() if len(runs) > 1}
    if not several:
        raise Untestable(
            f"{evidence.source.label} has no LLM on several machines with the same number of GPUs"
        )
    ratios = {}
    for key, runs in several.items():
        for run in runs:
            run.count_gpus()
        energies = [run.energy() for run in runs]
        ratios[key] = largest(energies) / smallest(energies)
    return ratios, names(map(machine_title, machines))


def _hardware_ratio(evidence: Evidence, end: Literal["least", "most"]) -> Recomputed:
    """Return the least or the largest ratio of energies between machines, of one LLM on as many GPUs (FKTG)."""
    ratios, machines = _between_machines(evidence)
    extreme, extreme_value = (min, smallest) if end == "least" else (max, largest)
    model, gpus = extreme(ratios, key=lambda key: ratios[key].value)
    same_work = f"; {MAYBE_OTHER_WORK}" if evidence.source.is_the_paper else ""
    return recomputed(
        extreme_value(list(ratios.values())),
        f"of {len({name for name, _ in ratios})} LLMs on {machines}, with the same number of GPUs on each, the energy "
        f"differs by a factor of {number(ratios[model, gpus].value)} at the {end} ({model_title(model)}, {gpus} "
        f"GPU{'s' * (gpus != 1)}){same_work}",
    )


def _energy_and_duration(evidence: Evidence, logarithmic: bool) -> Recomputed:
    """Return the correlation of energy and duration over the runs on one node.

    On logarithmic scales short runs count as much as long ones.
    """
    coefficient, count = correlation(evidence, logarithmic)
    scales = "on logarithmic scales, " if logarithmic else ""
    return recomputed(
        coefficient, f"{scales}Pearson's r is {number(coefficient.value)} over {count} runs on one node"
    )


def _energy_known(run: Run) -> bool:
    return run.has("energy")


def _some_energy(runs: Sequence[Run], evidence: Evidence) -> Sequence[Run]:
    if not runs:
        counted = TITLES[evidence.source.mode]
        raise Untestable(f"{evidence.source.label} has no energy that counts ({counted})")
    return runs


claim("abstract-energy-depends-on-hardware")(partial(_hardware_ratio, end="least"))
reading("energy-depends-on-hardware-for-one-llm")(partial(_hardware_ratio, end="most"))
claim("abstract-energy-correlates-with-duration")(partial(_energy_and_duration, logarithmic=False))
reading("energy-correlates-with-duration-on-logarithmic-scales")(
    partial(_energy_and_duration, logarithmic=True)
)
