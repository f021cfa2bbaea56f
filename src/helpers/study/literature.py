"""What other studies give, as `data/study/other_studies.yaml` has it: energies of inference, and constants of their meter."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from helpers.core import paths
from helpers.core.validation import Strict, load_yaml, parse

OTHER_STUDIES = paths.STUDY / "other_studies.yaml"


class Source(Strict):
    """Where a figure stands."""

    title: str
    url: str = Field(pattern=r"^https://\S+$")
    doi: str | None = Field(default=None, pattern=r"^10\.\d{4,}/\S+$")

    @property
    def address(self) -> str:
        """Where a reader finds it: the DOI where there is one."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url


class StudyEnergy(Strict):
    """The energy of inference that another study gives for 1000 texts; loading is not in it."""

    study: str
    what: str = Field(max_length=22)
    """Model or group of models, short enough for the axis."""
    task: str
    dataset: str | None = None
    """Our id of the dataset, where it is one of the study's."""
    wh_per_1000_texts: float = Field(gt=0)
    accounting: Literal["total", "gpu"]
    """`total`: CPU, GPU and memory; `gpu`: GPU only."""
    hardware: str
    basis: Literal["printed", "recomputed", "draft", "secondary source"]
    """`draft`: on a board that its makers call a test."""
    source: Source
    derivation: str
    """How the number was taken from the source: column, phase and unit."""
    note: str | None = None


class MeterConstants(Strict):
    """What CodeCarbon wrote as power of the CPU and of memory on a machine of another study."""

    study: str
    codecarbon: str
    """Version."""
    hardware: str
    cpu_power_w: float = Field(gt=0)
    ram_power_w: float = Field(gt=0)
    ram_gb: float = Field(gt=0)
    """Memory of the machine as CodeCarbon counts it."""
    tracking_mode: Literal["machine", "process"]
    source: Source
    derivation: str


class OtherStudies(Strict):
    """The file `data/study/other_studies.yaml`."""

    figures: list[StudyEnergy] = Field(min_length=1)
    constants: list[MeterConstants] = Field(min_length=1)


def load_other_studies(file: Path = OTHER_STUDIES) -> OtherStudies:
    """Read and check what other studies give.

    Raises:
        UserError: one line with file, key and fault of the first one found.
    """
    file_name = paths.relative(file)
    return parse(OtherStudies, load_yaml(file, file_name), file_name)
