"""What the search of the book finds beside the words that a page shows: models of its figure, synonyms, German words."""

import io
from typing import Any

import pandas as pd
from docutils import nodes

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.figures.executed import read_executed_figure
from helpers.sphinx_ext.figure_first import ANALYSES
from helpers.study.catalogue import model_title, study

SCORER = "book/_static/scorer.js"
"""Puts what a reader wants before the pages of the package and those of runs."""
SYNONYMS = {
    "book/licences": "license licensing copyright Lizenz",
    "book/story": "summary Zusammenfassung Ergebnisse",
    "book/reproduce": "A100 H100 V100 laptop install Anleitung",
    "book/cluster": "A100 H100 HPC",
    "book/methods": "CodeCarbon Daten Methoden few shot",
    "book/glossary": "Glossar",
    "book/errata": "errors corrections Fehler",
    "book/how_to_cite": "authors Autoren Zitat who wrote contact Kontakt",
    "book/get_the_data": "download Datensatz",
    "notebooks/analysis/calculator": "Rechner CO2 Strom Kosten electricity cost",
    "notebooks/analysis/model_choice": "recommend recommendation choose best empfehlen Empfehlung Modell Auswahl",
    "notebooks/analysis/what_can_i_run": "hardware laptop A100 2xA100 H100 GPU node disk hours",
    "notebooks/analysis/cheaper": "few shot quantization quantisation prompt",
    "notebooks/analysis/one_machine": "laptop recommend CPU",
    "notebooks/analysis/figure_5_gpu_models": "A100 A30 V100 H100",
    "notebooks/analysis/protocol": "CodeCarbon accuracy",
}
_KINDS = {"figure_": "Abbildung", "table_": "Tabelle"}


def setup(app: Any) -> None:
    """Register with Sphinx; called by `helpers.sphinx_ext.extension`."""
    app.connect("config-inited", _rank_pages)
    app.connect("doctree-read", _add_words)


def _rank_pages(_app: Any, config: Any) -> None:
    config.html_search_scorer = str(
        paths.ROOT / SCORER
    )  # Sphinx would look for it where the build was started


def _add_words(app: Any, doctree: nodes.document) -> None:
    """Give the page its words as keywords, which Sphinx indexes one by one."""
    page = app.env.docname
    words = SYNONYMS.get(page, "").split()
    if page.startswith(ANALYSES):
        name = page.removeprefix(ANALYSES)
        words += [kind for start, kind in _KINDS.items() if name.startswith(start)]
        words += _models(app, name)
    if words:
        doctree += nodes.meta("", name="keywords", content=", ".join(dict.fromkeys(words)))


def _models(app: Any, name: str) -> list[str]:
    """Return the words in the titles of the models that a figure or table shows."""
    try:
        data = read_executed_figure(app.srcdir / ANALYSES / f"{name}.ipynb").data_csv
    except UserError:  # it is not executed yet
        return []
    rows = pd.read_csv(io.StringIO(data))
    models: list[str] = rows["model"].dropna().unique().tolist() if "model" in rows else []
    return [word for model in models if model in study().models for word in model_title(model).split()]
