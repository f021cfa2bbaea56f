"""The study as data: models, datasets, machines and campaigns (`data/study/*.yaml`), validated."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from helpers.core import paths
from helpers.core.errors import UserError, nearest, short
from helpers.core.validation import Strict, load_yaml, parse
from helpers.study.models import EmbeddingCheckpoint, Family, LanguageModel, MinimumGpus, TraditionalModel

__all__ = [
    "NAME",
    "PAPER_EMBEDDING",
    "THE_PAPERS",
    "Campaign",
    "CampaignName",
    "Csv",
    "DatasetEntry",
    "EmbeddingCheckpoint",
    "Family",
    "Hub",
    "LanguageModel",
    "Machine",
    "MinimumGpus",
    "SplitSizes",
    "Study",
    "TraditionalModel",
    "entry",
    "load_study",
    "model_title",
    "paper_datasets",
    "paper_machines",
    "paper_models",
    "study",
]

Revision = Field(pattern=r"^[0-9a-f]{40}$")
PAPER_EMBEDDING = "paraphrase-multilingual-mpnet-base-v2"
"""The sentence embedding of the paper (section 3.1)."""
NAME = r"^[a-z0-9][a-z0-9.-]*$"


def _as_name(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise ValueError(
            "a name has small letters, digits, '-' and '.' only, for it stands in names of folders"
        )
    return name


Name = Annotated[str, AfterValidator(_as_name)]
"""Of an entry: it becomes a part of names of runs, folders and pages."""
THE_PAPERS = "published"
"""Source of the paper's values in the results tables, beside the campaigns."""


def _not_the_papers(name: str) -> str:
    if name == THE_PAPERS:
        raise ValueError(f"'{THE_PAPERS}' are the paper's own values; give the campaign another name")
    return name


CampaignName = Annotated[str, Field(pattern=NAME), AfterValidator(_not_the_papers)]
"""Of a campaign; it is a source of the results tables, too."""


class Hub(Strict):
    """Files of a dataset on the Hugging Face hub, with columns `text` and `label`."""

    repository: str
    revision: str = Revision
    parts: list[str] = Field(min_length=1)
    labels: list[str]
    """Names of the integer labels, in the hub's order."""
    smallest_part: int | None = Field(default=None, gt=0)
    """Texts of its smallest part: which one the paper drew from is not printed, and few texts mean more noise."""


class Csv(Strict):
    """A CSV that somebody has to provide, or that this repository ships."""

    file: str
    """Its name; the folder is the one that COMPANION_DATASETS or `data_dir` names."""
    text_column: str
    """Head of the column with the texts."""
    label_column: str
    """Head of the column with the labels."""
    min_per_label: int = Field(default=1, ge=1)
    """Labels with fewer entries are dropped (paper, section 3)."""


class SplitSizes(Strict):
    """Texts in each of the 10 splits."""

    train: int = Field(gt=0)
    test: int = Field(gt=0)
    halves: bool = False
    """Halve the dataset, whatever its size; the sizes are then those of the paper's data."""


class LargestClass(Strict):
    """The most frequent label of a dataset: always to name it is the best guess without reading."""

    label: str
    share: float = Field(gt=0, le=1)
    """Of the texts that have it."""
    source: str
    """Where it was counted."""


class DatasetEntry(Strict):
    """A dataset of the study."""

    title: str
    """How figures and tables write its name."""
    task: str
    """What is told apart, in a few words."""
    language: Literal["de", "en"]
    """Of the instruction to a language model: a key of data/study/prompts.yaml."""
    licence: str
    """Of the texts: an SPDX identifier, or in words."""
    labels: list[str] = Field(min_length=2)
    """The categories, as the data names them."""
    split: SplitSizes
    """Texts to train on and to test: `{train: 200, test: 200}`."""
    in_paper: bool = False
    """One of the paper's five."""
    synthetic: bool = False
    texts: int | None = Field(default=None, gt=0)
    """Expected number of texts, where it is known."""
    largest_class: LargestClass | None = None
    """Absent where the shares of the labels are not known."""
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
        if self.largest_class is not None and self.largest_class.label not in self.labels:
            raise ValueError(f"'largest_class' has no label of the dataset: {self.largest_class.label}")
        return self

    @property
    def pool(self) -> int:
        """Texts that test sets are drawn from: all of the dataset, or the least that its parts or splits allow."""
        part = None if self.hub is None else self.hub.smallest_part
        return self.texts or part or self.split.train + self.split.test

    @property
    def chance(self) -> float:
        """Accuracy of always naming the most frequent label; the least that it can be where shares are not known."""
        return self.largest_class.share if self.largest_class is not None else 1 / len(self.labels)


