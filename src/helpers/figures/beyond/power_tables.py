"""The tables under the power decomposition: constants, memory rules, energies and rankings under other rules."""

from collections.abc import Sequence

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.html import external
from helpers.metering.ram import RAM_W_PER_GB
from helpers.statistics import power
from helpers.statistics.power import Constant, Constants
from helpers.study.catalogue import model_title, paper_machines, study
from helpers.study.literature import MeterConstants, load_other_studies

RATIOS = (
    ("qwen-2.5-72b", "qwen-2.5-7b"),
    ("llama-3.1-70b", "jamba-mini-1.5"),
    ("ds-llama-8b", "llama-3.1-8b"),
    ("ds-llama-70b", "llama-3.1-70b"),
    ("qwen-2.5-72b", "linear-embedding"),
)
"""Models with more and with less energy in the comparisons that the paper makes, or that its figures invite."""


def body(constants: Constants, runs: pd.DataFrame, minimal: pd.DataFrame, measured: pd.DataFrame) -> str:
    """Return the tables as HTML; arguments as `helpers.statistics.power` returns them, `minimal` by model."""
    return "".join(
        (
            html_table(
                constants_table(constants),
                "One constant per component? The standard error of a reading is taken as half its bound",
                ("Weighted mean (W)", "chi2/dof", "p"),
            ),
            _elsewhere(load_other_studies().constants),
            _memory_rules(constants),
            _energies(minimal),
            _ranks(minimal),
            _steps(runs),
            _ratios(minimal),
            _measured(measured),
        )
    )


def falling(runs: pd.DataFrame, rule: str) -> list[str]:
    """Name the steps to more GPUs after which the energy is lower for certain."""
    steps = power.gpu_steps(runs, rule)
    falls = steps[steps["change_wh"] + steps["bound_wh"] < 0]
    return [
        f"{model_title(model)} {low} to {high}"
        for model, low, high in zip(falls["model"], falls["from_gpus"], falls["to_gpus"], strict=True)
    ]


def constants_table(constants: Constants) -> pd.DataFrame:
    """Return each constant with how well the models agree on it, and what would make it, as text."""
    rows = [
        ("CPU, all models", constants.cpu, f"{power.CPU_FALLBACK_W:g} W: CodeCarbon, unknown CPU"),
        ("Memory, LLMs", constants.ram_llm, _memory(constants.ram_llm)),
        ("Memory, embedding models", constants.ram_traditional, _memory(constants.ram_traditional)),
    ]
    return pd.DataFrame(
        {
            "Component": [name for name, _, _ in rows],
            "Models": [c.dof + 1 for _, c, _ in rows],
            "Weighted mean (W)": [f"{c.mean_w:.1f} ± {c.bound_w:.1f}" for _, c, _ in rows],
            "chi2/dof": [f"{c.chi2 / c.dof:.2f}" if c.dof else None for _, c, _ in rows],
            "p": [None if c.p_value is None else f"{c.p_value:.2f}" for _, c, _ in rows],
            "Equals": [text for _, _, text in rows],
        }
    )


def _elsewhere(constants: Sequence[MeterConstants]) -> str:
    """Return the powers that CodeCarbon wrote on machines of other studies, whose files are public."""
    frame = pd.DataFrame(
        {
            "Study": [item.study for item in constants],
            "CodeCarbon": [item.codecarbon for item in constants],
            "Machine": [item.hardware for item in constants],
            "CPU (W)": [f"{item.cpu_power_w:g}" for item in constants],
            "Memory (W)": [f"{item.ram_power_w:.2f}" for item in constants],
            "Memory (GB)": [f"{item.ram_gb:.1f}" for item in constants],
            "W per GB": [f"{item.ram_power_w / item.ram_gb:.3f}" for item in constants],
            "Tracking": [item.tracking_mode for item in constants],
            "Taken from": pd.Series(
                [external(item.source.address, item.source.title) for item in constants], dtype=object
            ),
        }
    )
    caption = "The same constants as written by CodeCarbon itself in the public files of another study"
    return html_table(frame, caption, ("CPU (W)", "Memory (W)", "Memory (GB)", "W per GB"))


def _memory(ram: Constant) -> str:
    return f"{power.implied_gb(ram.mean_w):.0f} ± {power.implied_gb(ram.bound_w):.0f} GB at 0.375 W/GB"


