"""A plot as plain JSON: what a reader's browser draws, and what an audit compares."""

import base64
import json
from collections.abc import Collection
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.io import to_json

CONFIG = {"responsive": False, "displayModeBar": False}
"""Of Plotly; `book/_static/figures.js` has its own buttons and watches the width itself."""


_TEMPLATE = (
    *("annotationdefaults", "autotypenumbers", "colorway", "font", "hoverlabel", "hovermode"),
    *("shapedefaults", "title", "xaxis", "yaxis"),
)
"""What a plot with two axes takes from the layout of Plotly's template."""


def plain(figure: go.Figure) -> dict[str, Any]:
    """Return `data`, `layout` and `config` as lists, numbers and texts.

    Plotly writes arrays of numbers in base64, which neither a person nor an audit with a tolerance can read.
    """
    document = json.loads(to_json(figure, validate=False))
    data, layout = _decoded(document["data"]), _decoded(document["layout"])
    if "template" in layout:
        layout["template"] = _used(layout["template"], {trace["type"] for trace in data})
    return {"data": data, "layout": layout, "config": CONFIG}


def dumps(figure: go.Figure) -> str:
    """Return the JSON for a `<script>`: no text in it can end the script."""
    text = json.dumps(plain(figure), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _used(template: dict[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    """Leave out what Plotly's template has for maps, polar plots and kinds of traces that are not there."""
    data, layout = template.get("data", {}), template.get("layout", {})
    return {
        "data": {kind: defaults for kind, defaults in data.items() if kind in kinds},
        "layout": {name: layout[name] for name in _TEMPLATE if name in layout},
    }


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) <= {"dtype", "bdata", "shape"} and "bdata" in value:
            numbers = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
            return [None if number != number else number for number in numbers.tolist()]  # noqa: PLR0124  (NaN)
        return {key: _decoded(item) for key, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value
