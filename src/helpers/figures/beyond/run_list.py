"""The audit's list of runs: every record behind the book, with its checks."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from helpers.core import paths
from helpers.figures.beyond import llm_runs
from helpers.figures.display import Figure, html_table
from helpers.figures.html import link
from helpers.figures.run_addresses import page_of
from helpers.metering.record_versions import check_counts, checks_in_words, is_older
from helpers.records.storage import Environment, Record, read_record
from helpers.results.tables import Tables

_COLUMNS = (
    *(
        "run",
        "synthetic",
        "campaign",
        "created",
        "machine",
        "model",
        "family",
        "gpus",
        "nodes",
        "concurrency",
    ),
    *("schema_version", "checks", "weights", "tokens_in", "tokens_out", "parse_failures", "commit"),
    *("checks_failed", "messages", "origin"),
)


def runs(tables: Tables) -> Figure:
    """List all measured runs with commit, machine and failed checks, and all records that were refused.

    Runs of language models follow with what only they have: how they were served and asked, tokens, failures.
    """
    measured = rows(tables.results)
    records = read_records(measured)
    return draw(describe(measured, records), measured, records, tables.refused)


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` that are listed: the measured ones."""
    return results[results["source"] != "published"]


def read_records(measured: pd.DataFrame) -> list[Record]:
    """Read the record of each row, in their order.

    Raises:
        UserError: one line with the file and the fault.
    """
    return [read_record(paths.ROOT / str(origin)) for origin in measured["origin"]]


def describe(measured: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    """Return what the list has of each of the `rows`, with its record.

    `checks` are those that were made, of those that the present meter makes; `checks_failed` names the failed ones, and
    is empty where there is none; `messages` say what they found.
    """
    described = [_row(row, record) for (_, row), record in zip(measured.iterrows(), records, strict=True)]
    return pd.DataFrame(described, columns=list(_COLUMNS))


def draw(
    described: pd.DataFrame, measured: pd.DataFrame, records: Sequence[Record], refused: Sequence[str]
) -> Figure:
    """Show the runs as `describe` returns them, those of language models with their records, and what was refused."""
    failed = int((described["checks_failed"] != "").sum())
    llms = int((described["family"] != "Traditional").sum())
    return Figure(
        name="runs",
        label="List of runs",
        finding=(
            f"This book is based on {len(described)} measured runs, {llms or 'none'} of them of language models; "
            f"{failed} of them failed a check{_most_often(described)}{_earlier_checks(records)}."
        ),
        note=(
            "A run with a failed check is kept, and the failure is shown wherever the run is shown. Checks: how many the version "
            "of the meter made that measured the run, and how many the present version makes of such a run."
        ),
        data=described,
        function="helpers.figures.beyond.run_list.runs",
        body=_body(described) + llm_runs.body(measured, records) + _refused(refused),
    )


_SHOWN = (
    *("run", "checks_failed", "checks", "campaign", "machine", "gpus", "nodes", "created"),
    *("synthetic", "schema_version", "commit"),
)


def _most_often(described: pd.DataFrame) -> str:
    """Name the check that the most runs failed."""
    names = Counter(name for row in described["checks_failed"] for name in row.split())
    return "".join(f", most often {name}" for name, _ in names.most_common(1))


def _earlier_checks(records: Sequence[Record]) -> str:
    """Say how many checks the runs of an earlier version of the meter had."""
    older = [record for record in records if is_older(record)]
    if not older:
        return ""
    made, present = checks_in_words(older)
    return f", and {len(older)} had {made} of the {present} checks that the present meter makes"


def _row(row: "pd.Series[Any]", record: Record) -> dict[str, object]:
    return {
        **{name: row[name] for name in ("model", "family", "gpus", "nodes", "concurrency", "weights")},
        **{name: row[name] for name in ("tokens_in", "tokens_out", "parse_failures")},
        "campaign": row["source"],
        "run": record.run.run_id,
        "synthetic": "invented texts" if record.run.synthetic else "",
        "created": record.created,
        "machine": record.run.machine,
        "commit": _commit(record.environment),
        "schema_version": record.schema_version,
        "checks": " of ".join(map(str, check_counts(record))),
        "checks_failed": row["checks_failed"],
        "messages": "; ".join(check.message for check in record.checks if not check.passed),
        "origin": row["origin"],
    }


def _commit(environment: Environment) -> str:
    commit = environment.git_commit or "none"
    return f"{commit} and changes" if environment.git_dirty else commit


def _body(data: pd.DataFrame) -> str:
    if data.empty:
        return "<p>No run has been measured yet: <code>python -m helpers run demo</code></p>"
    shown = data.assign(commit=data["commit"].str.replace(r"([0-9a-f]{8})[0-9a-f]+", r"\1", regex=True))
    shown = shown.assign(created=data["created"].str[:10])[list(_SHOWN)]
    shown.columns = [str(name).replace("_", " ") for name in shown.columns]
    names = zip(data["run"], data["origin"], strict=True)
    pages = [link(page_of(str(origin)), run) for run, origin in names]
    shown["run"] = pd.Series(pages, dtype=object)
    shown.insert(3, "record", pd.Series([link(origin, "JSON") for origin in data["origin"]], dtype=object))
    return html_table(shown, "Measured runs; each name leads to its page")


def _refused(refused: Sequence[str]) -> str:
    if not refused:
        return ""
    return html_table(pd.DataFrame({"Refused": refused}), "Rejected records, which are used nowhere else")
