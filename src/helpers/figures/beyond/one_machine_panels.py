"""The plots of the page on one machine: accuracy against the time for 1000 texts, a panel per dataset."""

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import labels, style
from helpers.figures.beyond import one_machine_words as words
from helpers.figures.display import Panel
from helpers.figures.hover import hover_text
from helpers.statistics.accuracy_noise import Z, standard_error
from helpers.statistics.llm_to_classifier import most_accurate_llms
from helpers.statistics.overlap import effective_texts_of_run
from helpers.study.catalogue import model_title, study

_HEIGHT, _FRAME_PX = 360, 62
_SIZES: Sequence[labels.Size] = tuple((width, _HEIGHT - _FRAME_PX) for width in (400, 320, 270, 228))
"""Of the smallest plot without its axes, on a desktop; a phone has a little more."""
_ROOM = 0.06
"""Beside the lowest and the highest accuracy."""
_BAR_POINTS = 8
"""On each side of a mark, along its bar, that labels keep away from."""


def panels(runs: pd.DataFrame, compared: pd.DataFrame) -> list[Panel]:
    """Return a panel for each dataset of `one_machine.rows`, all with the same axes."""
    if runs.empty:
        return []
    best = most_accurate_llms(compared)
    axes = _axes(runs)
    datasets = [name for name in study().datasets if name in set(runs["dataset"])]
    return [
        _panel(runs[runs["dataset"] == name], best[best["dataset"] == name], name, axes) for name in datasets
    ]


def _axes(runs: pd.DataFrame) -> tuple[tuple[float, float], tuple[int, int]]:
    accuracy, seconds = runs["accuracy"].astype(float), runs["s_per_1000_texts"]
    left, right = max(-_ROOM, float(accuracy.min()) - _ROOM), min(1 + _ROOM, float(accuracy.max()) + _ROOM)
    return (left, right), (math.floor(math.log10(seconds.min())), math.ceil(math.log10(seconds.max())))


def _panel(
    runs: pd.DataFrame, best: pd.DataFrame, dataset: str, axes: tuple[tuple[float, float], tuple[int, int]]
) -> Panel:
    entry = study().datasets[dataset]
    (left, right), (low, high) = axes
    figure = go.Figure()
    style.layout(figure, height=_HEIGHT)
    figure.update_xaxes(title="Accuracy", range=[left, right])
    figure.update_yaxes(
        title="Time for 1000 texts",
        type="log",
        range=[low - style.PAD, high + style.PAD],
        tickvals=[10.0**exponent for exponent in range(low, high + 1)],
        ticktext=[units.duration(10.0**exponent, 1) for exponent in range(low, high + 1)],
        minor={"ticks": ""},
    )
    named = _labels(runs, best, axes)
    labels.draw_leaders(figure, runs["accuracy"], runs["s_per_1000_texts"], style.colours(runs), named, named)
    for family, look in style.FAMILIES.items():
        part = runs[runs["family"] == family]
        if len(part):
            figure.add_trace(_trace(part, look, named.loc[part.index]))
    said = words.panel_words(runs, best)
    checks = sorted({name for names in runs["checks_failed"].dropna() for name in str(names).split()})
    return Panel(
        name=dataset,
        title=entry.title,
        note=f"{units.counted(len(runs), 'run')}, {runs['texts'].iloc[0]} texts a split."
        + (f" Checks failed: {', '.join(checks)}." if checks else ""),
        figure=figure,
        alt=f"{entry.title}, accuracy against time for 1000 texts. {said}",
    )


def _labels(
    runs: pd.DataFrame, best: pd.DataFrame, axes: tuple[tuple[float, float], tuple[int, int]]
) -> pd.DataFrame:
    """Return text and place of the labels: of the language models and of the classifiers that they are compared with."""
    (left, right), (low, high) = axes
    bottom, top = low - style.PAD, high + style.PAD
    width, height = _SIZES[0]

    def pixels(accuracy: float, seconds: float) -> labels.Point:
        return (accuracy - left) / (right - left) * width, (top - math.log10(seconds)) / (
            top - bottom
        ) * height

    spots = list(zip(runs["accuracy"], runs["s_per_1000_texts"], _half_widths(runs), strict=True))
    points = [pixels(accuracy, seconds) for accuracy, seconds, _ in spots]
    bars = [
        pixels(accuracy + part / _BAR_POINTS * half, seconds)
        for accuracy, seconds, half in spots
        for part in range(-_BAR_POINTS, _BAR_POINTS + 1)
    ]
    text = runs["model"].map(model_title).str.removesuffix("-Instruct")
    named = (runs["family"] != "Traditional") | runs["model"].isin(best["classifier"])
    return labels.place(text.where(named, ""), points, *_SIZES, lines=bars, needed=text.index)


def _half_widths(runs: pd.DataFrame) -> list[float]:
    """Return the half width of the 95 % interval of each accuracy, by the choice of the test texts."""
    columns = ("accuracy", "dataset", "texts", "splits", "origin")
    return [
        Z * standard_error(float(accuracy), effective_texts_of_run(dataset, int(texts), int(splits), origin))
        for accuracy, dataset, texts, splits, origin in zip(*(runs[name] for name in columns), strict=True)
    ]


def _trace(runs: pd.DataFrame, look: style.FamilyStyle, named: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=runs["accuracy"],
        y=runs["s_per_1000_texts"],
        mode="markers+text",
        name=f"{look.title}, measured",
        showlegend=False,
        text=named["text"],
        textposition=list(named["place"]),
        textfont={"color": look.light, "size": style.FONT_SIZE - 1},
        marker={
            "symbol": look.symbol,
            "size": 11,
            "color": look.light,
            "line": {"width": 1, "color": style.PAPER},
        },
        cliponaxis=False,
        error_x={"array": _half_widths(runs), "thickness": 1, "width": 0, "color": look.light},
        hovertext=[
            f"{hover_text(row)}<br>{units.duration(float(row['s_per_1000_texts']), 3)} for 1000 texts"
            for _, row in runs.iterrows()
        ],
        hoverinfo="text",
        meta=style.themed(look.light, look.dark, True, named, named),
    )
