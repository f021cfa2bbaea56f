"""Claims about what was run and how: Tables 1 and 2, section 3.3, the limitations of section 5."""

import math
import re
from collections.abc import Sequence
from functools import partial

from helpers.claims.evidence import Evidence
from helpers.claims.registry import Recomputed, claim, reading, recomputed
from helpers.claims.source import text
from helpers.claims.values import Untestable, Value, largest, mean, positive, smallest
from helpers.claims.wording import EVERYONE, LLM, names, number
from helpers.statistics import power
from helpers.study.catalogue import LanguageModel, model_title, study

_PARAMETERS = {"jamba-mini-1.5": "jamba_b", "llama-3.1-70b": "llama_b", "qwen-2.5-72b": "qwen_b"}
"""The numbers of the sentence, in billions."""


@claim("table-1-links-the-models-named")
def links(evidence: Evidence) -> Recomputed:
    """Count the models of Table 1 whose link lacks the version in their name."""
    wrong, versions = [], 0
    for row in evidence.printed("table_1_models"):
        version = re.search(r"\d+\.\d+", row.title)
        versions += bool(version)
        linked = row.text("hf_id")
        if version and version.group() not in linked:
            wrong.append(f"{row.title} leads to {linked}")
    return recomputed(
        Value.exact(len(wrong)),
        f"{len(wrong)} of {versions} names with a version link to another version: {names(wrong)}; the name or the link "
        "is of another release, and which one was used is not known",
    )


@claim("llama-70b-needs-two-nodes-of-clara")
def fits_clara(evidence: Evidence) -> Recomputed:
    """Return how many nodes of Clara hold the weights."""
    weights, row = _weights_gb(evidence), _machine(evidence, "clara")
    node = row["gpu_memory_gb"] * row["gpu_per_node"]
    nodes = math.ceil(weights / node)
    return recomputed(
        Value.exact(nodes), f"{weights:.0f} GB of weights, {node:.0f} GB of GPU memory on a node"
    )


@claim("cpu-power-is-the-same-under-every-model")
def cpu_power(evidence: Evidence) -> Recomputed:
    """Count the models whose CPU power is not the one that all models have in common.

    The paper's is energy of Figure 2 by duration of Table B1, a campaign's that of its records, where the CPU
    was measured.
    """
    if evidence.source.is_the_paper:
        return _constant_of_figure_2(evidence, "cpu", EVERYONE)
    return _cpu_of_records(evidence)


@claim("memory-power-is-the-same-under-every-llm")
def memory_power(evidence: Evidence) -> Recomputed:
    """Count the LLMs whose memory power in Figure 2 is not the one that all LLMs have in common."""
    if not evidence.source.is_the_paper:
        raise Untestable("this is about Figure 2; records hold the memory that the rule counts")
    return _constant_of_figure_2(evidence, "ram", LLM)


@claim("cpu-is-read-by-rapl")
def cpu_is_read(evidence: Evidence) -> Recomputed:
    """Say what Figure 2 shows of the CPU's power; which method was in force is not published."""
    needs = "this needs the method by which the CPU's energy was obtained"
    if not evidence.source.is_the_paper:
        raise Untestable(f"{needs} on the paper's machines, and records hold that of ours")
    constant = _constant_of_figure_2(evidence, "cpu", EVERYONE)
    raise Untestable(f"{needs}, and it is not published; {constant.reason}")


