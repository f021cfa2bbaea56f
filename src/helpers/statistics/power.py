"""Constants in the energies of Figure 2, power per GPU, and rankings under other rules of accounting."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd
from scipy.stats import chi2 as chi2_distribution

from helpers.metering.ram import RAM_W_PER_GB
from helpers.results.accounting import energies

CPU_FALLBACK_W = 85 * 0.5
"""CodeCarbon's CPU power where it does not know the CPU: `POWER_CONSTANT` x `CONSUMPTION_PERCENTAGE_CONSTANT`
of `codecarbon.external.hardware`, version 3.3.2."""
DIMM_W = 5.0
"""CodeCarbon 3 on x86: watts for each of the first four memory modules."""
RULES = {
    "total": "CPU, GPU and memory, as in the paper",
    "codecarbon_3_job": "CodeCarbon 3, memory of the job",
    "codecarbon_3_node": "CodeCarbon 3, memory of the node",
    "gpu_read": "GPU only, read off Figure 2",
    "gpu_inferred": "GPU only, constants subtracted",
}
"""Rules of accounting for the published runs."""
MEASURED_RULES = {
    "total": "CPU, GPU and memory, as in the paper",
    "codecarbon_3": "CodeCarbon's own memory rule",
    "measured_only": "measured components only",
    "gpu_only": "GPU only",
}
"""Rules of accounting for measured runs, whose records hold both memory rules."""


@dataclass(frozen=True)
class Constant:
    """A weighted mean in W, its standard error, and chi2 of the values against it."""

    mean_w: float
    std_error_w: float
    chi2: float
    dof: int

    @property
    def p_value(self) -> float | None:
        """How often values of one constant would vary at least as much; None for a single value."""
        return float(chi2_distribution.sf(self.chi2, self.dof)) if self.dof else None

    @property
    def bound_w(self) -> float:
        """Two standard errors."""
        return 2 * self.std_error_w


def weighted_mean(values: Sequence[float], sigmas: Sequence[float]) -> Constant:
    """Return the mean of `values` with the weights 1/sigma^2, and chi2 of the values against it.

    Raises:
        ValueError: without values, with lists of different length, or where a sigma is not positive.
    """
    if not len(values) or len(values) != len(sigmas) or not all(sigma > 0 for sigma in sigmas):
        raise ValueError("expected at least one value and one positive sigma for each")
    weights = [sigma**-2 for sigma in sigmas]
    mean = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / math.fsum(weights)
    chi2 = math.fsum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))
    return Constant(mean, math.fsum(weights) ** -0.5, chi2, len(values) - 1)


def component_power(observations: pd.DataFrame, results: pd.DataFrame, component: str) -> pd.DataFrame:
    """Return the power of `cpu`, `gpu` or `ram` that Figure 2 and the durations of Table B1 give.

    Columns `model`, `family`, `gpus`, `power_w`, `bound_w` (about 95 %, as the readings' uncertainty),
    `origin`. One row per model with a visible bar.
    """
    read = observations[
        (observations["origin"] == "figure_2") & (observations["quantity"] == f"{component}_wh")
    ]
    key = ["model", "dataset", "machine", "gpus", "nodes"]
    durations = results.loc[results["source"] == "published", [*key, "duration_s", "duration_uncertainty_s"]]
    joined = read.astype({"gpus": "Int64", "nodes": "Int64"}).merge(durations, on=key)
    power = 3600 * joined["value"] / joined["duration_s"]
    relative = (joined["uncertainty"] / joined["value"]) ** 2 + (
        joined["duration_uncertainty_s"] / joined["duration_s"]
    ) ** 2
    return pd.DataFrame(
        {
            **{name: joined[name] for name in ("model", "family", "gpus")},
            "power_w": power,
            "bound_w": power * relative**0.5,
            "origin": "figure_2 table_b1",
        }
    )


def constant_of(powers: pd.DataFrame) -> Constant:
    """Return the constant behind rows of `component_power`; half a bound counts as one sigma."""
    return weighted_mean(list(powers["power_w"]), list(powers["bound_w"] / 2))


@dataclass(frozen=True)
class Constants:
    """CPU power of all models, and memory power of the LLMs and of the traditional models, in W."""

    cpu: Constant
    ram_llm: Constant
    ram_traditional: Constant

    def ram(self, family: str) -> Constant:
        """Return the memory power that belongs to a family."""
        return self.ram_traditional if family == "Traditional" else self.ram_llm

    def besides_gpu(self, family: str) -> Constant:
        """Return CPU and memory together; the fit's quality is not carried over."""
        ram = self.ram(family)
        error = math.hypot(self.cpu.std_error_w, ram.std_error_w)
        return Constant(self.cpu.mean_w + ram.mean_w, error, 0.0, 0)


def constants(observations: pd.DataFrame, results: pd.DataFrame) -> Constants:
    """Return the constants that Figure 2 implies (paper/tables README, section 4.3)."""
    ram = component_power(observations, results, "ram")
    traditional = ram["family"] == "Traditional"
    return Constants(
        cpu=constant_of(component_power(observations, results, "cpu")),
        ram_llm=constant_of(ram[~traditional]),
        ram_traditional=constant_of(ram[traditional]),
    )


def implied_gb(power_w: float) -> float:
    """Return the memory in GB that a memory power means under the paper's 0.375 W/GB (section 3.3)."""
    return power_w / RAM_W_PER_GB


def gpu_power(results: pd.DataFrame, constant_powers: Constants) -> pd.DataFrame:
    """Return what one GPU draws in the FKTG runs on one Capella node: (total - constants) / GPUs.

    Columns `model`, `family`, `gpus`, `power_w` (per GPU), `bound_w`, `duration_s`, `energy_wh` (all GPUs),
    `origin`. That the runs on 4 GPUs had the same memory is assumed: Figure 2 does not show them. Traditional
    models without embeddings are left out, as they use no GPU.
    """
    rows = _capella(results)
    rows = rows[(rows["nodes"] == 1) & _uses_gpu(rows)]
    other = [constant_powers.besides_gpu(family) for family in rows["family"]]
    total = 3600 * rows["energy_wh"] / rows["duration_s"]
    relative = (rows["energy_uncertainty_wh"] / rows["energy_wh"]) ** 2 + (
        rows["duration_uncertainty_s"] / rows["duration_s"]
    ) ** 2
    power = total - [c.mean_w for c in other]
    bound = (relative * total**2 + [c.bound_w**2 for c in other]) ** 0.5
    gpus = rows["gpus"].astype(float)
    return pd.DataFrame(
        {
            **{name: rows[name] for name in ("model", "family", "gpus")},
            "power_w": power / gpus,
            "bound_w": bound / gpus,
            "duration_s": rows["duration_s"],
            "energy_wh": power * rows["duration_s"] / 3600,
            "origin": rows["origin"],
        }
    ).reset_index(drop=True)


def codecarbon_3_dimms(memory_gb: float) -> int:
    """Return how many memory modules CodeCarbon 3 assumes (`RAM._estimate_dimm_count`, version 3.3.2)."""
    for limit, dimms in ((2, 1), (16, 2), (64, 4), (128, 8)):
        if memory_gb <= limit:
            return dimms
    size = next(size for size in (128, 64, 32, 16) if size <= memory_gb / 8)  # at least eight modules
    return min(math.ceil(memory_gb / size), 32)


def codecarbon_3_ram_w(memory_gb: float) -> float:
    """Return CodeCarbon 3's memory power in W on x86 (`RAM._calculate_ram_power`, version 3.3.2).

    5 W for each of the first 4 modules, 90 % of it up to the 8th, 80 % up to the 16th, 70 % beyond; at
    least two modules count.
    """
    dimms = codecarbon_3_dimms(memory_gb)
    steps = ((0, 4, 1.0), (4, 8, 0.9), (8, 16, 0.8), (16, 32, 0.7))
    return max(
        2 * DIMM_W, sum(DIMM_W * share * (min(dimms, top) - low) for low, top, share in steps if dimms > low)
    )


def under_rules(results: pd.DataFrame, constant_powers: Constants, node_gb: float) -> pd.DataFrame:
    """Return the published FKTG runs of one Capella node with their energy in Wh under each of `RULES`.

    One row per run, with `model`, `family`, `gpus`, a column for each rule and `constant_bound_wh`, the
    part of the uncertainty that comes from the constants. The constants give the memory's share; the
    memory of a job is the one they imply, to the next 10 GB. A run that draws on no GPU has only the total.
    """
    rows = _capella(results)
    rows = rows[rows["nodes"] == 1].reset_index(drop=True)
    hours = (rows["duration_s"] / 3600).where(_uses_gpu(rows))
    ram = pd.Series([constant_powers.ram(family).mean_w for family in rows["family"]])
    besides = [constant_powers.besides_gpu(family) for family in rows["family"]]
    job_w = ram.map(lambda watts: codecarbon_3_ram_w(round(implied_gb(watts), -1)))
    total = energies(rows, "total_as_published")
    return rows[
        ["source", "dataset", "machine", "model", "family", "gpus", "energy_uncertainty_wh", "origin"]
    ].assign(
        total=total,
        codecarbon_3_job=total + (job_w - ram) * hours,
        codecarbon_3_node=total + (codecarbon_3_ram_w(node_gb) - ram) * hours,
        gpu_read=energies(rows, "gpu_only"),
        gpu_inferred=total - [c.mean_w for c in besides] * hours,
        constant_bound_wh=[c.bound_w for c in besides] * hours,
    )


def measured_under_rules(results: pd.DataFrame) -> pd.DataFrame:
    """Return the measured runs with their energy in Wh under each of `MEASURED_RULES`."""
    rows = results[results["source"] != "published"].reset_index(drop=True)
    return rows[["source", "dataset", "machine", "model", "family", "gpus", "origin"]].assign(
        total=energies(rows, "total_as_published"),
        codecarbon_3=rows["energy_wh"] - rows["ram_wh"] + rows["ram_codecarbon_wh"],
        measured_only=energies(rows, "measured_only"),
        gpu_only=energies(rows, "gpu_only"),
    )


@dataclass(frozen=True)
class RankChange:
    """How a ranking differs from another: Kendall's tau over the models that both have, and the swapped pairs."""

    models: int
    tau: float | None
    """None for fewer than two models."""
    swapped: tuple[tuple[str, str], ...]
    """Pairs with the cheaper one of the first ranking first."""


def rank_change(before: pd.Series, after: pd.Series) -> RankChange:
    """Compare two Series of energies, indexed by model; a model that lacks a value in one is left out.

    Tau is (agreeing - swapped) / all pairs; a pair that is equal in one ranking counts as neither.
    """
    both = pd.DataFrame({"before": before.astype(float), "after": after.astype(float)}).dropna()
    order = both.sort_values("before", kind="stable")
    entries = list(zip(map(str, order.index), order["before"], order["after"], strict=True))
    signs = {
        (a, b): (y - x) * (after_b - after_a) for (a, x, after_a), (b, y, after_b) in combinations(entries, 2)
    }
    swapped = tuple(pair for pair, sign in signs.items() if sign < 0)
    agreeing = sum(sign > 0 for sign in signs.values())
    return RankChange(len(both), (agreeing - len(swapped)) / len(signs) if signs else None, swapped)


def gpu_steps(runs: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Return every step to more GPUs on one node with its change of energy in Wh under a rule.

    `runs` comes from `under_rules`. Columns `model`, `from_gpus`, `to_gpus`, `change_wh`, `bound_wh`; a step
    falls for certain where change + bound < 0.
    """
    rows = runs.dropna(subset=[rule]).sort_values("gpus", kind="stable")
    before = rows.groupby("model", sort=False)[
        ["gpus", rule, "energy_uncertainty_wh", "constant_bound_wh"]
    ].shift()
    inferred = 0.0 if rule == "total" else 1.0
    bound = (
        rows["energy_uncertainty_wh"] ** 2
        + before["energy_uncertainty_wh"] ** 2
        + inferred * (rows["constant_bound_wh"] - before["constant_bound_wh"]) ** 2
    ) ** 0.5
    steps = pd.DataFrame(
        {
            "model": rows["model"],
            "from_gpus": before["gpus"],
            "to_gpus": rows["gpus"],
            "change_wh": rows[rule] - before[rule],
            "bound_wh": bound,
        }
    )
    return steps[steps["from_gpus"].notna()].reset_index(drop=True)


def _capella(results: pd.DataFrame) -> pd.DataFrame:
    chosen = (
        (results["source"] == "published")
        & (results["dataset"] == "fktg")
        & (results["machine"] == "capella")
    )
    return results[chosen & results["duration_s"].notna() & results["energy_wh"].notna()]


def _uses_gpu(rows: pd.DataFrame) -> pd.Series:
    """Say which published runs draw on a GPU: all but the traditional models without embeddings (section 4.1)."""
    return (rows["family"] != "Traditional") | rows["model"].str.endswith("-embedding")
