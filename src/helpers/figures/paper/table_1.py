"""Table 1: the language models (paper, Table 1), what the paper links and what we pin."""

import re
from typing import Any

import pandas as pd

from helpers.core import paths, units
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import tables as parts
from helpers.records.storage import read_record
from helpers.results.tables import Tables
from helpers.study.catalogue import LanguageModel, MinimumGpus, model_title, paper_machines, study


def table_1(tables: Tables) -> Figure:
    """Show Table 1 with the revision that we pin, compare names with linked repositories, and say what a model takes."""
    models = rows(tables.printed["table_1_models"])
    return draw(models, others(models), measured_checkpoints(tables.results))


def draw(models: pd.DataFrame, unlisted: pd.DataFrame, measured: pd.DataFrame) -> Figure:
    """Lay out the printed `rows`, the `others` of the catalogue and the `measured_checkpoints`."""
    body = html_table(_names(models), "As published, with the revision that our catalogue pins")
    facts = pd.concat([models, unlisted], ignore_index=True)
    body += html_table(
        _sizes(facts), "Size, context and licence, according to the public configurations", _NUMBERS
    )
    body += html_table(_needs(models), "The fewest GPUs that a model ran on, over all nodes")
    body += parts.block(
        measured,
        "Checkpoints of measured runs",
        "No language model was measured by us.",
        _CHECKPOINT,
    )
    return Figure(
        name="table_1_models",
        label="Table 1",
        finding=_finding(models),
        note=(
            "The paper gives no revisions; we pin a commit of each linked repository, so that later uploads change nothing. A "
            "name fits its repository if every number in it, versions and sizes, is also in the name of the repository. "
            f"{_beside(unlisted)} The GPUs on Capella are printed in Table B1. Those on Paula and Clara are inferred, because "
            "Table B3 prints none, or follow from section 3.3, which says that a 70B model needs a whole node of "
            "Paula and two nodes of Clara. A dash means that the paper shows no run."
        ),
        data=pd.concat([facts, measured], ignore_index=True),
        function="helpers.figures.paper.table_1.table_1",
        body=body,
        inputs=parts.inputs(models["origin"], measured["origin"]),
    )


def missing_numbers(title: str, repository: str) -> list[str]:
    """Return the versions and sizes in a model's name that the name of the repository does not have.

    A size is a number of parameters such as `7B`; `2` is not found in `2.5`.
    """
    in_link = _numbers(repository.partition("/")[2])
    return [number for number in _numbers(title) if number not in in_link]


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?B?", text)


def rows(printed: pd.DataFrame) -> pd.DataFrame:
    """Return the models of the printed table with their facts in our catalogue, one row each.

    Column `not_in_repository`: the numbers in a model's name that the name of the linked repository lacks.
    """
    models = []
    for model, repository in zip(printed["model"], printed["hf_id"], strict=True):
        entry = study().models[model]
        pinned = entry if isinstance(entry, LanguageModel) else None
        missing = missing_numbers(entry.title, repository)
        models.append(
            {
                "source": "published",
                "model": model,
                "family": entry.family,
                "repository": repository,
                "our_repository": pinned.checkpoint if pinned else None,
                "revision": pinned.revision if pinned else None,
                "not_in_repository": " ".join(missing),
                **(_facts(pinned) if pinned else {}),
                "origin": "table_1_models data/study/models.yaml",
            }
        )
    return pd.DataFrame(models)


def others(models: pd.DataFrame) -> pd.DataFrame:
    """Return the language models that can be measured, but are not in the table."""
    entries = [
        {
            "source": "catalogue",
            "model": name,
            "family": entry.family,
            "our_repository": None if entry.is_folder else entry.checkpoint,
            "revision": entry.revision,
            "not_in_repository": "",
            "stands_for": entry.stands_for,
            **_facts(entry),
            "origin": "data/study/models.yaml",
        }
        for name, entry in study().models.items()
        if isinstance(entry, LanguageModel) and name not in set(models["model"])
    ]
    return pd.DataFrame(entries)


def _facts(entry: LanguageModel) -> dict[str, object]:
    smallest = {f"min_gpus_{name}": _gpus(entry.min_gpus.get(name)) for name in paper_machines()}
    return {
        "parameters_b": entry.parameters_b,
        "active_parameters_b": entry.active_parameters_b,
        "kv_bytes_per_token": entry.kv_bytes_per_token,
        "context_length": entry.context_length,
        "dtype": entry.dtype,
        "licence": entry.licence,
        "gated": entry.gated,
        "reasoning": entry.reasoning,
        **smallest,
    }


