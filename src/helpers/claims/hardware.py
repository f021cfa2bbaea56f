"""Claims of section 4.1: components, number of GPUs and nodes, GPU cards, with Figures 2-5 and Tables B2, B3."""

from collections.abc import Sequence
from itertools import pairwise

from helpers.claims.cells import Run
from helpers.claims.common import LARGER, NO_EMBEDDING, with_numbers
from helpers.claims.evidence import ANY, Evidence
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.values import NOISE, Untestable, Value, largest, misses, not_positive, positive, smallest
from helpers.claims.wording import EVERYONE, LLM, TRADITIONAL, energy, machine_title, names, number
from helpers.statistics import selection


@claim("gpu-has-largest-share")
def gpu_share(evidence: Evidence) -> Recomputed:
    """Count the runs on a GPU, models without embeddings left out, whose CPU or memory takes as much as the GPU."""
    return _gpu_share(
        evidence, [run for dataset in evidence.datasets(EVERYONE) for run in evidence.models(dataset)]
    )


@claim("gpu-has-largest-share-on-every-machine")
def gpu_share_elsewhere(evidence: Evidence) -> Recomputed:
    """Count such runs on all machines; the paper publishes components of Capella only.

    What the cards' maximal power leaves open on Paula and Clara is told: the largest of three shares is at
    least a third. The numbers of GPUs there are inferred, so there is no verdict.
    """
    if not evidence.source.is_the_paper:
        return _gpu_share(evidence, evidence.runs(None, machine=ANY, nodes=None))
    machines_printed = {row.label("machine"): row for row in evidence.printed("table_2_clusters")}
    below, count = [], 0
    for machine in ("paula", "clara"):
        for run in evidence.runs("fktg", LLM, machine=machine):
            count += 1
            limit = machines_printed[machine].number("gpu_max_power_w") * run.gpus
            if (limit * 3 - run.energy() / run.duration() * 3600).high < 0:
                below.append(f"{run.title} on {machine_title(machine)}")
    raise Untestable(
        "this needs the energies of CPU, GPU and memory on Paula and Clara, and they are published for Capella only; if "
        "the GPU counts that we infer are right, the cards' maximal power is below a third of the average power in "
        f"{len(below)} of {count} runs on Paula and Clara, too little for the largest share: {names(below)}"
    )


@claim("no-gpu-without-embeddings")
def no_gpu(evidence: Evidence) -> Recomputed:
    """Return the largest number of GPUs of a run without embeddings, on any of the paper's datasets."""
    runs = [run for run in evidence.runs(None, (TRADITIONAL,)) if run.model in NO_EMBEDDING]
    if not runs:
        raise Untestable(f"{evidence.source.label} has no model without embeddings")
    if evidence.source.is_the_paper:
        gpus = sorted({run.gpus for run in evidence.models("fktg", among=NO_EMBEDDING)})
        raise Untestable(
            f"Figure 2 shows no visible bar for the {len(NO_EMBEDDING)} models without embeddings, and Table B1 "
            f"lists {names(map(str, gpus))} GPU for each, which may mean allocated or used"
        )
    most = max(run.count_gpus() for run in runs)
    return recomputed(
        Value.exact(most), f"{len(runs)} runs of models without embeddings had at most {most} GPUs"
    )


@claim("most-llms-ran-on-1-2-or-4-gpus")
def gpu_counts(evidence: Evidence) -> Recomputed:
    """Return the share of LLMs that ran on at least two of the numbers 1, 2 and 4 of GPUs of one node (FKTG)."""
    counts = {
        model: {run.count_gpus() for run in runs} & {1, 2, 4} for model, runs in _sweep(evidence).items()
    }
    two, three = (sum(len(found) >= least for found in counts.values()) for least in (2, 3))
    return recomputed(
        Value.exact(two / len(counts)),
        f"{two} of {len(counts)} LLMs ran on two or more of 1, 2 and 4 GPUs of one node, {three} of them on all three",
    )


