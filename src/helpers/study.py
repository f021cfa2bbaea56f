"""The study as data: models, datasets, machines and campaigns (`data/study/*.yaml`), validated."""

from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from helpers import paths
from helpers.errors import UserError, nearest, short
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

    @property
    def in_paper(self) -> bool:
        """Yes: all six are the paper's."""
        return True


class MinimumGpus(Strict):
    """The fewest GPUs that a model ran on, at 16 bits per parameter."""

    gpus: int = Field(gt=0)
    """Over all nodes."""
    nodes: int = Field(default=1, gt=0)
    source: Literal["table_b1", "section_3.3", "inferred_b3"]
    """Where the paper says so; Table B3 has the runs but prints no GPU count, so theirs are inferred."""


class LanguageModel(Strict):
    """A checkpoint that is asked without training (paper, section 3.2 and Table 1).

    Facts are those of the checkpoint's public configuration and model card.
    """

    title: str
    family: Literal["Other LLM", "Deepseek"]
    in_paper: bool
    """One of the paper's 11."""
    checkpoint: str
    """Repository on the Hugging Face hub; or a folder, from the root of the project and beginning with './'."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit on the hub; a folder has none."""
    stands_for: str | None = None
    """The paper's model whose name means this checkpoint, but whose link leads to another."""
    note: str | None = None
    parameters_b: float = Field(gt=0)
    """Parameters in billions; at 2 bytes each they are the least memory in GB."""
    active_parameters_b: float | None = Field(default=None, gt=0)
    """Of a mixture of experts: the parameters that work on one token, in billions; None: all of them."""
    layers: int = Field(gt=0)
    attention_layers: int | None = Field(default=None, gt=0)
    """Layers with a key-value cache, where not all have one (Mamba); None: all of them."""
    hidden_size: int = Field(gt=0)
    heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    context_length: int = Field(gt=0)
    """Tokens of prompt and answer together, as its configuration says (`max_position_embeddings`)."""
    dtype: Literal["bfloat16", "float16", "float32"]
    """Of the weights as published."""
    licence: str
    gated: bool | None
    """Whether the hub asks for an account that has accepted the licence; None: not known to us."""
    trust_remote_code: bool = False
    """Whether it cannot run without code from its repository; that of the pinned revision, and no other, is trusted."""
    reasoning: bool = False
    """Whether it thinks before it answers."""
    min_gpus: dict[str, MinimumGpus] = Field(default_factory=dict)
    """By machine of the paper; a machine is absent where the paper has no run."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.is_folder == bool(self.revision):
            raise ValueError("a checkpoint on the hub needs 'revision', a folder ('./...') has none")
        if self.trust_remote_code and not self.revision:
            raise ValueError("'trust_remote_code' needs 'revision': code that may change is not trusted")
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("'hidden_size' is a multiple of 'heads', and that of 'kv_heads'")
        return self

    @property
    def is_folder(self) -> bool:
        """Whether the checkpoint is a folder and not on the hub."""
        return self.checkpoint.startswith("./")

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of the key-value cache that a token takes, at 2 bytes a number."""
        caching = self.attention_layers or self.layers
        return 2 * 2 * caching * self.kv_heads * (self.hidden_size // self.heads)


class EmbeddingCheckpoint(Strict):
    """Where a sentence embedding comes from: a pinned hub repository or an installed package."""

    repository: str | None = None
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    package: str | None = None
    weights_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    licence: str

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
    licence: str
    """Of the texts: an SPDX identifier, or in words."""
    labels: list[str] = Field(min_length=2)
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
    gpu_compute_capability: float = Field(gt=0)
    """NVIDIA's number for what a GPU can do; the paper does not print it. 8.0 and up compute in bfloat16."""


class Campaign(Strict):
    """A list of runs: every block of the grid is multiplied out; or a part of another campaign.

    Beside the parameters of its notebook a block may say `notebook`, `published_in` (the published tables and
    figures that show its runs) and `reconstruction` (why the runs are thought to belong here though nothing shows
    them).
    """

    title: str
    description: str
    notebook: Literal["traditional", "llm"] | None = None
    """Of the blocks that name none."""
    grid: list[dict[str, Any]] | None = Field(default=None, min_length=1)
    part_of: str | None = Field(default=None, pattern=NAME)
    """The campaign whose runs these are; their records are filed under its name."""
    where: dict[str, str | int | float | bool] | None = Field(default=None, min_length=1)
    """Of a part: parameters and their values; runs with all of them are taken."""
    reconstructed: bool = True
    """Of a part: whether runs that are a reconstruction belong to it."""

    @model_validator(mode="after")
    def _runs_or_a_part(self) -> Self:
        if (self.grid is None) == (self.part_of is None):
            raise ValueError("give either 'grid' or 'part_of'")
        if (self.where is None) != (self.part_of is None):
            raise ValueError("'part_of' needs 'where', and nothing else has it")
        if self.part_of is None and not self.reconstructed:
            raise ValueError("only a campaign with 'part_of' may leave reconstructed runs out")
        if self.part_of is not None and self.notebook is not None:
            raise ValueError("a campaign with 'part_of' has the notebooks of the other")
        return self


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


def paper_models() -> list[str]:
    """Return the paper's 17 models, in the order of the study."""
    return [name for name, model in study().models.items() if model.in_paper]


EntryT = TypeVar("EntryT")


def entry(kind: str, entries: dict[str, EntryT], name: str, where: str = "") -> EntryT:
    """Return the entry called `name`.

    Raises:
        UserError: one line with the nearest known name.
    """
    if name not in entries:
        raise UserError(f"{where}unknown {kind} {short(name)} ({nearest(name, entries)})")
    return entries[name]


ModelT = TypeVar("ModelT", bound=Strict)


def _read(file: Path, kind: type[ModelT]) -> ModelT:
    where = paths.relative(file)
    return parse(kind, load_yaml(file, where), where)
