"""Runs and rows of printed tables, read cell by cell; every cell that is read is logged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from helpers.claims.source import Row, Source, number, run_key, text, whole
from helpers.claims.values import Untestable, Value
from helpers.claims.wording import TRADITIONAL, dataset_title
from helpers.results.accounting import TITLES
from helpers.study.catalogue import PAPER_EMBEDDING, model_title

_QUANTITIES = {
    "accuracy": "the accuracy",
    "duration_s": "the duration",
    "energy_wh": "the energy",
    "cpu_wh": "the CPU's energy",
    "gpu_wh": "the GPU's energy",
    "ram_wh": "the memory's energy",
    "tokens_out": "the number of generated tokens",
}
_POSITIVE = ("duration_s", "energy", "energy_wh")
"""A zero here is a meter that saw nothing."""


@dataclass(frozen=True)
class Use:
    """One cell that a claim read: of the results tables, or of a printed table or figure."""

    model: str | None
    dataset: str | None
    machine: str | None
    gpus: int | None
    nodes: int | None
    quantity: str
    origin: str


@dataclass
class Log:
    """The cells that a claim read, and what a reader must know about them."""

    uses: set[Use] = field(default_factory=set)
    notes: set[str] = field(default_factory=set)
    splits: dict[str, int] = field(default_factory=dict)
    """The fewest splits of a record that a comparison rests on, where that is not all of them."""

    def add(self, row: Row, quantity: str, origin: str) -> None:
        """Note that a cell was read."""
        self.uses.add(
            Use(
                model=text(row.get("model")),
                dataset=text(row.get("dataset")),
                machine=text(row.get("machine")),
                gpus=whole(row.get("gpus")),
                nodes=whole(row.get("nodes")),
                quantity=quantity,
                origin=origin,
            )
        )

    def compare_on(self, origins: Sequence[str], splits: int) -> None:
        """Note that records were compared on so many splits, those that all of them have."""
        for origin in origins:
            self.splits[origin] = min(splits, self.splits.get(origin, splits))


@dataclass(frozen=True)
class Run:
    """A row of the results table."""

    source: Source
    log: Log
    row: Row

    @property
    def model(self) -> str:
        """The id of the model."""
        return str(self.row["model"])

    @property
    def title(self) -> str:
        """The model as the paper writes it."""
        return model_title(self.model)

    @property
    def dataset(self) -> str:
        """The id of the dataset."""
        return str(self.row["dataset"])

    @property
    def origin(self) -> str:
        """The published tables or the record."""
        return str(self.row["origin"])

    @property
    def gpus(self) -> int:
        """GPUs over all nodes; 0 where their number is not known or none was used."""
        return whole(self.row["gpus"]) or 0

    def count_gpus(self) -> int:
        """Return the number of GPUs as evidence, not as a key of the run."""
        self._log("gpus", self.source.find_observation(self.row, "gpus", self.gpus).origin)
        if self.row["gpus_origin"] == "inferred":
            self.log.notes.add("some GPU counts inferred")
        return self.gpus

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return int(self.row["nodes"])

    def accuracy(self) -> Value:
        """Return the share of texts that were classified right."""
        return self._cell("accuracy", "accuracy")

    def duration(self) -> Value:
        """Return the duration of one pass in s."""
        return self._cell("duration_s", "duration_s")

    def energy(self) -> Value:
        """Return the energy of one pass in Wh under the accounting of the source.

        Where only a limit is printed, the value is that limit and the interval begins at 0.
        """
        limit = number(self.row["energy_wh_below"])
        total = self.source.mode == "total_as_published"
        if total and limit is not None and not self.has("energy"):
            self._log("energy_wh", str(self.row["origin"]))
            return Value(limit, 0.0, limit)
        energy = self._cell("energy", "gpu_wh" if self.source.mode == "gpu_only" else "energy_wh")
        if not total:
            self.log.notes.add(TITLES[self.source.mode])
        if self.row["energy_kind"] == "inferred":
            self.log.notes.add(f"energy of {self.title} inferred from the limits of a panel")
        return energy

    def total_energy(self) -> Value:
        """Return the energy of CPU, GPU and memory together in Wh, whatever the accounting of the source."""
        return self._cell("energy_wh", "energy_wh")

    def component(self, name: str) -> Value:
        """Return the energy of a component (`cpu`, `gpu`, `ram`) in Wh; the paper's is Figure 2's."""
        energy = self._cell(f"{name}_wh", f"{name}_wh")
        if str(self.row[f"{name}_method"]).startswith("estimated"):
            self.log.notes.add("CPU or memory estimated")
        return energy

    def tokens_out(self) -> Value:
        """Return the number of tokens generated in one pass."""
        return self._cell("tokens_out", "tokens_out")

    def reading(self, origin: str, quantity: str) -> Value | None:
        """Return what one table or figure of the paper says about a run, beside the preferred value."""
        for item in self.source.observed.get((*run_key(self.row), quantity), ()):
            if item.origin == origin:
                self._log(quantity, origin)
                return Value.about(item.value, item.uncertainty or 0.0)
        return None

    def has(self, column: str) -> bool:
        """Say whether a cell of the results table is there (`energy`: under the accounting)."""
        return number(self.row[column]) is not None

    def _cell(self, column: str, quantity: str) -> Value:
        value = number(self.row[column])
        if value is None:
            raise Untestable(self._missing(quantity))
        if value <= 0 and column in _POSITIVE:
            what = f"{_QUANTITIES[quantity]} of {self.title} on {dataset_title(str(self.row['dataset']))}"
            raise Untestable(f"{what} in {self.source.label} is 0, less than its meter can resolve")
        observed = self.source.find_observation(self.row, quantity, value)
        self._log(quantity, observed.origin)
        return Value.about(value, observed.uncertainty or 0.0)

    def _missing(self, quantity: str) -> str:
        what = f"{self.title} on {dataset_title(str(self.row['dataset']))}"
        if quantity == "energy_wh" and self.has("energy_wh"):
            counted = TITLES[self.source.mode]
            return f"the energy of {what} in {self.source.label} has no part that is counted ({counted})"
        return f"{self.source.label} does not give {_QUANTITIES[quantity]} of {what}"

    def _log(self, quantity: str, origin: str) -> None:
        self.log.add(self.row, quantity, origin)
        checkpoint = text(self.row["checkpoint"])
        if self.row["family"] == TRADITIONAL and checkpoint not in (None, PAPER_EMBEDDING):
            self.log.notes.add(f"embedding {checkpoint}, not the paper's")
        weights = text(self.row["weights"])
        if self.row["family"] != TRADITIONAL and weights not in (None, "real"):
            self.log.notes.add(f"weights of {self.title}: {weights}")


@dataclass(frozen=True)
class PrintedRow:
    """A row of a published file; the cells that only name the row are read with `label`."""

    log: Log
    name: str
    row: Mapping[str, object]

    def text(self, column: str) -> str:
        """Return a cell as text; an empty one is an empty text."""
        self._log(column)
        return text(self.row[column]) or ""

    def number(self, column: str, half: float | None = None) -> Value:
        """Return a cell with its uncertainty: `half`, of half a printed digit, or the file's own column."""
        self._log(column)
        given = number(self.row.get(f"{column}_uncertainty")) if half is None else half
        return Value.about(float(str(self.row[column])), given or 0.0)

    def has(self, column: str) -> bool:
        """Say whether a cell is filled."""
        return number(self.row[column]) is not None

    def label(self, column: str) -> str:
        """Return a cell that names the row."""
        return str(self.row[column])

    @property
    def title(self) -> str:
        """The model as the paper writes it."""
        return model_title(self.label("model"))

    def _log(self, column: str) -> None:
        part = [str(self.row[name]) for name in ("component", "term") if name in self.row]
        self.log.add(self.row, " ".join([*part, column]), self.name)
