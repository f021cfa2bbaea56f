"""Claims of section 4.1 about components and nodes, with Figures 2 and 4 and Table B2."""

from collections.abc import Callable, Sequence
from functools import partial

from helpers.claims.cells import Run
from helpers.claims.common import NO_EMBEDDING, with_numbers
from helpers.claims.evidence import ANY, Evidence
from helpers.claims.registry import Recomputed, claim, recomputed
from helpers.claims.source import whole
from helpers.claims.values import Untestable, Value, largest, misses, not_positive, positive, smallest
from helpers.claims.wording import EVERYONE, LLM, TRADITIONAL, names, number
from helpers.statistics import selection
from helpers.study.catalogue import machine_title, study


@claim("gpu-has-largest-share")
def gpu_share(evidence: Evidence) -> Recomputed:
    """Count the runs on a GPU, models without embeddings left out, whose CPU or memory takes as much as the GPU."""
    return _gpu_share(
        evidence, [run for dataset in evidence.datasets(EVERYONE) for run in evidence.models(dataset)]
    )


@claim("gpu-has-largest-share-on-every-machine")
def gpu_share_elsewhere(evidence: Evidence) -> Recomputed:
    """Count such runs on all machines; the paper publishes components of Capella only.

    The message says what the cards' maximal power leaves open on Paula and Clara: the largest of three shares is at
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
    """Count the runs without embeddings whose power says that a GPU worked; of a campaign, those that had one.

    The paper prints no power of a GPU for them. An average power (Table B1) below what the card takes when idle is no
    work of a GPU; that is an inference. A higher one says nothing: CPU and memory may take it, and what they take is
    published for other models only.
    """
    runs = [run for run in evidence.runs(None, (TRADITIONAL,)) if run.model in NO_EMBEDDING]
    if not runs:
        raise Untestable(f"{evidence.source.label} has no model without embeddings")
    if not evidence.source.is_the_paper:
        runs = [run for run in runs if _has_gpus(evidence, str(run.row["machine"]))]
        if not runs:
            raise Untestable(
                f"{evidence.source.label} ran models without embeddings only on a machine without a GPU, which is not a test"
            )
        used = [run for run in runs if run.count_gpus()]
        return recomputed(
            Value.exact(len(used)), f"{len(used)} of {len(runs)} runs without embeddings had a GPU"
        )
    idle = evidence.number("idle_h100_w")
    besides = evidence.source.constants.besides_gpu(TRADITIONAL).mean_w
    printed = {
        row.title: row.number("average_power_w", 0.005)
        for row in evidence.printed("table_b1")
        if row.label("model") in NO_EMBEDDING
    }
    open_ = [title for title, watts in printed.items() if watts.high >= idle]
    below = len(printed) - len(open_)
    if not below:
        raise Untestable("every model without embeddings draws as much as an idle GPU")
    return recomputed(
        Value.exact(0.0),
        f"average powers in W are {with_numbers(printed)}; {below} of {len(printed)} are below the {idle:.0f} W of an idle "
        f"H100, and {names(open_)} is open: CPU and memory take {besides:.0f} W (models with embeddings) in Figure 2, which "
        f"cannot be subtracted here, as it is more than the total of the other {below}; for runs of ten milliseconds these are "
        "orders of magnitude only",
        inferred=True,
    )


@claim("two-nodes-factor-depends-on-model")
def two_nodes_differ(evidence: Evidence) -> Recomputed:
    """Divide the largest ratio of energies, two nodes to one, by the smallest (FKTG)."""
    ratios = _node_ratios(evidence, Run.energy)
    return recomputed(
        largest(list(ratios.values())) / smallest(list(ratios.values())),
        f"energy ratios {with_numbers(ratios)}",
    )


@claim("two-nodes-same-factor-for-duration")
def two_nodes_same_factor(evidence: Evidence) -> Recomputed:
    """Return by how much the ratio of durations misses that of energies at the most (FKTG)."""
    apart, pairs_listed = {}, []
    for single, double in _node_pairs(evidence):
        by_energy, by_duration = double.energy() / single.energy(), double.duration() / single.duration()
        apart[double.title] = abs(by_energy / by_duration - 1)
        pairs_listed.append(f"{double.title} {number(by_duration.value)} and {number(by_energy.value)}")
    return recomputed(
        largest(list(apart.values())), f"ratios of durations and of energies: {'; '.join(pairs_listed)}"
    )


@claim("table-b2-ratios")
def printed_node_ratios(evidence: Evidence) -> Recomputed:
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


def _has_gpus(evidence: Evidence, machine: str) -> bool:
    """Say whether a machine has GPUs, by the catalogue or because a run of the source had one there."""
    entry = study().machines.get(machine)
    if entry is not None and entry.gpus_per_node > 0:
        return True
    return any(row["machine"] == machine and whole(row["gpus"]) for row in evidence.source.rows)


def _gpu_share(evidence: Evidence, runs: Sequence[Run]) -> Recomputed:
    """Count the runs with the energy of a GPU, models without embeddings left out, in which it is not the largest.

    Raises:
        Untestable: where there is no such run.
    """
    gpu_runs = [run for run in runs if run.model not in NO_EMBEDDING and run.gpus and run.has("gpu_wh")]
    if not gpu_runs:
        raise Untestable(f"{evidence.source.label} has no run with the energy of a GPU")
    margins, shares = [], []
    for run in gpu_runs:
        parts = {name: run.component(name) for name in ("cpu", "gpu", "ram")}
        total = sum(part.value for part in parts.values())
        if total <= 0:
            raise Untestable(
                f"all components of {run.title} in {evidence.source.label} are 0, which leaves no share"
            )
        margins.append(parts["gpu"] - largest([parts["cpu"], parts["ram"]]))
        shares.append(selection.shares({name: part.value for name, part in parts.items()})["gpu"] or 0.0)
    on = names(machine_title(name) for name in sorted({str(run.row["machine"]) for run in gpu_runs}))
    return recomputed(
        not_positive(margins),
        f"the GPU takes {100 * min(shares):.0f} to {100 * max(shares):.0f} % of the energy of {len(gpu_runs)} runs on {on}",
    )


def _smallest_node_ratio(
    evidence: Evidence, quantity: Callable[[Run], Value], quantity_name: str
) -> Recomputed:
    """Return the smallest ratio of a quantity, two nodes to one node with as many GPUs (FKTG)."""
    ratios = _node_ratios(evidence, quantity)
    return recomputed(smallest(list(ratios.values())), f"{quantity_name} ratios {with_numbers(ratios)}")


def _node_ratios(evidence: Evidence, quantity: Callable[[Run], Value]) -> dict[str, Value]:
    return {double.title: quantity(double) / quantity(single) for single, double in _node_pairs(evidence)}


def _node_pairs(evidence: Evidence) -> list[tuple[Run, Run]]:
    """Return the pairs of runs on one node and on two, with as many GPUs in all.

    Raises:
        Untestable: where no model ran so.
    """
    single = {(run.model, run.gpus): run for run in reversed(evidence.runs("fktg", LLM))}
    double = evidence.runs("fktg", LLM, nodes=2)
    pairs = [(single[run.model, run.gpus], run) for run in double if (run.model, run.gpus) in single]
    if not pairs:
        raise Untestable(
            f"{evidence.source.label} has no LLM on one and on two nodes with the same number of GPUs"
        )
    return pairs


claim("two-nodes-need-more-energy")(
    partial(_smallest_node_ratio, quantity=Run.energy, quantity_name="energy")
)
claim("two-nodes-lengthen-inference")(
    partial(_smallest_node_ratio, quantity=Run.duration, quantity_name="duration")
)
