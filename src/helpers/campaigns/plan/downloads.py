"""What runs need from the Hugging Face hub: their data and their checkpoints, each repository once."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from helpers.measure.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.models.hub_files import HubItem, Kind
from helpers.study.catalogue import study


def from_hub(plan: Plan) -> Iterator[HubItem]:
    """Yield what a run wants from the hub: its data and its checkpoint, where they are not in folders or packages."""
    chosen = plan.parameters
    data = study().datasets[chosen.dataset].hub
    own = Path(chosen.data_dir) / f"{chosen.dataset}.csv.gz" if chosen.data_dir else None
    if data is not None and not (own and own.is_file()):
        yield HubItem("dataset", data.repository, data.revision, frozenset(data.parts))
    if (checkpoint := checkpoint_from_hub(plan)) is not None:
        yield checkpoint


def checkpoint_from_hub(plan: Plan) -> HubItem | None:
    """Return the checkpoint that a run wants from the hub; None where it wants none."""
    match plan:
        case LlmPlan(parameters=of_llm, model=model):
            elsewhere = plan.served.runs_already or of_llm.checkpoint
            if not elsewhere and model.revision is not None:
                return HubItem(
                    kind="model",
                    name=model.checkpoint,
                    revision=model.revision,
                    weights=of_llm.weights == "real",
                    code=model.trust_remote_code,
                )
        case TraditionalPlan(checkpoint=str(name)) if name in study().embeddings:
            item = study().embeddings[name]
            if item.repository is not None and item.revision is not None:
                return HubItem("embedding", item.repository, item.revision)
    return None


def needed(plans: Iterable[Plan]) -> dict[HubItem, int]:
    """Return what runs want from the hub, each repository once, with the number of runs that want it."""
    found: dict[tuple[Kind, str, str], tuple[HubItem, int]] = {}
    for item in (item for plan in plans for item in from_hub(plan)):
        key = (item.kind, item.name, item.revision)
        known, runs = found.get(key, (item, 0))
        both = replace(
            known,
            parts=known.parts | item.parts,
            weights=known.weights or item.weights,
            code=known.code or item.code,
        )
        found[key] = (both, runs + 1)
    return dict(found.values())
