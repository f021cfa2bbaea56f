"""Tables of the reference: the notebooks' parameters and the catalogue."""

from collections.abc import Callable

import pandas as pd
import papermill

from helpers.core import paths
from helpers.figures.display import html_table
from helpers.figures.html import code
from helpers.measure.parameters import PARAMETERS, Notebook, campaign_runs
from helpers.publish.table_columns import packages
from helpers.results.tables import load_tables
from helpers.sphinx_ext.fields import definitions, limits, meaning, type_html, unit, with_code
from helpers.study.catalogue import LanguageModel, Study, TraditionalModel, study


def parameter_list(notebook: Notebook) -> str:
    """Return the parameters of a measurement notebook, as `papermill --help-notebook` finds them in it.

    What a value may be stands in the model that checks it before a run starts.
    """
    checked = PARAMETERS[notebook].model_fields
    inspected = papermill.inspect_notebook(str(paths.NOTEBOOKS / "measure" / f"{notebook}.ipynb"))
    return definitions(
        (
            f"{notebook}.{name}",
            name,
            [
                type_html(checked[name].annotation),
                unit(name),
                limits(checked[name], default=False),
                f"default {code(item['default'].strip())}",
            ],
            meaning(checked[name]),
        )
        for name, item in inspected.items()
    )


def column_list(table: str) -> str:
    """Return the columns of a results table: `results`, `observations` or `split_results`.

    Raises:
        UserError: one line where `data/study/tables.yaml` does not describe a column.
    """
    names = [str(name) for name in getattr(load_tables(), table).columns]
    described = packages().results.columns_of(table, names)
    return definitions(
        (
            f"{table}.{name}",
            name,
            [
                " or ".join(map(code, column.values)) if column.values else COLUMN_TYPES[column.type],
                None if column.unit == "1" else column.unit,
                "may be absent" if column.optional else None,
            ],
            f"{with_code(column.description)}.",
        )
        for name, column in described.items()
    )


def catalogue_part(part: str) -> str:
    """Return a part of the catalogue: `models`, `language models`, `embeddings`, `datasets`, `machines`, `campaigns`.

    Raises:
        KeyError: there is no such part.
    """
    if part == "campaigns":
        return _campaigns(study())
    caption, rows = TABLES[part]
    return _table(rows(study()), caption)


def _models(catalogue: Study) -> list[dict[str, object]]:
    return [
        {
            "Name": code(name),
            "Title": model.title,
            "Features": model.features,
            "Classifier": model.classifier,
        }
        for name, model in catalogue.models.items()
        if isinstance(model, TraditionalModel)
    ]


def _language_models(catalogue: Study) -> list[dict[str, object]]:
    return [
        {
            "Name": code(name),
            "Title": model.title,
            "In the paper": "yes" if model.in_paper else "no",
            "Checkpoint": code(model.checkpoint),
            "Revision": model.revision and code(model.revision[:12]),
            "Parameters (10⁹)": f"{model.parameters_b:g}",
            "Number format": model.dtype,
            "Licence": model.licence,
        }
        for name, model in catalogue.models.items()
        if isinstance(model, LanguageModel)
    ]


def _embeddings(catalogue: Study) -> list[dict[str, object]]:
    return [
        {
            "Name": code(name),
            "From": f"the package {item.origin}" if item.package else item.origin,
            "Revision or sha256": code((item.revision or item.weights_sha256 or "")[:12]),
        }
        for name, item in catalogue.embeddings.items()
    ]


def _datasets(catalogue: Study) -> list[dict[str, object]]:
    return [
        {
            "Name": code(name),
            "Task": item.task,
            "Language": item.language,
            "Labels": len(item.labels),
            "Texts to train on": item.split.train,
            "to test": item.split.test,
            "From": item.hub.repository if item.hub else item.csv and item.csv.file,
        }
        for name, item in catalogue.datasets.items()
    ]


def _machines(catalogue: Study) -> list[dict[str, object]]:
    return [
        {
            "Name": code(name),
            "In the paper": "yes" if item.in_paper else "no",
            "Place": item.center,
            "Nodes": item.nodes,
            "CPU": item.cpu,
            "Memory (GB)": f"{item.ram_gb:g}",
            "GPUs of a node": item.gpus_of_node,
            "GPU memory (GB)": None if item.gpu_memory_gb is None else f"{item.gpu_memory_gb:g}",
            "GPU power at most (W)": None if item.gpu_max_power_w is None else f"{item.gpu_max_power_w:g}",
        }
        for name, item in catalogue.machines.items()
    ]


def _campaigns(catalogue: Study) -> str:
    """Return a list in place of a table: descriptions are long, and a phone is narrow."""
    entries = definitions(
        (
            f"campaign.{name}",
            name,
            [f"notebook {code(_notebooks(name))}", f"{runs_of(name)} runs"],
            with_code(f"{item.title}. {item.description}"),
        )
        for name, item in catalogue.campaigns.items()
    )
    return f'<p class="table-title">Campaigns</p>{entries}'


def runs_of(campaign: str) -> int:
    """Return the number of runs that a campaign has."""
    return len(campaign_runs(campaign))


def _notebooks(campaign: str) -> str:
    return " and ".join(sorted({run.notebook for run in campaign_runs(campaign)}))


TABLES: dict[str, tuple[str, Callable[[Study], list[dict[str, object]]]]] = {
    "models": ("Traditional models", _models),
    "language models": ("Language models", _language_models),
    "embeddings": ("Checkpoints of the sentence embedding", _embeddings),
    "datasets": ("Datasets", _datasets),
    "machines": ("Machines", _machines),
}
PARTS = (*TABLES, "campaigns")
COLUMN_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_NUMBERS = (
    *(
        "Parameters (10⁹)",
        "Labels",
        "Texts to train on",
        "to test",
        "Nodes",
        "Memory (GB)",
        "GPU memory (GB)",
    ),
    "GPU power at most (W)",
)


def _table(rows: list[dict[str, object]], caption: str) -> str:
    return html_table(pd.DataFrame(rows, dtype=object), caption, _NUMBERS)
