"""The results tables: published and measured values in the same columns.

`observations` holds every value with its origin, `results` one row per run, `split_results` one row per
run and split (measured runs only). What is absent is null. Code behind the tables never asks whether a
row was published or measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.core import paths
from helpers.core.errors import UserError, nearest
from helpers.records.storage import Record, read_records
from helpers.results import published
from helpers.results.rows import COLUMNS, measured_observations, measured_row, split_rows
from helpers.results.weights import are_quantised
from helpers.study.catalogue import THE_PAPERS, paper_models, study, unknown_entry

__all__ = [
    "COLUMNS",
    "Tables",
    "describe",
    "load_tables",
    "select",
    "select_campaign",
    "select_real",
    "select_sequential",
    "write_tables",
]


@dataclass(frozen=True)
class Tables:
    """The three tables, the published files, and a line for each record that was refused."""

    observations: pd.DataFrame
    results: pd.DataFrame
    split_results: pd.DataFrame
    refused: list[str]
    printed: Mapping[str, pd.DataFrame]
    """The published files as they are, by name: `table_3_regression_fktg` and so on."""


def load_tables(
    published_folder: Path = paths.PUBLISHED, committed: Path = paths.MEASUREMENTS, live: Path = paths.RUNS
) -> Tables:
    """Read the published values, the committed records and the live records of this machine.

    A live record that was promoted is shown once, as committed. A live campaign that bears the name of a
    committed one is another source: `NAME (live)`.
    """
    sources, refused = _records(committed, live)
    seen = published.observations(published_folder)
    family = {name: model.family for name, model in study().models.items()}
    seen.insert(0, "source", THE_PAPERS)
    seen["family"] = seen["model"].map(family)
    rows = published.published_rows(seen)
    runs = [measured_row(source, file, record) for source, file, record in sources]
    rows += runs
    measured = [item for row in runs for item in measured_observations(row)]
    per_split = [item for source, file, record in sources for item in split_rows(source, file, record)]
    return Tables(
        observations=pd.concat([seen, pd.DataFrame(measured)], ignore_index=True),
        results=_integers(pd.DataFrame(rows, columns=list(COLUMNS))),
        split_results=pd.DataFrame(per_split),
        refused=refused,
        printed=published.files(published_folder),
    )


def select(table: pd.DataFrame, source: str | None) -> pd.DataFrame:
    """Return the rows of one source.

    Raises:
        UserError: one line with the nearest source that there is.
    """
    if source is None:
        return table
    sources = sorted(set(table["source"])) if len(table) else []
    if source not in sources:
        raise UserError(f"{source}: no such source of the results tables ({nearest(source, sources)})")
    return table[table["source"] == source]


def select_campaign(table: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """Return the rows of a campaign, committed and live.

    Raises:
        UserError: one line with the nearest source that there is.
    """
    return pd.concat([select(table, campaign), table[table["source"] == f"{campaign} (live)"]])


def select_real(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` or `split_results` but those on invented texts, which have a page of their own."""
    return table[~table["synthetic"].astype(bool)] if len(table) else table


def select_sequential(table: pd.DataFrame, *, invented: bool = False) -> pd.DataFrame:
    """Return the sequential runs that figures, fits and claims compare: rows of `results` or `split_results`.

    Those on invented texts only where `invented` asks for them.

    Published ones, and ours with one request at a time, which the paper does not print and which fits its durations on
    Capella, the model's own weights as they are, no examples in the prompt, answers in free text, an engine whose prefix
    cache is off for certain, and the protocol `companion`: temperature 0, one request for an answer, which the companion
    reads. Where the paper says what it did (weights, no examples, free text), this is its way; the rest is ours. Runs of
    another protocol never stand beside these; they are on the pages on concurrency and of all runs. So are runs of one of the
    paper's models with quantised weights, which are not that model; an entry of one's own may have such weights.
    """
    table = table if invented else select_real(table)
    if table.empty:
        return table
    like = (
        (table["concurrency"].isna() | (table["concurrency"] == 1))
        & ~table["weights"].eq("dummy")
        & ~table["output_mode"].eq("constrained")
        & (table["protocol"].isna() | table["protocol"].eq("companion"))
        & ~table["prompt"].astype("string").str.contains("examples")
        & (table["engine"].isna() | table["prefix_caching"].eq(False))
        & table["quantisation"].isna()
        & ~(are_quantised(table) & table["model"].isin(paper_models()))
        & ~(pd.to_numeric(table["temperature"]) > 0)
        & ~table["json_fallback"].eq(True)
    )
    return table[like.fillna(True).astype(bool)]


def describe(record: Record) -> str:
    """Describe the result of a run in one line."""
    row = measured_row(record.run.campaign, Path(), record)
    failed = f", checks failed: {row['checks_failed']}" if row["checks_failed"] else ""
    energy = (
        "energy unknown" if row["energy_wh"] is None else f"{row['energy_wh']:.3g} Wh ({row['energy_kind']})"
    )
    accuracy = (
        "no accuracy (dummy weights)"
        if row["accuracy"] is None
        else f"accuracy {row['accuracy']:.3f} +/- {row['accuracy_sd'] or 0:.3f}"
    )
    return f"{record.run.run_id}: {accuracy}, {row['duration_s']:.3g} s, {energy} per pass{failed}"


def _records(committed: Path, live: Path) -> tuple[list[tuple[str, Path, Record]], list[str]]:
    committed_records, refused = _known(*read_records(committed))
    live_records, refused_live = _known(*read_records(live))
    campaigns = {record.run.campaign for record in committed_records.values()}
    committed_keys = {
        (record.run.campaign, record.run.run_id, record.created) for record in committed_records.values()
    }
    sources = [(record.run.campaign, file, record) for file, record in committed_records.items()]
    for file, record in live_records.items():
        name = record.run.campaign
        if (name, record.run.run_id, record.created) not in committed_keys:
            sources.append((f"{name} (live)" if name in campaigns else name, file, record))
    return sources, refused + refused_live


def _known(records: Mapping[Path, Record], refused: list[str]) -> tuple[dict[Path, Record], list[str]]:
    """Leave out runs whose model or dataset nobody knows any more: they have no title, and no place in any figure."""
    lacking = {file: unknown_entry(record.run.model, record.run.dataset) for file, record in records.items()}
    lines = [f"{paths.relative(file)}: {lack}" for file, lack in lacking.items() if lack]
    return {file: record for file, record in records.items() if lacking[file] is None}, refused + lines


def write_tables(tables: Tables, folder: Path) -> None:
    """Write the three tables as CSV; `data/study/tables.yaml` says what their columns are."""
    for name in ("results", "observations", "split_results"):
        _integers(getattr(tables, name)).to_csv(folder / f"{name}.csv", index=False)


_WHOLE = ("gpus", "nodes", "concurrency", "splits", "texts", "split", "correct", "passes")


def _integers(table: pd.DataFrame) -> pd.DataFrame:
    """Keep counts whole where others of them are absent, which would make them 1.0."""
    return table.astype({name: "Int64" for name in _WHOLE if name in table})
