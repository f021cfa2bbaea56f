"""The study as data: models, datasets, machines and campaigns (`data/study/*.yaml`), validated."""

from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from helpers import paths
from helpers.errors import UserError, nearest
from helpers.validation import Strict, load_yaml, parse

Family = Literal["Traditional", "Other LLM", "Deepseek"]
Revision = Field(pattern=r"^[0-9a-f]{40}$")
PAPER_EMBEDDING = "paraphrase-multilingual-mpnet-base-v2"
"""The sentence embedding of the paper (section 3.1)."""
NAME = r"^[a-z0-9][a-z0-9.-]*$"


class TraditionalModel(Strict):
    """A classifier on top of features (paper, section 3.1)."""

    title: str
    features: Literal["bow", "tfidf", "embedding"]
    classifier: Literal["logistic-regression", "xgboost"]
    family: Literal["Traditional"] = "Traditional"


class LanguageModel(Strict):
    """A checkpoint that is asked without training (paper, section 3.2 and Table 1)."""

    title: str
    family: Literal["Other LLM", "Deepseek"]
    checkpoint: str
    """Repository on the Hugging Face hub."""
    revision: str = Revision
    note: str | None = None


class EmbeddingCheckpoint(Strict):
    """Where a sentence embedding comes from: a pinned hub repository or an installed package."""

    repository: str | None = None
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    package: str | None = None
    weights_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.repository) == bool(self.package):
            raise ValueError("give either 'repository' with 'revision' or 'package' with 'weights_sha256'")
        if bool(self.repository) != bool(self.revision) or bool(self.package) != bool(self.weights_sha256):
            raise ValueError("'repository' needs 'revision', 'package' needs 'weights_sha256'")
        return self


class Hub(Strict):
    """Files of a dataset on the Hugging Face hub, with columns `text` and `label`."""

    repository: str
    revision: str = Revision
    parts: list[str] = Field(min_length=1)
    labels: list[str]
    """Names of the integer labels, in the hub's order."""


class Csv(Strict):
    """A CSV that somebody has to provide, or that this repository ships."""

    file: str
    text_column: str
    label_column: str
    min_per_label: int = Field(default=1, ge=1)
    """Labels with fewer entries are dropped (paper, section 3)."""


class SplitSizes(Strict):
    """Texts in each of the 10 splits."""

    train: int = Field(gt=0)
    test: int = Field(gt=0)
    halves: bool = False
    """Halve the dataset, whatever its size; the sizes are then those of the paper's data."""


class DatasetEntry(Strict):
    """A dataset of the study."""

    title: str
    task: str
    language: Literal["de", "en"]
    labels: list[str] = Field(min_length=2)
    instruction: str
    """What a language model is told, above the list of labels (paper, Appendix A)."""
    split: SplitSizes
    synthetic: bool = False
    texts: int | None = Field(default=None, gt=0)
    """Expected number of texts, where the paper gives it."""
    hub: Hub | None = None
    csv: Csv | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.hub is None) == (self.csv is None):
            raise ValueError("give either 'hub' or 'csv'")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("'labels' has a name twice")
        if self.hub is not None and (unknown := set(self.hub.labels) ^ set(self.labels)):
            raise ValueError(f"'hub.labels' and 'labels' differ: {', '.join(sorted(unknown))}")
        return self


class Machine(Strict):
    """A machine of the paper (Table 2)."""

    title: str
    center: str
    nodes: int = Field(gt=0)
    cpu: str
    ram_gb: float = Field(gt=0)
    gpus_per_node: int = Field(ge=0)
    gpu_model: str
    """What the name of its GPUs, as the driver gives it, contains."""
    gpu_memory_gb: float = Field(gt=0)
    gpu_max_power_w: float = Field(gt=0)


class Campaign(Strict):
    """A list of runs: every block of the grid is multiplied out."""

    title: str
    description: str
    notebook: Literal["traditional"]
    grid: list[dict[str, Any]] = Field(min_length=1)


class _Models(Strict):
    traditional: dict[str, TraditionalModel]
    llm: dict[str, LanguageModel]
    embeddings: dict[str, EmbeddingCheckpoint]


class _Datasets(Strict):
    datasets: dict[str, DatasetEntry]


class _Machines(Strict):
    machines: dict[str, Machine]


class Study(Strict):
    """Everything in `data/study`."""

    models: dict[str, TraditionalModel | LanguageModel]
    embeddings: dict[str, EmbeddingCheckpoint]
    datasets: dict[str, DatasetEntry]
    machines: dict[str, Machine]
    campaigns: dict[str, Campaign]


def load_study(folder: Path = paths.STUDY) -> Study:
    """Read and check the catalogue.

    Raises:
        UserError: one line with file, key and nearest valid key for the first fault.
    """
    models = _read(folder / "models.yaml", _Models)
    campaigns = {file.stem: _read(file, Campaign) for file in sorted((folder / "campaigns").glob("*.yaml"))}
    return Study(
        models={**models.traditional, **models.llm},
        embeddings=models.embeddings,
        datasets=_read(folder / "datasets.yaml", _Datasets).datasets,
        machines=_read(folder / "machines.yaml", _Machines).machines,
        campaigns=campaigns,
    )


@cache
def study() -> Study:
    """Return the catalogue of this repository, read once per process."""
    return load_study()


def model_title(model: str) -> str:
    """Return the name of a model as the paper writes it."""
    return study().models[model].title


EntryT = TypeVar("EntryT")


def entry(kind: str, entries: dict[str, EntryT], name: str, where: str = "") -> EntryT:
    """Return the entry called `name`.

    Raises:
        UserError: one line with the nearest known name.
    """
    if name not in entries:
        raise UserError(f"{where}unknown {kind} {name!r} ({nearest(name, entries)})")
    return entries[name]


ModelT = TypeVar("ModelT", bound=Strict)


def _read(file: Path, kind: type[ModelT]) -> ModelT:
    where = paths.relative(file)
    return parse(kind, load_yaml(file, where), where)
