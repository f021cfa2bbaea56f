"""An executed notebook without a figure of the book is refused (what one holds: test_notebook_steps.py)."""

import json

from helpers.figures.executed import fragment_of, read_executed_figure
from tests.conftest import refusal


def test_a_notebook_that_was_not_executed_for_the_book_is_named_with_the_remedy(tmp_path):
    file = tmp_path / "figure_x.ipynb"
    output = {"output_type": "display_data", "data": {"text/html": "<p>x</p>"}, "metadata": {}}
    file.write_text(json.dumps({"cells": [{"cell_type": "code", "outputs": [output]}]}), encoding="utf-8")
    assert "python -m helpers analyse figure_x" in refusal(read_executed_figure, file)
    assert fragment_of(file) is None
