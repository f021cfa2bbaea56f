"""What a run wants from the Hugging Face hub: repositories at pinned revisions, and which of their files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from helpers.core.errors import UserError
from helpers.measure.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.study.catalogue import study

Kind = Literal["model", "embedding", "dataset"]
EMBEDDING_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "1_Pooling/*")
"""Of a sentence embedding, in all of its folders."""
_MODEL_FILES = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken", "tokenizer*")
"""Of a language model, beside each other: folders hold its weights once more, in another format."""
_TEMPLATES = "additional_chat_templates/*.jinja"
_ONCE_MORE = ("consolidated*", "*.gguf", "*.onnx")


@dataclass(frozen=True)
class HubItem:
    """A repository at a revision, and what of it is wanted."""

    kind: Kind
    name: str
    revision: str
    parts: frozenset[str] = frozenset()
    """Of a dataset: its files."""
    weights: bool = True
    """Of a model: whether its weights are wanted, or made up."""
    code: bool = False
    """Of a model: whether it needs Python code from its repository."""

    @property
    def title(self) -> str:
        """What it is called in a line."""
        return f"{self.kind} {self.name}@{self.revision[:8]}"


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


def wanted_files(item: HubItem, there: Iterable[str]) -> list[str]:
    """Return which files of a repository are wanted, of those that are there.

    Of a checkpoint only what the engines and sentence-transformers load; its weights in one format: safetensors,
    or else PyTorch's.

    Raises:
        UserError: one line, without the item's title, where the repository lacks a file that it is of no use without.
    """
    names = sorted(there)
    if item.kind == "dataset":
        if absent := sorted(item.parts - set(names)):
            raise UserError(f"no file {absent[0]} in it; correct hub.parts in data/study/datasets.yaml")
        return sorted(item.parts)
    if item.kind == "embedding":
        found = [name for name in names if _matches(name, EMBEDDING_FILES)]
        spare = [name for name in names if fnmatchcase(name, "*pytorch_model*.bin")]
    else:
        found, spare = _of_model(item, names)
    if not any(name.endswith(".safetensors") for name in found):
        found += spare
    if "config.json" not in found or not any(name.endswith((".safetensors", ".bin")) for name in found):
        raise UserError(
            "no config.json with weights (*.safetensors or *.bin) in it; correct its repository or revision in "
            "data/study/models.yaml"
        )
    return [name for name in sorted(found) if item.weights or not name.endswith((".safetensors", ".bin"))]


def _of_model(item: HubItem, names: list[str]) -> tuple[list[str], list[str]]:
    beside = [name for name in names if "/" not in name and not _matches(name, _ONCE_MORE)]
    found = [name for name in beside if _matches(name, _MODEL_FILES)]
    found += [name for name in names if fnmatchcase(name, _TEMPLATES)]
    if item.code:
        found += [name for name in names if name.endswith(".py")]
    return found, [name for name in beside if name.endswith(".bin")]


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
