"""Dot plots: one row per model, a mark per run, a bar for what its interval allows."""

from collections.abc import Collection, Sequence

import pandas as pd
import plotly.graph_objects as go

from helpers.figures import style
from helpers.results.weights import short_title
from helpers.study.catalogue import model_title, study


def model_axis(figure: go.Figure, models: Collection[str], titles: Collection[str] = ()) -> None:
    """Give every one of these models a row, from the top in the order of the study.

    The `titles` of runs (`results.weights.run_title`) that are not the model's name have rows below it.
    """
    names = {name: model_title(name) for name in study().models}
    order = [
        row
        for name, title in names.items()
        for row in ([title] if name in models else [])
        + sorted(t for t in titles if t.startswith(f"{title} ("))
    ]
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=order[::-1],
        tickvals=order,
        ticktext=[short_title(row) for row in order],  # the marks need the room
        range=[-0.6, len(order) - 0.4],
    )


def dots(
    *,
    x: pd.Series,
    y: pd.Series,
    symbols: Sequence[str],
    look: style.FamilyStyle,
    hover: Sequence[str],
    filled: bool = False,
    bar: tuple[pd.Series, pd.Series] | None = None,
    name: str | None = None,
    size: int = 9,
) -> go.Scatter:
    """Return marks of one colour, hollow unless `filled`; `bar` holds the lower and upper ends of intervals.

    Where an end of a bar is absent, none is drawn. Without a `name` the marks are not in the legend.
    """
    error = None
    if bar is not None:
        low, high = bar
        error = {
            "type": "data",
            "symmetric": False,
            "array": (high - x).fillna(0),
            "arrayminus": (x - low).fillna(0),
            "thickness": 1.5,
            "width": 0,
            "color": look.light,
        }
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        showlegend=name is not None,
        marker={
            "symbol": list(symbols),
            "size": size,
            "color": look.light,
            "line": {"width": 1 if filled else 1.5, "color": style.PAPER if filled else look.light},
        },
        error_x=error,
        hovertext=list(hover),
        hoverinfo="text",
        meta=style.themed(look.light, look.dark, filled),
    )
