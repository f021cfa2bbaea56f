"""The look of all figures: colours and markers by family, axes."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from helpers.core.units import energy_tick

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
FONT_SIZE = 13
TEXT, GRID, PAPER = "#1f2328", "#e3e5e8", "#ffffff"
"""Light theme; book/_static/figures.js has the dark one and switches."""


@dataclass(frozen=True)
class FamilyStyle:
    """Colour (Okabe-Ito) and marker of a model family, both, for readers who see colours differently."""

    title: str
    light: str
    dark: str
    symbol: str


FAMILIES = {
    "Traditional": FamilyStyle("Traditional", "#009E73", "#2CC39A", "circle"),
    "Other LLM": FamilyStyle("LLM", "#0072B2", "#6BB5F0", "square"),
    "Deepseek": FamilyStyle("LLM, reasoning", "#D55E00", "#FF9354", "diamond"),
}


@dataclass(frozen=True)
class ComponentStyle:
    """Colour of a component of the energy; estimated ones are hatched."""

    title: str
    light: str
    dark: str


COMPONENTS = {
    "cpu": ComponentStyle("CPU", "#CC79A7", "#E3A3C6"),
    "gpu": ComponentStyle("GPU", "#56B4E9", "#7CC8F2"),
    "ram": ComponentStyle("Memory", "#E69F00", "#F2B83D"),
}
SYMBOLS = {
    "printed": "-open",
    "digitised": "-open",
    "inferred": "-open-dot",
    "measured": "",
    "partly-measured": "-dot",
    "estimated": "-x",
    "missing": "-x",
}
"""What is added to a marker by how the energy of its run was got; with CPU and GPU missing, memory's rule is left."""
NOT_MEASURED = "not measured by us"


def layout(fig: go.Figure, height: int) -> None:
    """Give a figure the common look: light grid, no frame, transparent, the page's font."""
    title = {"title": {"font": {"size": FONT_SIZE}}}  # in the template, which a later title keeps
    fig.update_layout(
        template={"layout": {"xaxis": title, "yaxis": title}},
        height=height,
        font={"family": FONT, "size": FONT_SIZE, "color": TEXT},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        modebar={"bgcolor": "rgba(0,0,0,0)"},
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
        hoverlabel={"font": {"family": FONT}, "align": "left"},
    )
    fig.update_xaxes(gridcolor=GRID, zeroline=False, showline=False, automargin=True)
    fig.update_yaxes(gridcolor=GRID, zeroline=False, showline=False, automargin=True)


def colours(rows: pd.DataFrame) -> pd.Series:
    """Return the colour of each row's family in the light theme."""
    return rows["family"].map({family: look.light for family, look in FAMILIES.items()})


def not_measured(fig: go.Figure) -> None:
    """Say in an empty plot that nothing was measured, and draw no axes."""
    fig.add_annotation(text=NOT_MEASURED, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False)


def themed(
    light: str,
    dark: str,
    filled: bool = True,
    broad: pd.DataFrame | None = None,
    narrow: pd.DataFrame | None = None,
) -> dict[str, object]:
    """Return the `meta` of a trace that book/_static/figures.js reads: colours of the themes, labels by width.

    `filled` marks take an outline in the colour of the page, others one in their own. `broad` and `narrow`
    are the labels on a wide and on a narrow plot: columns `text` and `place`, one row per point.
    """
    meta: dict[str, object] = {"light": light, "dark": dark, "filled": filled}
    for width, labels in (("broad", broad), ("narrow", narrow)):
        if labels is not None:
            meta[width] = labels[["text", "place"]].to_dict("list")
    return meta


PAD = 0.3
"""Room at both ends of an energy axis, in decades."""


def energy_axis(
    fig: go.Figure, low: int, high: int, axis: Literal["x", "y"] = "y", every: int = 1, *, title: str
) -> None:
    """Make an axis a logarithmic energy axis from 10**low to 10**high Wh, with units in its labels.

    A label stands at each decade, or at multiples of `every` where there is little room and more than one of them.
    """
    decades = range(low, high + 1)
    sparse = [exponent for exponent in decades if exponent % every == 0]
    exponents = sparse if len(sparse) > 1 else list(decades)
    update = fig.update_yaxes if axis == "y" else fig.update_xaxes
    update(
        title={"text": title, "standoff": 6},
        type="log",
        range=[low - PAD, high + PAD],
        tickvals=[10.0**e for e in exponents],
        ticktext=[energy_tick(e) for e in exponents],
        minor={"ticks": ""},
    )
