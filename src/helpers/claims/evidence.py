"""What a claim may look at: the runs and printed tables of one source."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from helpers.claims.cells import Log, PrintedRow, Run
from helpers.claims.source import Row, Source, text, whole
from helpers.claims.values import Untestable
from helpers.claims.wording import (
    EVERYONE,
    a,
    dataset_title,
    family_name,
    names,
    printed_title,
)
from helpers.study.catalogue import PAPER_EMBEDDING, machine_title, model_title, paper_datasets, study

ANY = "any machine"


@dataclass(frozen=True)
class Evidence:
    """What one claim sees of a source; `log` holds every cell it has read."""

    source: Source
    stated: Mapping[str, float] = field(default_factory=dict)
    """Numbers that the statement itself brings along and that stand in no table."""
    log: Log = field(default_factory=Log)

    def models(
        self, dataset: str = "fktg", families: Sequence[str] = EVERYONE, among: Sequence[str] | None = None
    ) -> list[Run]:
        """Return one run per model: one node of the machine, the least GPUs (as in Table B1).

        Raises:
            Untestable: where the source has no such run.
        """
        by_model: dict[str, Run] = {}
        for run in sorted(self.runs(dataset, families), key=_preference):
            if among is None or run.model in among:
                by_model.setdefault(run.model, run)
        if not by_model:
            model_names = names(map(model_title, among or ()))
            batched = [
                row
                for row in self.source.batched
                if row["dataset"] == dataset and row["model"] in (among or ())
            ]
            lacking = f"no run of {model_names} on {dataset_title(dataset)}"
            raise Untestable(f"{self.source.label} has {lacking}{_at_a_time(batched)}")
        return sorted(by_model.values(), key=_order)

    def model(self, model: str, dataset: str = "fktg") -> Run:
        """Return the run of one model, as `models` does.

        Raises:
            Untestable: where the source has no such run.
        """
        return self.models(dataset, among=[model])[0]

    def runs(
        self,
        dataset: str | None = "fktg",
        families: Sequence[str] = EVERYONE,
        machine: str | None = None,
        nodes: int | None = 1,
    ) -> list[Run]:
        """Return all runs on a dataset (None: on any of the paper's) and a machine (None: the source's own; ANY).

        Only runs that take one text at a time, by the companion's protocol.

        Raises:
            Untestable: where the source has none on the dataset, on the machine, of the families or the nodes.
        """
        on_machine = machine or self.source.machine
        dataset_name = "the paper's datasets" if dataset is None else dataset_title(dataset)
        steps: list[tuple[Callable[[Row], bool], str]] = [
            (
                lambda row: (
                    row["dataset"] == dataset or (dataset is None and row["dataset"] in paper_datasets())
                ),
                f"no run on {dataset_name}",
            ),
            (
                lambda row: on_machine in (ANY, row["machine"]),
                f"no run on {machine_title(str(on_machine))} on {dataset_name}",
            ),
            (lambda row: row["family"] in families, f"no {family_name(families)} on {dataset_name}"),
            (
                lambda row: nodes in (None, whole(row["nodes"])),
                f"no run on {nodes} node{'s' * (nodes != 1)} on {dataset_name}",
            ),
        ]
        rows, batched = self.source.rows, self.source.batched
        others = self.source.left_out
        for keeps, lacking in steps:
            rows, batched, others = ([row for row in part if keeps(row)] for part in (rows, batched, others))
            if not rows:
                raise Untestable(f"{self.source.label} has {lacking}{_at_a_time(batched)}{_others(others)}")
        return sorted((Run(self.source, self.log, row) for row in rows), key=_order)

    def only_on(self, machine: str) -> None:
        """Refuse a source that has no run on a machine of the paper.

        Raises:
            Untestable: with the machines that there are.
        """
        machines = sorted({str(row["machine"]) for row in self.source.rows})
        if machine not in machines:
            ran = f"ran on {names(machines)}" if machines else f"has no run{_at_a_time(self.source.batched)}"
            raise Untestable(f"{self.source.label} {ran}; the statement is about {machine_title(machine)}")

    def datasets(self, *families: Sequence[str]) -> list[str]:
        """Return the paper's datasets that have a run of each of the families, in the study's order.

        Raises:
            Untestable: where there is none.
        """
        datasets = [
            name
            for name in paper_datasets()
            if all(
                any(row["dataset"] == name and row["family"] in group for row in self.source.rows)
                for group in families
            )
        ]
        if not datasets:
            both = " and ".join(a(family_name(group)) for group in families)
            raise Untestable(
                f"{self.source.label} has none of the paper's datasets with {both}{_at_a_time(self.source.batched)}"
                f"{_others(self.source.left_out)}"
            )
        return datasets

    def splits(self) -> list[Row]:
        """Return the rows per split of the paper's datasets.

        Raises:
            Untestable: where single splits are not known.
        """
        rows = [row for row in self.source.splits if row["dataset"] in paper_datasets()]
        if not rows:
            why = (
                "the paper publishes means over 10 splits only"
                if self.source.is_the_paper
                else f"there are none{_at_a_time(self.source.batched)}"
            )
            raise Untestable(f"this needs the values of single splits, and {why}")
        return rows

    def printed(self, name: str) -> list[PrintedRow]:
        """Return the rows of a published table or figure, whatever their order in the file.

        Raises:
            Untestable: for a campaign: the statement is about the paper's own table.
        """
        if not self.source.is_the_paper:
            raise Untestable(f"this is about the paper's own {printed_title(name)}, not about measurements")
        rows = [PrintedRow(self.log, name, row) for row in self.source.printed[name]]
        return sorted(rows, key=_printed_order)

    def columns(self, name: str) -> set[str]:
        """Return the columns of a published table.

        Raises:
            Untestable: as `printed`.
        """
        columns = set(self.printed(name)[0].row)
        self.log.add({}, "columns", name)
        return columns

    def number(self, name: str) -> float:
        """Return a number that the statement itself brings along."""
        return self.stated[name]


def _at_a_time(batched: Sequence[Row]) -> str:
    """Say that there are runs, but with several texts at a time or by another protocol; statements take neither."""
    protocols = sorted({text(row["protocol"]) or "companion" for row in batched} - {"companion"})
    if protocols:
        return f" by the companion's protocol, only by {names(protocols)}"
    counts = sorted({whole(row["concurrency"]) or 0 for row in batched})
    return f" with one text at a time, only with {names(map(str, counts))}" if counts else ""


def _others(rows: Sequence[Row]) -> str:
    """Say that there are runs of models that the paper does not have, which are no test of what it says of its own."""
    titles = list(dict.fromkeys(model_title(str(row["model"])) for row in rows))
    return f" among the paper's models, only {names(titles)}" if titles else ""


def _preference(run: Run) -> tuple[object, ...]:
    """Put the run first that is most like the paper's: least GPUs, its embedding."""
    other_embedding = text(run.row["checkpoint"]) not in (None, PAPER_EMBEDDING)
    return (run.gpus, other_embedding, str(run.row["origin"]))


def _order(run: Run) -> tuple[object, ...]:
    datasets, models = list(study().datasets), list(study().models)
    return (datasets.index(str(run.row["dataset"])), models.index(run.model), run.nodes, *_preference(run))


def _printed_order(row: PrintedRow) -> tuple[object, ...]:
    order = {
        "dataset": list(study().datasets),
        "machine": list(study().machines),
        "model": list(study().models),
    }
    positions = [ids.index(row.label(column)) for column, ids in order.items() if column in row.row]
    return (*positions, *(f"{column}={value}" for column, value in sorted(row.row.items())))
