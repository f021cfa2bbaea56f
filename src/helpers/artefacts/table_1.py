"""Table 1: the language models (paper, Table 1), what the paper links and what we pin."""

import re
from typing import Any

import pandas as pd

from helpers import paths
from helpers.artefacts import parts
from helpers.record import read_record
from helpers.results import Tables
from helpers.show import Artefact, html_table
from helpers.study import LanguageModel, model_title, study


def table_1(tables: Tables) -> Artefact:
    """Show Table 1 with the revision that we pin, and compare each model's name with the linked repository."""
    data = _models(tables.printed["table_1_models"])
    ours = _measured(tables.results)
    body = html_table(_shown(data), "As published, with the revision that our catalogue pins")
    body += parts.block(
        ours,
        "Checkpoints of measured runs",
        "No language model was measured: not measured on this machine.",
        _OURS,
    )
    return Artefact(
        name="table_1_models",
        label="Table 1",
        finding=_finding(data),
        note=(
            "The paper names no revision; the pinned one is a commit of the linked repository, so that a later upload "
            "changes nothing. A name fits its repository if every number in it, versions and sizes, stands there too."
        ),
        data=pd.concat([data, ours], ignore_index=True),
        function="helpers.artefacts.table_1.table_1",
        body=body,
        inputs=parts.inputs(data["origin"], ours["origin"]),
    )


def missing_numbers(title: str, repository: str) -> list[str]:
    """Return the versions and sizes in a model's name that the name of the repository does not have.

    A size is a number of parameters such as `7B`; `2` is not found in `2.5`.
    """
    there = _numbers(repository.partition("/")[2])
    return [number for number in _numbers(title) if number not in there]


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?B?", text)


def _models(printed: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for model, repository in zip(printed["model"], printed["hf_id"], strict=True):
        entry = study().models[model]
        pinned = entry if isinstance(entry, LanguageModel) else None
        missing = missing_numbers(entry.title, repository)
        rows.append(
            {
                "source": "published",
                "model": model,
                "family": entry.family,
                "repository": repository,
                "our_repository": pinned.checkpoint if pinned else None,
                "revision": pinned.revision if pinned else None,
                "not_in_repository": " ".join(missing),
                "origin": "table_1_models data/study/models.yaml",
            }
        )
    return pd.DataFrame(rows)


def _finding(data: pd.DataFrame) -> str:
    odd = data[data["not_in_repository"] != ""]
    if odd.empty:
        return f"The names of all {len(data)} language models fit the repositories that the paper links."
    named = [
        f"{model_title(row['model'])} ({row['repository'].partition('/')[2]})" for _, row in odd.iterrows()
    ]
    return (
        f"The names of {len(odd)} of the {len(data)} language models do not fit the linked repositories: "
        f"{parts.listed(named)}; which ones ran cannot be told from the paper."
    )


def _shown(data: pd.DataFrame) -> pd.DataFrame:
    fits = ["yes" if text == "" else f"no: {text} is not in it" for text in data["not_in_repository"]]
    ours = [
        "the same" if own == linked else own
        for own, linked in zip(data["our_repository"], data["repository"], strict=True)
    ]
    return pd.DataFrame(
        {
            "Model": data["model"].map(model_title),
            "Repository that the paper links": data["repository"],
            "Name fits": fits,
            "Ours": ours,
            "Revision that we pin": data["revision"].str[:12],
        }
    )


_OURS = {
    "model": "Model",
    "source": "Campaign",
    "machine": "Machine",
    "checkpoint": "Checkpoint",
    "revision": "Revision",
    "weights": "Weights",
}


def _measured(results: pd.DataFrame) -> pd.DataFrame:
    """Return the checkpoints of measured language models, one row for each that a campaign used."""
    rows = results[(results["source"] != "published") & (results["family"] != "Traditional")]
    found = [_checkpoint(row) for _, row in rows.iterrows()]
    columns = ["source", "model", "family", "machine", "checkpoint", "revision", "weights", "origin"]
    return pd.DataFrame(found, columns=columns).drop_duplicates([c for c in columns if c != "origin"])


def _checkpoint(row: "pd.Series[Any]") -> dict[str, object]:
    record = read_record(paths.ROOT / str(row["origin"]))
    kept = {name: row[name] for name in ("source", "model", "family", "machine", "origin")}
    run = record.run
    return {**kept, "checkpoint": run.checkpoint, "revision": run.revision, "weights": run.weights}
