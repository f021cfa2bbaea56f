"""An analysis notebook goes step by step to the very figure that its function draws in one call."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from helpers.book.analyses import analyse, analysis_names
from helpers.campaigns.plan.what_can_run import what_can_i_run
from helpers.figures import plotly_json
from helpers.figures.beyond.metering_overhead import protocol
from helpers.figures.executed import fragment_of, read_executed_figure
from helpers.results.overhead import load_gpu_benches, load_meter_benches
from helpers.results.tables import Tables, load_tables
from tests.support.figure_functions import figure_functions

WITHOUT_TABLES = {
    protocol: lambda: protocol(load_meter_benches(), load_gpu_benches()),
    what_can_i_run: what_can_i_run,
}
"""What draws benches of the meter or plans, and no runs."""
FUNCTIONS = [*figure_functions(), *WITHOUT_TABLES]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All analysis notebooks, executed once as for the book, by name."""
    names = analysis_names()
    return dict(zip(names, analyse(names, tmp_path_factory.mktemp("executed")), strict=True))


@pytest.fixture(scope="module")
def tables() -> Tables:
    return load_tables()


def test_every_analysis_has_a_function_and_every_function_an_analysis(executed):
    functions = {read_executed_figure(file).function for file in executed.values()}
    assert functions == {f"{function.__module__}.{function.__name__}" for function in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_the_steps_of_a_notebook_lead_to_what_its_function_draws(function, executed, tables):
    direct = WITHOUT_TABLES[function]() if function in WITHOUT_TABLES else function(tables)
    stepwise = read_executed_figure(executed[direct.name])
    assert direct.function == f"{function.__module__}.{function.__name__}"
    assert (stepwise.name, stepwise.label, stepwise.kind) == (direct.name, direct.label, direct.kind)
    assert (stepwise.finding, stepwise.note) == (direct.finding, direct.note)
    assert stepwise.function == direct.function
    assert stepwise.body == direct.body
    assert stepwise.data_csv == direct.data.to_csv(index=False)
    data = pd.read_csv(io.StringIO(stepwise.data_csv))
    assert (len(data), list(data.columns)) == (len(direct.data), list(direct.data.columns))
    assert stepwise.sha256 == direct.sources()
    assert list(stepwise.inputs) == list(direct.sources())
    assert set(stepwise.records) == {name for name in stepwise.inputs if name.endswith("/record.json")}
    plots = [panel for panel in direct.panels if panel.figure.data]  # the others are a sentence
    assert [panel.alt for panel in stepwise.panels] == [panel.alt for panel in plots]
    for panel, drawn in zip(plots, stepwise.panels, strict=True):
        assert drawn.figure == json.loads(json.dumps(plotly_json.plain(panel.figure)))
    assert fragment_of(executed[direct.name]) == direct.html()