@claim("memory-energy-follows-memory-used")
def memory_used(evidence: Evidence) -> Recomputed:
    """Say what the memory's power in Figure 2 implies; the memory in use is not published."""
    rate = evidence.number("w_per_gb")
    needs = "this needs the memory that each model uses"
    if not evidence.source.is_the_paper:
        raise Untestable(f"{needs}, and records hold the memory that the rule counts")
    implied = evidence.source.constants.ram_llm.mean_w / rate
    constant = _constant_of_figure_2(evidence, "ram", LLM)
    raise Untestable(
        f"{needs}, and it is not published; {constant.reason}, which at {rate:g} W/GB is {number(implied)} GB for each"
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
    """Return the largest difference between the parameters that the sentence prints and the models' own."""
    _about_models(evidence)
    printed = {model: evidence.number(name) for model, name in _PARAMETERS.items()}
    entries = study().models
    own = {
        name: entry.parameters_b
        for name, entry in entries.items()
        if name in printed and isinstance(entry, LanguageModel)
    }
    comparisons = ", ".join(
        f"{printed[model]:g} for {model_title(model)}, whose checkpoint has {count:g}"
        for model, count in own.items()
    )
    apart = max(abs(printed[model] / count - 1) for model, count in own.items())
    return recomputed(Value.exact(apart), f"in billions, the sentence prints {comparisons}")


@reading("jamba-parameters-to-llama")
def jamba_to_llama(evidence: Evidence) -> Recomputed:
    """Divide the parameters of Jamba Mini 1.5 by those of Llama 3.1 70B, the smaller of the other two."""
    _about_models(evidence)
    jamba, llama, qwen = (evidence.number(name) for name in _PARAMETERS.values())
    return recomputed(
        Value.exact(jamba / llama),
        f"{jamba:g} of {llama:g} and of {qwen:g} billion are {100 * jamba / llama:.0f} and {100 * jamba / qwen:.0f} %",
    )


def _about_models(evidence: Evidence) -> None:
    if not evidence.source.is_the_paper:
        raise Untestable("this is about the models, not about measurements")


def _gpus(evidence: Evidence, machine: str) -> Recomputed:
    """Return the least power of two of GPUs of a machine that hold the weights."""
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


def _constant_of_figure_2(evidence: Evidence, component: str, families: Sequence[str]) -> Recomputed:
    """Count the models whose power of a component in Figure 2 is not the weighted mean of all, within its reading."""
    tables = evidence.source.tables
    powers = power.component_power(tables.observations, tables.results, component)
    powers = powers[powers["family"].isin(families)]
    constant = power.constant_of(powers)
    for run in evidence.models("fktg", among=list(powers["model"])):
        run.reading("figure_2", f"{component}_wh")
        run.duration()
    apart = powers[(powers["power_w"] - constant.mean_w).abs() > powers["bound_w"]]
    what = {"cpu": "the CPU draws", "ram": "memory draws"}[component]
    others = f", and another power for {names(map(model_title, apart['model']))}" if len(apart) else ""
    return recomputed(
        Value.exact(len(apart)),
        f"within the reading of Figure 2, {what} {number(constant.mean_w)} W for {len(powers) - len(apart)} of {len(powers)} "
        f"models, as a constant would{others}",
    )


def _cpu_of_records(evidence: Evidence) -> Recomputed:
    """Compare the measured CPU powers of a campaign with their mean.

    Raises:
        Untestable: where no CPU was measured.
    """
    runs = [run for dataset in evidence.datasets(EVERYONE) for run in evidence.models(dataset)]
    methods = [text(run.row["cpu_method"]) or "missing" for run in runs]
    methods_listed = names(sorted(set(methods)))
    read = [run for run, method in zip(runs, methods, strict=True) if method.startswith("measured")]
    if not read:
        raise Untestable(
            f"{evidence.source.label} measured the CPU in none of {len(runs)} runs ({methods_listed})"
        )
    read = [run for run in read if run.has("cpu_wh") and run.has("duration_s")]
    if not read:
        raise Untestable(f"{evidence.source.label} has no run with a duration and the energy of the CPU")
    powers = [run.component("cpu") / run.duration() * 3600 for run in read]
    common = mean(powers)
    return recomputed(
        positive([abs(watts - common) for watts in powers]),
        f"the CPU was measured in {len(read)} of {len(runs)} runs ({methods_listed}) and draws "
        f"{number(smallest(powers).value)} to {number(largest(powers).value)} W",
    )


claim("llama-70b-needs-two-gpus-of-capella")(partial(_gpus, machine="capella"))
claim("llama-70b-needs-eight-gpus-of-paula")(partial(_gpus, machine="paula"))
