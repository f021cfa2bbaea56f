"""Claims about what was run and how: Tables 1 and 2, section 3.3, the limitations of section 5."""

import math
import re

from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import Untestable, Value, largest, mean, positive, smallest
from helpers.claims.wording import EVERYONE, TRADITIONAL, names, number
from helpers.statistics import power
from helpers.study import model_title


@claim("table-1-links-the-models-named")
def links(evidence: Evidence) -> Recomputed:
    """Count the models of Table 1 whose link lacks the version in their name."""
    wrong, versions = [], 0
    for row in evidence.printed("table_1_models"):
        found = re.search(r"\d+\.\d+", row.title)
        versions += bool(found)
        linked = row.text("hf_id")
        if found and found.group() not in linked:
            wrong.append(f"{row.title} leads to {linked}")
    return recomputed(
        Value.exact(len(wrong)),
        f"{len(wrong)} of {versions} links with a version lead to another one: {names(wrong)}",
    )


@claim("llama-70b-needs-two-gpus-of-capella")
def fits_capella(evidence: Evidence) -> Recomputed:
    """Return the least power of two of GPUs of Capella that hold the weights."""
    return _gpus(evidence, "capella")


@claim("llama-70b-needs-eight-gpus-of-paula")
def fits_paula(evidence: Evidence) -> Recomputed:
    """Return the least power of two of GPUs of Paula that hold the weights."""
    return _gpus(evidence, "paula")


@claim("llama-70b-needs-two-nodes-of-clara")
def fits_clara(evidence: Evidence) -> Recomputed:
    """Return how many nodes of Clara hold the weights."""
    weights, row = _weights_gb(evidence), _machine(evidence, "clara")
    node = row["gpu_memory_gb"] * row["gpu_per_node"]
    nodes = math.ceil(weights / node)
    return recomputed(
        Value.exact(nodes), f"{weights:.0f} GB of weights, {node:.0f} GB of GPU memory on a node"
    )


@claim("cpu-power-differs-between-models")
def cpu_power(evidence: Evidence) -> Recomputed:
    """Count the models whose CPU power is not the one that all models have in common.

    The paper's is energy of Figure 2 by duration of Table B1, a campaign's that of its records, where the CPU
    was measured.
    """
    return _cpu_of_figure_2(evidence) if evidence.source.is_the_paper else _cpu_of_records(evidence)


@claim("memory-energy-follows-memory-used")
def memory_used(evidence: Evidence) -> Recomputed:
    """Say what the memory's power in Figure 2 implies; the memory in use is not published."""
    rate = evidence.number("w_per_gb")
    needs = "this needs the memory that each model uses"
    if not evidence.source.is_the_paper:
        raise Untestable(f"{needs}, and records hold the memory that the rule counts")
    tables = evidence.source.tables
    powers = power.component_power(tables.observations, tables.results, "ram")
    powers = powers[powers["family"] != TRADITIONAL]
    implied = power.constant_of(powers).mean_w / rate
    raise Untestable(
        f"{needs}, and it is not published; Figure 2 implies {number(implied)} GB for each of {len(powers)} LLMs, "
        "whatever their size, as memory requested and not used would"
    )


@claim("longer-runs-give-better-energies")
def longer_runs(evidence: Evidence) -> Recomputed:
    """Say how many runs of Table B1 are shorter than one interval of sampling."""
    interval = evidence.number("interval_s")
    needs = "this needs the energies of single passes, or a second meter to compare with"
    if not evidence.source.is_the_paper:
        raise Untestable(f"{needs}; records hold no reading by a second meter")
    rows = evidence.printed("table_b1")
    short = [row for row in rows if row.number("duration_s", 0.005).value < interval]
    raise Untestable(
        f"{needs}, and neither is published; {len(short)} of the {len(rows)} rows of Table B1 are shorter than one "
        f"interval of {interval:.0f} s: {names([row.title for row in short], 6)}"
    )


@claim("jamba-has-nearly-as-many-parameters")
def jamba_parameters(evidence: Evidence) -> Recomputed:
    """Divide the parameters of Jamba Mini 1.5 by those of Llama 3.1 70B, the smaller of the other two."""
    if not evidence.source.is_the_paper:
        raise Untestable("this is about the models, not about measurements")
    jamba, llama, qwen = (evidence.number(name) for name in ("jamba_b", "llama_b", "qwen_b"))
    return recomputed(
        Value.exact(jamba / llama),
        f"{jamba:g} of {llama:g} and of {qwen:g} billion are {100 * jamba / llama:.0f} and {100 * jamba / qwen:.0f} %",
    )


def _gpus(evidence: Evidence, machine: str) -> Recomputed:
    weights, row = _weights_gb(evidence), _machine(evidence, machine)
    least = math.ceil(weights / row["gpu_memory_gb"])
    gpus = 2 ** math.ceil(math.log2(least))
    return recomputed(
        Value.exact(gpus),
        f"{weights:.0f} GB of weights need {least} GPUs of {row['gpu_memory_gb']:.0f} GB, {gpus} as a power of two",
    )


def _weights_gb(evidence: Evidence) -> float:
    return evidence.number("parameters_b") * evidence.number("bytes_per_parameter")


def _machine(evidence: Evidence, machine: str) -> dict[str, float]:
    row = next(row for row in evidence.printed("table_2_clusters") if row.label("machine") == machine)
    return {name: row.number(name).value for name in ("gpu_memory_gb", "gpu_per_node")}


def _cpu_of_figure_2(evidence: Evidence) -> Recomputed:
    tables = evidence.source.tables
    powers = power.component_power(tables.observations, tables.results, "cpu")
    found = power.constant_of(powers)
    for run in evidence.models("fktg", among=list(powers["model"])):
        run.reading("figure_2", "cpu_wh")
        run.duration()
    apart = powers[(powers["power_w"] - found.mean_w).abs() > powers["bound_w"]]
    told = names(map(model_title, apart["model"]))
    return recomputed(
        Value.exact(len(apart)),
        f"within the reading of Figure 2, the CPU draws {number(found.mean_w)} W with {len(powers) - len(apart)} of "
        f"{len(powers)} models, whatever runs"
        + (
            f"; it does not with {told}"
            if len(apart)
            else ", as a constant would; that it was not read is an inference"
        ),
    )


def _cpu_of_records(evidence: Evidence) -> Recomputed:
    """Compare the measured CPU powers of a campaign with their mean.

    Raises:
        Untestable: where no CPU was measured.
    """
    runs = [run for dataset in evidence.datasets(EVERYONE) for run in evidence.models(dataset)]
    methods = [str(run.row["cpu_method"]) for run in runs]
    told = names(sorted(set(methods)))
    read = [run for run, method in zip(runs, methods, strict=True) if method.startswith("measured")]
    if not read:
        raise Untestable(f"{evidence.source.label} measured the CPU in none of {len(runs)} runs ({told})")
    read = [run for run in read if run.has("cpu_wh") and run.has("duration_s")]
    if not read:
        raise Untestable(f"{evidence.source.label} has no run with a duration and the energy of the CPU")
    powers = [run.component("cpu") / run.duration() * 3600 for run in read]
    common = mean(powers)
    return recomputed(
        positive([abs(watts - common) for watts in powers]),
        f"the CPU was measured in {len(read)} of {len(runs)} runs ({told}) and draws "
        f"{number(smallest(powers).value)} to {number(largest(powers).value)} W",
    )
