"""What an archive with the runs of a campaign says to people: its README and its licences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helpers.core import paths
from helpers.publish.citation import citation
from helpers.publish.licences import CODE, TEXT_AND_DATA
from helpers.records.storage import Record
from helpers.study.catalogue import ENTRIES, study

_SHOWN = 10
"""Missing runs that are named; the others are counted."""


@dataclass(frozen=True)
class Contents:
    """What is in the archive."""

    campaign: str
    filed_under: str
    records: Mapping[str, Record]
    """By the names of the runs."""
    present: int | None
    """Runs of the campaign that have a record; None for a campaign of no catalogue."""
    of: int | None
    missing: Sequence[str]
    beside: Sequence[str]
    """Names of the files that describe the campaign as a whole."""


def missing_text(missing: Sequence[str]) -> str:
    """Return the first of the runs that are missing, and how many more there are."""
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return "; ".join(missing[:_SHOWN]) + more


def readme_text(contents: Contents) -> str:
    """Return the README: what is in the archive, how to check it, how to import it; the same for the same runs."""
    name, records = contents.campaign, contents.records.values()
    campaign = study().campaigns.get(name)
    days = sorted({record.created[:10] for record in records})
    machines = ", ".join(sorted({record.run.machine for record in records}))
    runs = "1 measured run" if len(records) == 1 else f"{len(records)} measured runs"
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"""\
# Runs of the campaign {name}

{f"{campaign.title}. " if campaign else ""}{runs}, {when}, on {machines}. {_complete(contents)}

Part of: {citation().title}. It accompanies the article named in `CITATION.cff`.

## What is in it

Each folder is one run:

- `record.json`: what was run, on what, what was measured and how; it lists the sha256 of the files beside it
- `notebook.ipynb`: the executed notebook
- `predictions.parquet`: ids, labels and answers
- power time lines, where the run has them

Beside the folders:

- `ro-crate-metadata.json`: all of it described for machines (RO-Crate 1.1, Workflow Run Crate 0.5);
  `ro-crate-preview.html`: the same for people
- `workflow/Snakefile`: the workflow that measures the runs of a campaign
{_campaign_files(contents)}- `SHA256SUMS`: the sha256 of every other file
- `LICENSE`, `CITATION.cff`: licences, and how to cite

It contains no text of a dataset and no raw answer of a language model: ids, labels, answers and hashes only.

## Check

    sha256sum --check SHA256SUMS

## Import

In a checkout of the companion, with the ZIP file or the folder that it unpacks to:

    python -m helpers import {name}.zip
    python -m helpers import {name}

Every record is validated and every file compared with its sha256; runs that already exist are not replaced.
They appear in `runs/{contents.filed_under}`, and in the results tables and figures of the next book.

## Licence

{TEXT_AND_DATA.title} ({TEXT_AND_DATA.spdx}); the workflow and the code in the notebooks: {CODE.title}. See `LICENSE`.
"""


def licence_text() -> str:
    """Return which licence is for what, and that of the code in full."""
    code = (paths.ROOT / "LICENSE").read_text(encoding="utf-8")
    return f"""\
Records, predictions, power time lines, results in the notebooks, and all descriptions:
{TEXT_AND_DATA.title} ({TEXT_AND_DATA.spdx})
{TEXT_AND_DATA.url}

The workflow and the code in the executed notebooks:
{CODE.title} ({CODE.spdx}), which follows.

{code}"""


def _complete(contents: Contents) -> str:
    if contents.of is None:
        return "The campaign is not in the catalogue."
    present = f"{contents.present} of the {contents.of} runs of the campaign are included."
    return f"{present} Missing: {missing_text(contents.missing)}." if contents.missing else present


def _campaign_files(contents: Contents) -> str:
    return "".join(
        f"- `{name}`: " + _BESIDE.get(name, "the campaign as the catalogue has it") + "\n"
        for name in contents.beside
    )


_BESIDE = {
    ENTRIES: "models and datasets that are not the paper's, as the catalogue (data/study) has them",
    "order.json": "the order in which the runs were made",
}
