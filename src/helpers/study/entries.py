"""Entries of the study's datasets and machines (`data/study/datasets.yaml`, `machines.yaml`)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from helpers.core.validation import Strict

_Revision = Field(pattern=r"^[0-9a-f]{40}$")


class Hub(Strict):
    """Files of a dataset on the Hugging Face hub, with columns `text` and `label`."""

    repository: str
    revision: str = _Revision
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
    """What is classified, in a few words."""
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
        if (
            blank := next((label for label in self.labels if label != label.strip() or not label), None)
        ) is not None:
            raise ValueError(
                f"'labels' has {blank!r}; expected names without blanks around them, as the data has them"
            )
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
        """A machine must be identifiable: by its GPUs, or else by its CPU."""
        of_gpus = [key for key in type(self).model_fields if key.startswith("gpu_")]
        given = [key for key in of_gpus if getattr(self, key) is not None]
        if self.gpus_per_node and (absent := [key for key in of_gpus if key not in given]):
            raise ValueError(
                f"'{absent[0]}' is needed where 'gpus_per_node' is above 0 (nvidia-smi --format=csv "
                "--query-gpu=name,memory.total,power.max_limit,compute_cap prints it); without GPUs 'gpus_per_node' is 0"
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