_SOURCES = {"table_b1": "", "section_3.3": " (section 3.3)", "inferred_b3": " (inferred)"}


def _gpus(minimum: MinimumGpus | None) -> str | None:
    if minimum is None:
        return None
    nodes = f" on {minimum.nodes} nodes" if minimum.nodes > 1 else ""
    return f"{minimum.gpus}{nodes}{_SOURCES[minimum.source]}"


def _beside(unlisted: pd.DataFrame) -> str:
    """Say which models of the catalogue stand for the names that the paper's text uses."""
    names = [model_title(name) for name in unlisted.loc[unlisted["stands_for"].notna(), "model"]]
    return (
        "The paper's text says Qwen 2.5 where its links lead to Qwen2: the catalogue has both, the linked ones under "
        f"the paper's names, and in addition {parts.listed(names)}."
    )


def _finding(models: pd.DataFrame) -> str:
    odd = models[models["not_in_repository"] != ""]
    if odd.empty:
        return f"The names of all {len(models)} language models fit the repositories that the paper links."
    named = [
        f"{model_title(row['model'])} ({row['repository'].partition('/')[2]})" for _, row in odd.iterrows()
    ]
    return (
        f"The names of {len(odd)} of the {len(models)} language models do not fit the linked repositories: "
        f"{parts.listed(named)}; the paper does not say which ones ran."
    )


def _names(models: pd.DataFrame) -> pd.DataFrame:
    fits = ["yes" if text == "" else f"no: {text} is not in it" for text in models["not_in_repository"]]
    pinned = [
        "the same" if own == linked else own
        for own, linked in zip(models["our_repository"], models["repository"], strict=True)
    ]
    return pd.DataFrame(
        {
            "Model": models["model"].map(model_title),
            "Repository that the paper links": models["repository"],
            "Name fits": fits,
            "Ours": pinned,
            "Revision that we pin": models["revision"].str[:12],
        }
    )


_NUMBERS = (
    "Parameters (billions)",
    "Active parameters (billions)",
    "Cache per token (kB)",
    "Context (tokens)",
)


def _sizes(facts: pd.DataFrame) -> pd.DataFrame:
    active = facts["active_parameters_b"].fillna(facts["parameters_b"])
    return pd.DataFrame(
        {
            "Model": facts["model"].map(model_title),
            "Parameters (billions)": facts["parameters_b"].map(_billions),
            "Active parameters (billions)": active.map(_billions),
            "Cache per token (kB)": (facts["kv_bytes_per_token"] / 1000).map("{:.0f}".format),
            "Context (tokens)": facts["context_length"].map("{:,}".format),
            "Reasoning": facts["reasoning"].map(_YES),
            "Licence": facts["licence"],
            "Licence must be accepted": facts["gated"].map(lambda gated: _YES.get(gated, "not known")),
        }
    )


_YES = {True: "yes", False: "no"}


def _billions(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else units.significant(value, 2)


def _needs(models: pd.DataFrame) -> pd.DataFrame:
    machines = {name: machine.title for name, machine in paper_machines().items()}
    columns = {title: models[f"min_gpus_{name}"] for name, title in machines.items()}
    return pd.DataFrame({"Model": models["model"].map(model_title), **columns})


_CHECKPOINT = {
    "model": "Model",
    "source": "Campaign",
    "machine": "Machine",
    "checkpoint": "Checkpoint",
    "revision": "Revision",
    "weights": "Weights",
}


def measured_checkpoints(results: pd.DataFrame) -> pd.DataFrame:
    """Return the checkpoints of measured language models, one row for each that a campaign used."""
    runs = results[(results["source"] != "published") & (results["family"] != "Traditional")]
    checkpoints = [_checkpoint(run) for _, run in runs.iterrows()]
    columns = ["source", "model", "family", "machine", "checkpoint", "revision", "weights", "origin"]
    return pd.DataFrame(checkpoints, columns=columns).drop_duplicates([c for c in columns if c != "origin"])


def _checkpoint(row: "pd.Series[Any]") -> dict[str, object]:
    record = read_record(paths.ROOT / str(row["origin"]))
    kept = {name: row[name] for name in ("source", "model", "family", "machine", "origin")}
    run = record.run
    return {**kept, "checkpoint": run.checkpoint, "revision": run.revision, "weights": run.weights}
