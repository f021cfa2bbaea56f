"""The plot of the page on one text at a time: tokens that fit into the time of a text, by model and card."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Panel
from helpers.figures.plots import dots
from helpers.study.catalogue import model_title

_LOG_TOKENS = (0.4, 3.3)
"""Ends of the axis, as logarithms."""
_TICKS = (3, 10, 30, 100, 300, 1000)
_CARDS = {
    "A30": style.FamilyStyle("A30", "#D55E00", "#FF9354", "triangle-down"),
    "V100": style.FamilyStyle("V100", "#8F5B8A", "#E3A3C6", "circle"),
    "H100": style.FamilyStyle("H100", "#0072B2", "#6BB5F0", "square"),
}
"""Colour (Okabe-Ito) and marker of a card, both, for readers who see colours differently."""
_TEMPLATE = style.FamilyStyle("Shortest answer", "#6b7280", "#9aa3ae", "line-ns")


def panel(runs: pd.DataFrame, alt: str) -> Panel:
    """Draw a row per model: the shortest answers as a bar, and a hollow mark per run (rows of `bandwidth_bound.bounds`)."""
    figure = go.Figure()
    style.layout(figure, height=460)
    for trace in _needed(runs.drop_duplicates("model")):
        figure.add_trace(trace)
    for card, look in _CARDS.items():
        rows = runs[runs["gpu_model"] == card]
        if len(rows):
            figure.add_trace(_marks(rows, look))
    figure.update_xaxes(
        type="log",
        range=list(_LOG_TOKENS),
        tickvals=list(_TICKS),
        ticktext=[str(tick) for tick in _TICKS],
        title="Most tokens that fit",
        minor={"ticks": ""},
    )
    dots.model_axis(figure, set(runs["model"]))
    return Panel(
        name="tokens",
        title="Tokens that fit into the time of a text, one at a time",
        note="Hollow: published, FKTG. Several marks of a card: different numbers of cards. Bar: from the shortest answer "
        "that DSPy reads to the shortest in full.",
        figure=figure,
        alt=alt,
        wide=True,
    )


def _needed(models: pd.DataFrame) -> Iterator[go.Scatter]:
    """Yield the bars from the shortest readable to the shortest complete answer, one trace for all models."""
    x, y, hover = [], [], []
    for _, row in models.iterrows():
        title = model_title(str(row["model"]))
        text = (
            f"<b>{title}</b><br>shortest answer: {row['readable_tokens']} tokens without the closing marker, "
            f"{row['complete_tokens']} with it"
        )
        x += [row["readable_tokens"], row["complete_tokens"], None]
        y += [title, title, None]
        hover += [text, text, ""]
    yield go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=_TEMPLATE.title,
        line={"color": _TEMPLATE.light, "width": 9},
        marker={
            "symbol": f"{_TEMPLATE.symbol}-open",
            "size": 20,
            "color": _TEMPLATE.light,
            "line": {"width": 2, "color": _TEMPLATE.light},
        },
        opacity=0.55,
        connectgaps=False,
        hovertext=hover,
        hoverinfo="text",
        meta=style.themed(_TEMPLATE.light, _TEMPLATE.dark, filled=False),
    )


def _marks(rows: pd.DataFrame, look: style.FamilyStyle) -> go.Scatter:
    return dots.dots(
        x=rows["most_tokens"],
        y=rows["model"].map(model_title),
        symbols=[f"{look.symbol}-open"] * len(rows),
        look=look,
        hover=[_hover(row) for _, row in rows.iterrows()],
        name=look.title,
        size=11,
    )


def _hover(row: "pd.Series[Any]") -> str:
    inferred = " (inferred)" if row["gpus_origin"] == "inferred" else ""
    return "<br>".join(
        [
            f"<b>{model_title(str(row['model']))}</b> ({row['gpu_model']}, {row['machine']})",
            f"at most {row['most_tokens']} tokens a text: {row['verdict']}",
            f"{units.duration(row['text_s'], 3)} a text, {units.duration(row['token_s'], 3)} a token at least",
            f"duration {row['duration_s']:.2f} s",
            f"{units.counted(row['gpus'], 'card')}{inferred}, {units.counted(row['nodes'], 'node')}",
            f"source: {row['origin']}",
        ]
    )
