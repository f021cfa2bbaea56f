"""An executed analysis is read back as what its notebook showed."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from helpers.book.analyses import analyse
from helpers.figures import plotly_json
from helpers.figures.executed import fragment_of, read_executed_figure
from helpers.figures.paper.figure_1 import figure_1
from helpers.figures.paper.table_b1 import table_b1
from helpers.results.tables import load_tables
from tests.conftest import refusal

MAKERS = {"figure_1_accuracy_energy": figure_1, "table_b1": table_b1}


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A figure and a table, executed as for the book."""
    return dict(zip(MAKERS, analyse(list(MAKERS), tmp_path_factory.mktemp("executed")), strict=True))


@pytest.mark.parametrize("name", MAKERS)
def test_what_was_shown_is_read_back(name, executed):
    made, found = MAKERS[name](load_tables()), read_executed_figure(executed[name])
    assert (found.name, found.label, found.kind) == (made.name, made.label, made.kind)
    assert (found.finding, found.note, found.function) == (made.finding, made.note, made.function)
    assert found.body == made.body
    plots = [panel for panel in made.panels if panel.figure.data]  # the others are a sentence
    assert [panel.alt for panel in found.panels] == [panel.alt for panel in plots]
    for panel, drawn in zip(plots, found.panels, strict=True):
        assert drawn.figure == json.loads(json.dumps(plotly_json.plain(panel.figure)))
    assert found.sha256 == made.sources()
    assert list(found.inputs) == list(made.sources())
    assert set(found.records) == {name for name in found.inputs if name.endswith("/record.json")}
    data = pd.read_csv(io.StringIO(found.data_csv))
    assert len(data) == len(made.data)
    assert list(data.columns) == list(made.data.columns)
    assert fragment_of(executed[name]) == made.html()


def test_a_notebook_that_was_not_executed_for_the_book_is_named_with_the_remedy(tmp_path):
    file = tmp_path / "figure_x.ipynb"
    output = {"output_type": "display_data", "data": {"text/html": "<p>x</p>"}, "metadata": {}}
    file.write_text(json.dumps({"cells": [{"cell_type": "code", "outputs": [output]}]}), encoding="utf-8")
    assert "python -m helpers analyse figure_x" in refusal(read_executed_figure, file)
    assert fragment_of(file) is None
