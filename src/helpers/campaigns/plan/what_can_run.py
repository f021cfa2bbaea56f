"""What can be measured on which hardware: the planner's answer for machines that people have."""

import html
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.campaigns.plan.campaign import CampaignPlan, plan_campaign
from helpers.campaigns.plan.downloads import stored_bytes
from helpers.campaigns.plan.reference_runs import ReferenceRuns, load_reference_runs
from helpers.campaigns.plan.report import duration_text, energy_text
from helpers.campaigns.plan.target import Target
from helpers.core import paths, units
from helpers.figures.display import Figure, html_table
from helpers.figures.html import Markup, code
from helpers.records.hardware import Hardware
from helpers.records.storage import GpuInfo
from helpers.study.catalogue import study
from helpers.study.models import LanguageModel

CAMPAIGNS = (
    "compare-demo",
    "reference-cpu",
    "reference-llm-cpu",
    "factors-cpu",
    "reference-gpu",
    "one-gpu",
    "concurrency",
    "paper-models",
)
"""Campaigns that are for no machine in particular, and use no texts that only the authors have."""


@dataclass(frozen=True)
class Card:
    """A kind of GPU: as the driver names it, its memory, and its compute capability."""

    model: str
    memory_gb: float
    capability: tuple[int, int]


SMALL = Card("NVIDIA A30", 24.0, (8, 0))
LARGE = Card("NVIDIA H100 80GB HBM3", 80.0, (9, 0))
"""The paper's cards of about that memory: how long a run takes is known from its own."""


def targets() -> dict[str, Target]:
    """Return the hardware of the page, by the name that a reader would give it."""
    return {
        "a laptop of 16 GB without GPU": _target("laptop", 8, 16.0, None, 0, 1),
        "1 GPU of 24 GB": _target("one small GPU", 16, 64.0, SMALL, 1, 1),
        "1 GPU of 80 GB": _target("one large GPU", 16, 128.0, LARGE, 1, 1),
        "2 GPUs of 80 GB": _target("two large GPUs", 32, 256.0, LARGE, 2, 1),
        "4 GPUs of 80 GB": _target("four large GPUs", 64, 512.0, LARGE, 4, 1),
        "2 nodes with 4 GPUs of 80 GB": _target("two nodes", 64, 512.0, LARGE, 4, 2),
    }


def _target(name: str, cores: int, ram_gb: float, card: Card | None, gpus: int, nodes: int) -> Target:
    """Return a machine that is not this one, so that nothing of this one is asked for."""
    info = (
        () if card is None else (GpuInfo(uuid="unknown", model=card.model, memory_gb=card.memory_gb),) * gpus
    )
    hardware = Hardware(name, cores, ram_gb, info, None)
    return Target(name, False, hardware, card.capability if card else None, nodes)


def rows(references: ReferenceRuns | None = None) -> pd.DataFrame:
    """Return a row for each kind of hardware and each campaign that it can run at least in part.

    Columns: `hardware`, `campaign`, `title`, `runs_that_fit`, `runs`, `duration_s` and `energy_wh` (sums over those whose
    cost is known; null where it is known of none), `runs_without_estimate`, `weights_bytes` (what the language models
    among them take on disk), and `largest_b`, the billions of parameters of the largest one.

    Args:
        references: runs to estimate from; by default the paper's and the committed records.
    """
    known = references or load_reference_runs(records=[paths.MEASUREMENTS])
    found = []
    for hardware, target in targets().items():
        plans = [plan_campaign(name, references=known, here=target) for name in CAMPAIGNS]
        found += [_row(hardware, plan) for plan in plans if _is_for(target, plan)]
    return pd.DataFrame([row for row in found if row["runs_that_fit"]])


def _is_for(target: Target, plan: CampaignPlan) -> bool:
    """Say whether a campaign makes use of the machine: one with GPUs is not listed for what needs none."""
    return not target.hardware.gpus or any(run.gpus for run in plan.runs)


def _row(hardware: str, plan: CampaignPlan) -> dict[str, object]:
    fitting, total = plan.runs_in({"to do"}), plan.totals["to do"]
    models = [study().models[name] for name in dict.fromkeys(run.model for run in fitting)]
    served = [model for model in models if isinstance(model, LanguageModel)]
    return {
        "hardware": hardware,
        "campaign": plan.campaign,
        "title": study().campaigns[plan.campaign].title,
        "runs_that_fit": total.runs,
        "runs": len(plan.runs),
        "duration_s": total.duration_s if total.unknown_durations < total.runs else None,
        "energy_wh": total.energy_wh if total.unknown_energies < total.runs else None,
        "runs_without_estimate": total.unknown_durations,
        "weights_bytes": sum(  # by the catalogue: what the plan would download depends on this machine's cache
            model.gguf.file.size_bytes if model.gguf else stored_bytes(model) for model in served
        ),
        "largest_b": max((model.parameters_b for model in served), default=None),
    }


def draw(found: pd.DataFrame) -> Figure:
    """Show `rows`, a table for each kind of hardware."""
    body = "".join(
        html_table(
            _shown(part),
            f"{str(hardware)[0].upper()}{str(hardware)[1:]}",
            ("Runs", "Time", "Energy", "Weights", "Largest model"),
        )
        for hardware, part in found.groupby("hardware", sort=False)
    )
    largest = found.groupby("hardware", sort=False)["largest_b"].max().dropna()
    sizes = [
        f"{units.significant(size, 2)} billion {'parameters ' if number == 0 else ''}on {name}"
        for number, (name, size) in enumerate(largest.items())
    ]
    return Figure(
        name="what_can_i_run",
        label="What can I run?",
        finding=f"The largest language model that fits has {', '.join(sizes)}.",
        note=(
            "Hours and Wh are the planner's, from the paper's runs and the committed records; loading a model and training "
            "are not included. The estimates assume an A30 (24 GB) or an H100 (80 GB). The command plan gives the same for your "
            "machine."
        ),
        data=found.assign(origin="data/study/campaigns/paper-models.yaml"),
        function="helpers.campaigns.plan.what_can_run.what_can_i_run",
        body=body,
        inputs=[
            *(f"data/study/campaigns/{name}.yaml" for name in CAMPAIGNS),
            "data/study/models.yaml",
            "data/study/machines.yaml",
        ],
    )


def what_can_i_run() -> Figure:
    """Show for each kind of hardware what can be measured on it, and what that takes."""
    return draw(rows())


def _shown(found: pd.DataFrame) -> pd.DataFrame:
    shown = [
        {
            "Campaign": Markup(f"{code(row['campaign'])}<br>{html.escape(row['title'])}"),
            "Runs": f"{row['runs_that_fit']} of {row['runs']}",
            "Time": duration_text(_known(row["duration_s"])) + _unknown(row),
            "Energy": energy_text(_known(row["energy_wh"])),
            "Weights": units.size(row["weights_bytes"]) if row["weights_bytes"] else None,
            "Largest model": f"{units.significant(row['largest_b'], 2)} B"
            if pd.notna(row["largest_b"])
            else None,
        }
        for row in found.to_dict("records")
    ]
    return pd.DataFrame(shown, dtype=object)


def _known(number: float) -> float | None:
    return None if pd.isna(number) else float(number)


def _unknown(row: dict[Any, Any]) -> str:
    """Say how many of the runs are not in a sum, unless that is said of all of them."""
    unknown = row["runs_without_estimate"]
    return f" + {units.counted(unknown, 'run')} unknown" if 0 < unknown < row["runs_that_fit"] else ""