class Machine(Strict):
    """A machine: one of the paper (Table 2), or another whose runs shall have its name.

    What its GPUs are is given where it has some, and nowhere else.
    """

    title: str
    """How figures and tables write its name."""
    center: str
    """Where it stands."""
    in_paper: bool = False
    """One of the paper's three."""
    nodes: int = Field(gt=0)
    """How many there are of it."""
    cpu: str
    """In words, for tables."""
    cpu_model: str | None = Field(default=None, min_length=1)
    """What the kernel's name of its CPU contains (`model name` in /proc/cpuinfo); None: any will do."""
    ram_gb: float = Field(gt=0)
    """Of a node."""
    gpus_per_node: int = Field(ge=0)
    """0: it has none."""
    gpu_model: str | None = Field(default=None, min_length=1)
    """What the name of its GPUs, as the driver gives it, contains as a word."""
    gpu_memory_gb: float | None = Field(default=None, gt=0, le=2000)
    gpu_max_power_w: float | None = Field(default=None, gt=0)
    gpu_compute_capability: float | None = Field(default=None, gt=0)
    """NVIDIA's number for what a GPU can do; the paper does not print it. 8.0 and up compute in bfloat16."""

    @model_validator(mode="after")
    def _gpus_or_none(self) -> Self:
        """A machine that is asked for has to be told from others: by its GPUs, or else by its CPU."""
        of_gpus = [key for key in type(self).model_fields if key.startswith("gpu_")]
        given = [key for key in of_gpus if getattr(self, key) is not None]
        if self.gpus_per_node and (absent := [key for key in of_gpus if key not in given]):
            raise ValueError(
                f"'{absent[0]}' is needed where 'gpus_per_node' is above 0 (nvidia-smi --format=csv "
                "--query-gpu=name,memory.total,power.max_limit,compute_cap tells it); without GPUs 'gpus_per_node' is 0"
            )
        if not self.gpus_per_node and given:
            raise ValueError(
                f"'{given[0]}' is given, but 'gpus_per_node' is 0; leave it out, or say how many"
            )
        if not self.gpus_per_node and self.cpu_model is None:
            raise ValueError(
                "'cpu_model' is needed where 'gpus_per_node' is 0 (grep 'model name' /proc/cpuinfo)"
            )
        return self

    @property
    def gpus_of_node(self) -> str:
        """The GPUs of a node in words."""
        return f"{self.gpus_per_node} x {self.gpu_model}" if self.gpu_model else "no GPU"


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

    @field_validator("where", mode="before")
    @classmethod
    def _one_value_each(cls, where: Any) -> Any:
        if not isinstance(where, dict):
            return where
        several = [key for key, value in where.items() if not isinstance(value, str | int | float)]
        if several:
            raise ValueError(
                f"{short(several[0])} is {short(where[several[0]])}; expected one value of it: a text, a number, or true "
                "or false"
            )
        return where

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
    traditional: dict[Name, TraditionalModel]
    llm: dict[Name, LanguageModel]
    embeddings: dict[str, EmbeddingCheckpoint]


class _Datasets(Strict):
    datasets: dict[Name, DatasetEntry]


class _Machines(Strict):
    machines: dict[Name, Machine]


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


def paper_datasets() -> list[str]:
    """Return the paper's five datasets, in the order of the study."""
    return [name for name, dataset in study().datasets.items() if dataset.in_paper]


def paper_machines() -> dict[str, Machine]:
    """Return the paper's three machines, in the order of the study."""
    return {name: machine for name, machine in study().machines.items() if machine.in_paper}


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


def is_card(card: str, gpu_model: str) -> bool:
    """Say whether a GPU, by its full name, is a card: `A30` is no part of `RTX A3000`, and no `RTX 3090 Ti` a `RTX 3090`."""
    other = r"[A-Za-z0-9]| (?:Ti|SUPER|D|Laptop)\b"
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(card)}(?!{other})", gpu_model) is not None
