"""The rows of one source, indexed once for all claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from helpers.results.accounting import energies
from helpers.results.predictions import answers_of_run
from helpers.results.tables import Tables, select_real, select_sequential
from helpers.statistics import power
from helpers.study.catalogue import paper_models

PUBLISHED = "published"
_PAPER_MACHINE = "capella"

Row = Mapping[str, Any]
Key = tuple[object, ...]


@dataclass(frozen=True)
class Observed:
    """A value of a run and the place where it stands."""

    value: float
    uncertainty: float | None
    origin: str
    digitised: bool = False


@dataclass(frozen=True)
class Source:
    """The rows of one source."""

    name: str
    mode: str
    """Accounting of energy, see `helpers.results.accounting`."""
    rows: Sequence[Row]
    """Rows of `results` with one text at a time, by the companion's protocol, with `energy` under the accounting."""
    batched: Sequence[Row]
    """The other rows of `results`: no claim uses them; messages say which runs there are."""
    splits: Sequence[Row]
    """As `rows`, of `split_results`."""
    printed: Mapping[str, Sequence[Row]]
    """The published files; empty for a campaign."""
    observed: Mapping[Key, Sequence[Observed]]
    """By run and quantity."""
    machine: str | None
    """Where statements about one machine are tested: Capella, else where most of the runs were made."""
    tables: Tables
    """Behind all of it, for statistics that take whole tables."""
    left_out: Sequence[Row] = ()
    """Rows of models that the paper does not have, where only its own are looked at."""

    @property
    def label(self) -> str:
        """What the source is called in a sentence."""
        return "the paper" if self.is_the_paper else f"campaign {self.name}"

    @cached_property
    def constants(self) -> power.Constants:
        """What CPU and memory draw by Figure 2; of the paper only."""
        return power.constants(self.tables.observations, self.tables.results)

    @cached_property
    def of_its_models(self) -> "Source":
        """The rows of the paper's models alone: what it says of those by name, or of all of them, is about no others."""
        own = set(paper_models())
        rows, batched, splits = (
            [row for row in part if row["model"] in own] for part in (self.rows, self.batched, self.splits)
        )
        left_out = [row for row in self.rows if row["model"] not in own]
        return replace(self, rows=rows, batched=batched, splits=splits, left_out=left_out)

    @cached_property
    def by_split(self) -> Mapping[str, Mapping[int, Row]]:
        """The rows of `splits` by record and split."""
        found: dict[str, dict[int, Row]] = {}
        for row in self.splits:
            found.setdefault(str(row["origin"]), {})[int(row["split"])] = row
        return found

    @cached_property
    def right(self) -> Mapping[str, Mapping[int, "pd.Series[bool]"]]:
        """Whether each text was classified right, by record and split, indexed by its id in ascending order.

        Of records with predictions beside them.
        """
        origins = dict.fromkeys(str(row["origin"]) for row in self.splits)
        answers = {origin: answers_of_run(origin) for origin in origins}
        return {origin: _right(table) for origin, table in answers.items() if table is not None}

    @property
    def is_the_paper(self) -> bool:
        """Say whether this is the paper itself."""
        return self.name == PUBLISHED

    def find_observation(self, row: Row, quantity: str, value: float) -> Observed:
        """Return the observation that the value of a run in `results` comes from."""
        candidates = [
            item for item in self.observed.get((*run_key(row), quantity), ()) if item.value == value
        ]
        return min(
            candidates,
            key=lambda item: (item.digitised, item.uncertainty or 0.0, item.origin),
            default=Observed(value, None, str(row["origin"])),
        )


def source_of(tables: Tables, name: str, mode: str | None = None) -> Source:
    """Index the rows of one source; one that has no rows gives an index without rows.

    Energy is the published total for published rows and the measured components for a campaign, unless
    `mode` says otherwise (design, section 4).
    """
    chosen = mode or ("total_as_published" if name == PUBLISHED else "measured_only")
    every = select_real(_select_source(tables.results, name))
    alone = select_sequential(every)
    rows, batched = _records(alone, chosen), _records(every.drop(alone.index), chosen)
    observed: dict[Key, list[Observed]] = {}
    for row in _records(_select_source(tables.observations, name), None):
        value = number(row["value"])
        if value is not None:
            item = Observed(value, number(row["uncertainty"]), str(row["origin"]), row["kind"] != "printed")
            observed.setdefault((*run_key(row), row["quantity"]), []).append(item)
    return Source(
        name=name,
        mode=chosen,
        rows=rows,
        batched=batched,
        splits=_records(select_sequential(_select_source(tables.split_results, name)), chosen),
        printed={key: _records(frame, None) for key, frame in tables.printed.items()}
        if name == PUBLISHED
        else {},
        observed=observed,
        machine=_machine(rows or batched),
        tables=tables,
    )


def run_key(row: Row) -> Key:
    """Return the key that identifies a run."""
    return (row["model"], row["dataset"], row["machine"], whole(row["gpus"]), whole(row["nodes"]))


def number(value: object) -> float | None:
    """Return a cell as a number; an absent one is None."""
    return None if _absent(value) else float(str(value))


def whole(value: object) -> int | None:
    """Return a cell as a whole number; an absent one is None."""
    return None if _absent(value) else int(float(str(value)))


def text(value: object) -> str | None:
    """Return a cell as text; an absent one is None."""
    return None if _absent(value) else str(value)


def _right(answers: pd.DataFrame) -> dict[int, "pd.Series[bool]"]:
    right = answers.set_index("id")["right"]
    return {int(str(split)): part.sort_index() for split, part in right.groupby(answers["split"].to_numpy())}


def _absent(value: object) -> bool:
    return value is None or value is pd.NA or value != value  # noqa: PLR0124  (NaN)


def _select_source(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["source"] == name] if len(table) else table


def _records(table: pd.DataFrame, mode: str | None) -> list[Row]:
    if mode is not None and len(table):
        table = table.assign(energy=energies(table, mode))
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _machine(rows: Sequence[Row]) -> str | None:
    machines = [str(row["machine"]) for row in rows]
    by_runs = sorted(set(machines), key=lambda machine: (-machines.count(machine), machine))
    return _PAPER_MACHINE if _PAPER_MACHINE in machines else next(iter(by_runs), None)