@claim("larger-llms-need-two-gpus")
def larger_llms(evidence: Evidence) -> Recomputed:
    """Count the LLMs that the paper calls larger and that ran on one GPU (FKTG)."""
    runs = [run for run in evidence.runs("fktg", LLM) if run.model in LARGER]
    if not runs:
        raise Untestable(f"{evidence.source.label} has none of the larger LLMs on FKTG")
    small = [run for run in runs if run.count_gpus() < 2]
    return recomputed(
        Value.exact(len(small)),
        f"{len(small)} of {len(runs)} runs of larger LLMs had one GPU: {names(run.title for run in small)}",
    )


@claim("more-gpus-reduce-duration")
def more_gpus_duration(evidence: Evidence) -> Recomputed:
    """Count the steps to more GPUs that do not make inference shorter (FKTG, one node)."""
    steps = _steps(evidence)
    margins = [few.duration() - many.duration() for few, many in steps]
    wrong = not_positive(margins)
    return recomputed(
        wrong, f"{len(steps) - wrong.value:.0f} of {len(steps)} steps to more GPUs shorten inference"
    )


@claim("more-gpus-do-not-reduce-energy")
def more_gpus_energy(evidence: Evidence) -> Recomputed:
    """Count the steps to more GPUs that do reduce energy (FKTG, one node)."""
    steps = _steps(evidence)
    margins = [few.energy() - many.energy() for few, many in steps]
    lower = [
        f"{few.title} {energy(few.energy().value, 4)} ({few.gpus}) to {energy(many.energy().value, 4)} ({many.gpus})"
        for (few, many), margin in zip(steps, margins, strict=True)
        if margin.value > NOISE
    ]
    return recomputed(
        positive(margins), f"energy falls in {len(lower)} of {len(steps)} steps to more GPUs: {names(lower)}"
    )


@claim("more-gpus-sometimes-raise-energy")
def more_gpus_raise(evidence: Evidence) -> Recomputed:
    """Count the steps to more GPUs that raise energy (FKTG, one node)."""
    steps = _steps(evidence)
    margins = [many.energy() - few.energy() for few, many in steps]
    return recomputed(
        positive(margins), f"energy rises in {positive(margins).value:.0f} of {len(steps)} steps to more GPUs"
    )


@claim("two-nodes-need-more-energy")
def two_nodes(evidence: Evidence) -> Recomputed:
    """Return the smallest ratio of energies, two nodes to one node with as many GPUs (FKTG)."""
    ratios = {double.title: double.energy() / single.energy() for single, double in _node_pairs(evidence)}
    return recomputed(smallest(list(ratios.values())), f"energy ratios {with_numbers(ratios)}")


@claim("two-nodes-factor-depends-on-model")
def two_nodes_differ(evidence: Evidence) -> Recomputed:
    """Divide the largest ratio of energies, two nodes to one, by the smallest (FKTG)."""
    ratios = {double.title: double.energy() / single.energy() for single, double in _node_pairs(evidence)}
    found = list(ratios.values())
    return recomputed(largest(found) / smallest(found), f"energy ratios {with_numbers(ratios)}")


@claim("two-nodes-same-factor-for-duration")
def two_nodes_same_factor(evidence: Evidence) -> Recomputed:
    """Return by how much the ratio of durations misses that of energies at the most (FKTG)."""
    apart, told = {}, []
    for single, double in _node_pairs(evidence):
        by_energy, by_duration = double.energy() / single.energy(), double.duration() / single.duration()
        apart[double.title] = abs(by_energy / by_duration - 1)
        told.append(f"{double.title} {number(by_duration.value)} and {number(by_energy.value)}")
    return recomputed(
        largest(list(apart.values())), f"ratios of durations and of energies: {'; '.join(told)}"
    )


