"""The study as data: models, datasets, machines and campaigns (`data/study/*.yaml`), validated."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from helpers.core import paths
from helpers.core.errors import UserError, nearest, short
from helpers.core.validation import Strict, load_yaml, parse
from helpers.study.entries import Csv, DatasetEntry, Hub, Machine, SplitSizes
from helpers.study.models import EmbeddingCheckpoint, Family, LanguageModel, MinimumGpus, TraditionalModel

__all__ = [
    "ENTRIES",
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
    "entries_of",
    "entry",
    "load_study",
    "model_title",
    "paper_datasets",
    "paper_machines",
    "paper_models",
    "study",
    "unknown_entry",
]

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
ENTRIES = "entries.yaml"
"""In an archive of runs: the entries of models and datasets that another catalogue may lack."""
THE_PAPERS = "published"
"""Source of the paper's values in the results tables, beside the campaigns."""


def _not_the_papers(name: str) -> str:
    if name == THE_PAPERS:
        raise ValueError(f"'{THE_PAPERS}' are the paper's own values; give the campaign another name")
    return name


CampaignName = Annotated[str, Field(pattern=NAME), AfterValidator(_not_the_papers)]
"""Of a campaign; it is a source of the results tables, too."""


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
    """The campaign whose runs these are; their records are stored under its name."""
    where: dict[str, str | int | float | bool] | None = Field(default=None, min_length=1)
    """Of a part: parameters and their values; runs with all of them are taken."""
    reconstructed: bool = True
    """Of a part: whether runs that are a reconstruction belong to it."""

    @field_validator("where", mode="before")
    @classmethod
    def _one_value_each(cls, selection: Any) -> Any:
        if not isinstance(selection, dict):
            return selection
        several = [key for key, value in selection.items() if not isinstance(value, str | int | float)]
        if several:
            raise ValueError(
                f"{short(several[0])} is {short(selection[several[0]])}; expected one value of it: a text, a number, or true "
                "or false"
            )
        return selection

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


def machine_title(machine: str) -> str:
    """Return the name of a machine as the paper writes it; another one is described by its hardware, after which it is named.

    `intel-xeon-16c-1x-nvidia-h200` is `Intel Xeon, 16 cores, 1 x NVIDIA H200`.
    """
    if machine in study().machines:
        return study().machines[machine].title
    detected = re.fullmatch(r"(.+)-(\d+)c(?:-(\d+)x-(.+))?", machine)
    if detected is None:
        return machine
    processor, cores, count, card = detected.groups()
    gpus = f", {count} x {_brand(card)}" if card else ""
    return f"{_brand(processor)}, {cores} {'core' if cores == '1' else 'cores'}{gpus}"


def _brand(words: str) -> str:
    """Return the name of a processor or card in the letters of its maker, `AMD EPYC` for `amd-epyc`."""
    upper = {"amd", "epyc", "nvidia", "rtx", "gtx", "cpu"}
    return " ".join(
        word.upper() if word in upper or any(map(str.isdigit, word)) else word.capitalize()
        for word in words.split("-")
    )


def paper_datasets() -> list[str]:
    """Return the paper's five datasets, in the order of the study."""
    return [name for name, dataset in study().datasets.items() if dataset.in_paper]


def paper_machines() -> dict[str, Machine]:
    """Return the paper's three machines, in the order of the study."""
    return {name: machine for name, machine in study().machines.items() if machine.in_paper}


def paper_models() -> list[str]:
    """Return the paper's 17 models, in the order of the study."""
    return [name for name, model in study().models.items() if model.in_paper]


def embedding_models() -> list[str]:
    """Return the traditional models on a sentence embedding, in the order of the study."""
    return [
        name
        for name, model in study().models.items()
        if isinstance(model, TraditionalModel) and model.features == "embedding"
    ]


def unknown_entry(model: str, dataset: str) -> str | None:
    """Return what the catalogue lacks of a run, and what to do; None where it has the model and the dataset."""
    for kind, entries, name, file in (
        ("dataset", study().datasets, dataset, "datasets.yaml"),
        ("model", study().models, model, "models.yaml"),
    ):
        if name not in entries:
            return (
                f"{kind} {short(name)} is not in the catalogue ({nearest(name, entries)}); add its entry to data/study/{file} "
                f"(an archive of the run has it in {ENTRIES})"
            )
    return None


def entries_of(models: Iterable[str], datasets: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the entries of models and datasets that are not the paper's, as `models.yaml` and `datasets.yaml` hold them."""
    catalogue, entries = study(), dict[str, dict[str, Any]]()
    for name in sorted(set(datasets) & set(catalogue.datasets)):
        if not (dataset := catalogue.datasets[name]).in_paper:
            entries.setdefault("datasets", {})[name] = dataset.model_dump(mode="json", exclude_defaults=True)
    for name in sorted(set(models) & set(catalogue.models)):
        if not (model := catalogue.models[name]).in_paper:
            kind = "llm" if isinstance(model, LanguageModel) else "traditional"
            entries.setdefault(kind, {})[name] = model.model_dump(mode="json", exclude_defaults=True)
    return entries


EntryT = TypeVar("EntryT")


def entry(kind: str, entries: dict[str, EntryT], name: str, location: str = "") -> EntryT:
    """Return the entry called `name`.

    Raises:
        UserError: one line with the nearest known name.
    """
    if name not in entries:
        raise UserError(f"{location}unknown {kind} {short(name)} ({nearest(name, entries)})")
    return entries[name]


ModelT = TypeVar("ModelT", bound=Strict)


def _read(file: Path, kind: type[ModelT]) -> ModelT:
    file_name = paths.relative(file)
    return parse(kind, load_yaml(file, file_name), file_name)


def is_card(card: str, gpu_model: str) -> bool:
    """Say whether a GPU, by its full name, is a card: `A30` is no part of `RTX A3000`, and no `RTX 3090 Ti` a `RTX 3090`."""
    other = r"[A-Za-z0-9]| (?:Ti|SUPER|D|Laptop)\b"
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(card)}(?!{other})", gpu_model) is not None
