"""Claims about what was run and how: Tables 1 and 2, section 3.3, the limitations of section 5."""

import math
import re

from helpers.claims.cells import Untestable
from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import Value, positive
from helpers.claims.wording import names, number


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
    weights, row = _weights_gb(evidence), _cluster(evidence, "clara")
    node = row["gpu_memory_gb"] * row["gpu_per_node"]
    nodes = math.ceil(weights / node)
    return recomputed(
        Value.exact(nodes), f"{weights:.0f} GB of weights, {node:.0f} GB of GPU memory on a node"
    )


@claim("cpu-power-is-measured")
def cpu_power(evidence: Evidence) -> Recomputed:
    """Count the models whose CPU power in Figure 2 is not the same constant within the reading."""
    powers = _powers(evidence, "CPU")
    centre = _weighted(powers)
    apart = positive([Value.exact(max(power.low - centre, centre - power.high)) for power in powers])
    return recomputed(
        apart,
        f"the CPU draws {number(centre)} W in each of {len(powers)} models within the reading of Figure 2, whatever "
        "runs: more likely a constant than a measurement",
    )


@claim("memory-energy-follows-memory-used")
def memory_used(evidence: Evidence) -> Recomputed:
    """Say what the memory's power in Figure 2 implies; the memory in use is not published."""
    rate = evidence.number("w_per_gb")
    if not evidence.source.is_the_paper:
        raise Untestable("records hold the memory that the rule counts, not the memory in use")
    powers = _powers(evidence, "RAM", panels=("Deepseek", "Other LLM"))
    implied = _weighted(powers) / rate
    raise Untestable(
        f"the memory in use is not published; Figure 2 implies {number(implied)} GB for each of {len(powers)} LLMs, "
        "whatever their size, as memory requested and not used would"
    )


@claim("runs-are-long-enough-to-sample")
def long_enough(evidence: Evidence) -> Recomputed:
    """Count the runs of Table B1 that are shorter than one sampling interval."""
    interval = evidence.number("interval_s")
    rows = evidence.printed("table_b1")
    short = [row for row in rows if row.number("duration_s", 0.005).value < interval]
    return recomputed(
        positive([row.number("duration_s", 0.005) * -1 + interval for row in rows]),
        f"{len(short)} of {len(rows)} runs last less than {interval:.0f} s: {names([row.title for row in short], 6)}",
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
    weights, row = _weights_gb(evidence), _cluster(evidence, machine)
    least = math.ceil(weights / row["gpu_memory_gb"])
    gpus = 2 ** math.ceil(math.log2(least))
    return recomputed(
        Value.exact(gpus),
        f"{weights:.0f} GB of weights need {least} GPUs of {row['gpu_memory_gb']:.0f} GB, {gpus} as a power of two",
    )


def _weights_gb(evidence: Evidence) -> float:
    return evidence.number("parameters_b") * evidence.number("bytes_per_parameter")


def _cluster(evidence: Evidence, machine: str) -> dict[str, float]:
    row = next(row for row in evidence.printed("table_2_clusters") if row.label("machine") == machine)
    return {name: row.number(name).value for name in ("gpu_memory_gb", "gpu_per_node")}


def _powers(evidence: Evidence, component: str, panels: tuple[str, ...] | None = None) -> list[Value]:
    """Return the power in W that Figure 2 gives for a component, by model."""
    return [
        row.number("average_power_w")
        for row in evidence.printed("figure_2")
        if row.label("component") == component
        and row.has("average_power_w")
        and (panels is None or row.label("panel") in panels)
    ]


def _weighted(powers: list[Value]) -> float:
    """Return the mean, weighted with the inverse squares of the uncertainties."""
    weights = [(power.high - power.value) ** -2 for power in powers]
    return sum(power.value * weight for power, weight in zip(powers, weights, strict=True)) / sum(weights)
