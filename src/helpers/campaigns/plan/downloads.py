"""What runs need from the Hugging Face hub, and from packages of the Python index: data and checkpoints, each once."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from helpers.core.errors import UserError
from helpers.measure.parameters import LlmPlan, Plan, TraditionalPlan
from helpers.models import hub
from helpers.models.embedding_archive import missing_embedding
from helpers.models.hub_files import HubItem, Kind, required_files
from helpers.models.llm.gguf_checkpoint import looks_made
from helpers.study.catalogue import EmbeddingCheckpoint, LanguageModel, entry, study
from helpers.study.models import EmbeddingArchive, Gguf


@dataclass(frozen=True)
class PackagedModel:
    """A model of the catalogue whose weights travel in packages of the Python index."""

    kind: Literal["model", "embedding"]
    name: str
    """In the catalogue."""


@dataclass(frozen=True)
class Download:
    """Something on the hub, or in packages of the Python index, that runs of the campaign need."""

    kind: Kind
    name: str
    revision: str | None
    """On the hub; None: it comes in packages."""
    size_bytes: int | None
    """What is downloaded; None where the catalogue has no size."""
    present: bool
    gated: bool | None
    runs: int
    """That need it and are not done."""
    runnable: int
    """Of them, those that can run on the machine."""


def hub_items(plan: Plan) -> Iterator[HubItem]:
    """Yield what a run requires from the hub: its data and its checkpoint, unless they are in folders or packages."""
    chosen = plan.parameters
    data = study().datasets[chosen.dataset].hub
    own = Path(chosen.data_dir) / f"{chosen.dataset}.csv.gz" if chosen.data_dir else None
    if data is not None and not (own and own.is_file()):
        yield HubItem("dataset", data.repository, data.revision, frozenset(data.parts))
    if (checkpoint := hub_checkpoint(plan)) is not None:
        yield checkpoint


def hub_checkpoint(plan: Plan) -> HubItem | None:
    """Return the checkpoint that a run requires from the hub; None where it requires none."""
    match plan:
        case LlmPlan(parameters=llm, model=model):
            elsewhere = plan.served.runs_already or llm.checkpoint
            if not elsewhere and model.revision is not None:
                return HubItem(
                    kind="model",
                    name=model.checkpoint,
                    revision=model.revision,
                    weights=llm.weights == "real",
                    code=model.trust_remote_code,
                )
        case TraditionalPlan(checkpoint=str(name)) if name in study().embeddings:
            item = study().embeddings[name]
            if item.repository is not None and item.revision is not None:
                return HubItem("embedding", item.repository, item.revision)
    return None


def model_source(name: str) -> HubItem | PackagedModel:
    """Return where a model or an embedding of the catalogue comes from.

    Raises:
        UserError: one line where it is unknown, or nothing is to be fetched for it.
    """
    item = entry("model", {**study().models, **study().embeddings}, name)
    match item:
        case LanguageModel(gguf=None, revision=str(revision)):
            return HubItem("model", item.checkpoint, revision, code=item.trust_remote_code)
        case LanguageModel(gguf=Gguf()):
            return PackagedModel("model", name)
        case EmbeddingCheckpoint(repository=str(repository), revision=str(revision)):
            return HubItem("embedding", repository, revision)
        case EmbeddingCheckpoint(archive=EmbeddingArchive()):
            return PackagedModel("embedding", name)
    raise UserError(f"{name}: nothing to fetch: it comes from no hub and from no packaged file")


def packaged_model(plan: Plan) -> PackagedModel | None:
    """Return the model that a run requires from packages of the Python index; None where it requires none."""
    match plan:
        case LlmPlan(parameters=llm, model=model) if model.gguf is not None:
            if not plan.served.runs_already and not llm.checkpoint:
                return PackagedModel("model", llm.model)
        case TraditionalPlan(checkpoint=str(name)) if name in study().embeddings:
            if study().embeddings[name].archive is not None:
                return PackagedModel("embedding", name)
    return None


def required_packages(plans: Iterable[Plan]) -> dict[PackagedModel, int]:
    """Return the models that runs require from packages, each once, with the number of runs that require it."""
    return dict(Counter(item for plan in plans if (item := packaged_model(plan)) is not None))


def required_repositories(plans: Iterable[Plan]) -> dict[HubItem, int]:
    """Return what runs require from the hub, each repository once, with the number of runs that require it."""
    repositories: dict[tuple[Kind, str, str], tuple[HubItem, int]] = {}
    for item in (item for plan in plans for item in hub_items(plan)):
        key = (item.kind, item.name, item.revision)
        merged, runs = repositories.get(key, (item, 0))
        both = replace(
            merged,
            parts=merged.parts | item.parts,
            weights=merged.weights or item.weights,
            code=merged.code or item.code,
        )
        repositories[key] = (both, runs + 1)
    return dict(repositories.values())


def list_downloads(left: Iterable[Plan], runnable: Iterable[Plan]) -> list[Download]:
    """Return what the runs that are left need from the hub, each thing once, with how many need it, and how many can run."""
    runnable_counts = {
        (item.kind, item.name, item.revision): runs for item, runs in required_repositories(runnable).items()
    }
    downloads = []
    for item, runs in required_repositories(left).items():
        key = (item.kind, item.name, item.revision)
        size_bytes, gated = _size_and_access(item)
        downloads.append(
            Download(*key, size_bytes, hub.complete(item), gated, runs, runnable_counts.get(key, 0))
        )
    runnable_packaged = required_packages(runnable)
    for packaged, runs in required_packages(left).items():
        size_bytes, present = _packaged_size(packaged)
        can_run = runnable_packaged.get(packaged, 0)
        downloads.append(
            Download(packaged.kind, packaged.name, None, size_bytes, present, False, runs, can_run)
        )
    return downloads


def _packaged_size(item: PackagedModel) -> tuple[int, bool]:
    """Return the size of what is downloaded, and whether the model is there already."""
    if item.kind == "embedding":
        archive = study().embeddings[item.name].archive
        return archive.file.size_bytes if archive else 0, missing_embedding(item.name) is None
    model = study().models[item.name]
    if not isinstance(model, LanguageModel) or model.gguf is None:
        return 0, False
    return model.gguf.file.size_bytes, looks_made(model)


def _size_and_access(item: HubItem) -> tuple[int | None, bool | None]:
    """Return the size of the required files of a repository, and whether it is gated; None where unknown."""
    size_bytes = _listed_bytes(item)
    if item.kind != "model":
        return size_bytes, False
    for model in study().models.values():
        if model.family != "Traditional" and model.checkpoint == item.name:
            if size_bytes is None and item.weights:
                size_bytes = stored_bytes(model)
            return size_bytes, model.gated
    return size_bytes, None


def _listed_bytes(item: HubItem) -> int | None:
    """Return the size by the hub's own list of files; None where the client has not stored that list."""
    listed = hub.listing(item)
    if listed is None:
        return None
    try:
        return sum(listed[name].size_bytes for name in required_files(item, listed))
    except UserError:  # `fetch` reports what the repository lacks
        return None


def stored_bytes(model: LanguageModel) -> int:
    """Return the size of a checkpoint on disk, from its parameters and their type."""
    return round(model.parameters_b * 1e9 * _BYTES[model.dtype])


_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