def _memory_rules(constants: Constants) -> str:
    amounts = [
        ("Capella, job of an LLM (inferred)", round(power.implied_gb(constants.ram_llm.mean_w), -1)),
        (
            "Capella, job of an embedding model (inferred)",
            round(power.implied_gb(constants.ram_traditional.mean_w), -1),
        ),
        *((f"{machine.title}, node (Table 2)", machine.ram_gb) for machine in paper_machines().values()),
    ]
    frame = pd.DataFrame(
        {
            "Memory of": [name for name, _ in amounts],
            "GB": [f"{gb:.0f}" for _, gb in amounts],
            "Paper: 0.375 W/GB": [f"{RAM_W_PER_GB * gb:.1f}" for _, gb in amounts],
            "CodeCarbon 3: modules assumed": [power.codecarbon_3_dimms(gb) for _, gb in amounts],
            "CodeCarbon 3 (W)": [f"{power.codecarbon_3_ram_w(gb):.1f}" for _, gb in amounts],
        }
    )
    return html_table(
        frame,
        "Memory power by the two rules: CodeCarbon 3 guesses the number of modules from the GB (its class RAM, version 3.3.2; "
        "5 W for each of the first four, less for more), so that more memory can mean less power",
        ("GB", "Paper: 0.375 W/GB", "CodeCarbon 3 (W)"),
    )


def _energies(minimal: pd.DataFrame) -> str:
    shown = minimal.reindex([name for name in study().models if name in minimal.index])
    ranked = shown[list(power.RULES)].notna().all(axis="columns")
    frame = pd.DataFrame({"Model": shown.index.map(model_title), "GPUs": shown["gpus"].to_numpy()})
    for rule, title in power.RULES.items():
        ranks = shown[rule].where(ranked).rank()
        frame[title] = [_with_rank(wh, rank) for wh, rank in zip(shown[rule], ranks, strict=True)]
    caption = (
        "Energy in Wh for 189 texts of FKTG and, in brackets, the rank by increasing energy among the models that have a "
        "value under every rule. Models without embeddings show no component in Figure 2 and use no GPU"
    )
    return html_table(frame, caption, tuple(power.RULES.values()))


def _with_rank(wh: float, rank: float) -> str:
    if pd.isna(wh):
        return "missing"
    return units.significant(wh, 3) + ("" if pd.isna(rank) else f" ({rank:.0f})")


def _ranks(minimal: pd.DataFrame) -> str:
    rows = []
    for rule, title in power.RULES.items():
        if rule == "total":
            continue
        change = power.rank_change(minimal["total"], minimal[rule])
        pairs = [f"{model_title(a)} / {model_title(b)}" for a, b in change.swapped]
        rows.append((title, change.models, _tau(change.tau), ", ".join(pairs) or "none"))
    frame = pd.DataFrame(rows, columns=["Rule", "Models with a value", "Kendall's tau", "Pairs that swap"])
    return html_table(frame, "Rankings against the paper's total", ("Kendall's tau",))


def _steps(runs: pd.DataFrame) -> str:
    rows = []
    for rule, title in power.RULES.items():
        steps = power.gpu_steps(runs, rule)
        if len(steps):
            falls = falling(runs, rule)
            rows.append((title, len(steps), len(falls), ", ".join(falls) or "none"))
    names = ["Rule", "Steps to more GPUs", "Energy falls", "Where"]
    return html_table(pd.DataFrame(rows, columns=names), "Steps to more GPUs under each rule (section 4.1.1)")


def _ratios(minimal: pd.DataFrame) -> str:
    rows = []
    for more, less in RATIOS:
        if {more, less} <= set(minimal.index):
            values = minimal.loc[more, list(power.RULES)] / minimal.loc[less, list(power.RULES)]
            rows.append((f"{model_title(more)} / {model_title(less)}", *(f"{v:.3g}" for v in values)))
    frame = pd.DataFrame(rows, columns=["Energy ratio", *power.RULES.values()])
    return html_table(frame, "Ratios of energies under each rule", tuple(power.RULES.values()))


def _measured(measured: pd.DataFrame) -> str:
    if measured.empty:
        return '<p class="absent">Our runs: none yet.</p>'
    rows = []
    for source, campaign in measured.groupby("source", sort=False):
        for rule in [name for name in power.MEASURED_RULES if name != "total"]:
            rows.append((str(source), power.MEASURED_RULES[rule], *_swaps(campaign, rule)))
    names = ["Campaign", "Rule", "Runs with a value", "Pairs that swap"]
    caption = (
        "Our runs: rankings within a dataset against the total; parts without a counter are missing, not zero"
    )
    return html_table(pd.DataFrame(rows, columns=names), caption, ("Runs with a value",))


def _swaps(runs: pd.DataFrame, rule: str) -> tuple[str, str | None]:
    """Say how many runs have an energy under the rule, and which pairs swap in which dataset."""
    counted = int(runs[rule].notna().sum())
    swaps = []
    for dataset, rows in runs.groupby("dataset", sort=False):
        by_model = rows.drop_duplicates("model").set_index("model")
        pairs = power.rank_change(by_model["total"], by_model[rule]).swapped
        swaps += [f"{dataset}: {model_title(a)} / {model_title(b)}" for a, b in pairs]
    if not counted:
        return "missing", None
    return f"{counted} of {len(runs)}", ", ".join(swaps) or "none"


def _tau(tau: float | None) -> str | None:
    return None if tau is None else f"{tau:.2f}"