@claim("table-b2-ratios")
def node_ratios(evidence: Evidence) -> Recomputed:
    """Count the printed ratios of Table B2 that its own values do not give."""
    rows = evidence.printed("table_b2")
    single = {row.label("model"): row for row in rows if row.label("nodes") == "1"}
    margins = []
    for row in rows:
        if row.label("nodes") == "1":
            continue
        for quantity in ("duration", "energy"):
            column = "duration_s" if quantity == "duration" else "energy_wh"
            ratio = row.number(column, 0.005) / single[row.label("model")].number(column, 0.005)
            gap = row.number(f"{quantity}_ratio_double_to_single", 0.005) - ratio
            margins.append(misses(gap))
    wrong = positive(margins)
    return recomputed(wrong, f"{len(margins) - wrong.value:.0f} of {len(margins)} printed ratios recompute")


@claim("figure-4-matches-table-b2")
def figure_4_bars(evidence: Evidence) -> Recomputed:
    """Count the bars of Figure 4 that miss Table B2 by more than they can be read."""
    table = {(row.label("model"), row.label("nodes")): row for row in evidence.printed("table_b2")}
    margins = []
    for bar in evidence.printed("figure_4"):
        row = table[bar.label("model"), bar.label("nodes")]
        for column in ("duration_s", "energy_wh"):
            gap = bar.number(column) - row.number(column, 0.005)
            margins.append(misses(gap))
    wrong = positive(margins)
    return recomputed(wrong, f"{len(margins) - wrong.value:.0f} of {len(margins)} bars agree with Table B2")


def _gpu_share(evidence: Evidence, runs: Sequence[Run]) -> Recomputed:
    """Count the runs with the energy of a GPU, models without embeddings left out, in which it is not the largest.

    Raises:
        Untestable: where there is no such run.
    """
    known = [run for run in runs if run.model not in NO_EMBEDDING and run.gpus and run.has("gpu_wh")]
    if not known:
        raise Untestable(f"{evidence.source.label} has no run with the energy of a GPU")
    margins, shares = [], []
    for run in known:
        parts = {name: run.component(name) for name in ("cpu", "gpu", "ram")}
        total = sum(part.value for part in parts.values())
        if total <= 0:
            raise Untestable(
                f"all components of {run.title} in {evidence.source.label} are 0, which leaves no share"
            )
        margins.append(parts["gpu"] - largest([parts["cpu"], parts["ram"]]))
        shares.append(selection.shares({name: part.value for name, part in parts.items()})["gpu"] or 0.0)
    on = names(machine_title(name) for name in sorted({str(run.row["machine"]) for run in known}))
    return recomputed(
        not_positive(margins),
        f"the GPU takes {100 * min(shares):.0f} to {100 * max(shares):.0f} % of the energy of {len(known)} runs on {on}",
    )


def _sweep(evidence: Evidence) -> dict[str, list[Run]]:
    """Return the runs of each LLM on one node, by number of GPUs (FKTG)."""
    found: dict[str, dict[int, Run]] = {}
    for run in evidence.runs("fktg", LLM):
        found.setdefault(run.model, {}).setdefault(run.gpus, run)
    return {model: [runs[gpus] for gpus in sorted(runs)] for model, runs in found.items()}


def _steps(evidence: Evidence) -> list[tuple[Run, Run]]:
    """Return the pairs of runs of one LLM with fewer and with the next more GPUs.

    Raises:
        Untestable: where no LLM ran on two numbers of GPUs.
    """
    steps = [pair for runs in _sweep(evidence).values() for pair in pairwise(runs)]
    if not steps:
        raise Untestable(f"{evidence.source.label} has no LLM with different numbers of GPUs on FKTG")
    return steps


def _node_pairs(evidence: Evidence) -> list[tuple[Run, Run]]:
    """Return the pairs of runs on one node and on two, with as many GPUs in all.

    Raises:
        Untestable: where no model ran so.
    """
    single = {(run.model, run.gpus): run for run in reversed(evidence.runs("fktg", LLM))}
    double = evidence.runs("fktg", LLM, nodes=2)
    pairs = [(single[run.model, run.gpus], run) for run in double if (run.model, run.gpus) in single]
    if not pairs:
        raise Untestable(f"{evidence.source.label} has no LLM on one and on two nodes with as many GPUs")
    return pairs
