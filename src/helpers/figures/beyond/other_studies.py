"""Energy per 1000 texts: the paper's runs and ours beside what other studies give, with their accounting."""

import html
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import paths, units
from helpers.figures import style
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.html import external
from helpers.figures.plots import dots, scatter
from helpers.figures.plots import tables as parts
from helpers.figures.plots.comparable import comparable
from helpers.results.accounting import energies
from helpers.results.tables import Tables
from helpers.results.weights import run_titles, short_title
from helpers.statistics import selection
from helpers.study.catalogue import PAPER_EMBEDDING, study
from helpers.study.literature import OTHER_STUDIES, StudyEnergy, load_other_studies

ACCOUNTING = {"total": "CPU, GPU and memory", "gpu": "GPU only"}
PAPER = "The paper (Capella)"
_GREY = ("#57606a", "#9aa4ae")
_GPU_ONLY = "triangle-up"
_ROW_PX = 21


def other_studies(tables: Tables) -> Figure:
    """Show Wh per 1000 texts of the paper's runs, of ours and of other studies on one axis."""
    figures = load_other_studies().figures
    return draw(with_studies(per_1000_texts(rows(tables)), figures), figures)


def rows(tables: Tables) -> pd.DataFrame:
    """Return the `comparable` runs, published and measured."""
    return comparable(tables)


def draw(data: pd.DataFrame, figures: Sequence[StudyEnergy]) -> Figure:
    """Draw the rows of `with_studies`; a table has the `figures` of other studies as they were taken.

    Each mark says what is counted: CPU, GPU and memory, or the GPU only; the GPU alone is shown for
    published runs where Figure 2 gives it and for measured ones where it was measured.
    """
    finding = _finding(data)
    return Figure(
        name="other_studies",
        label="Other studies",
        finding=finding,
        note=(
            "One pass scaled to 1000 texts; one mark per dataset. A triangle counts the GPU only, every other mark CPU, GPU "
            "and memory; a triangle that points to the left is an upper limit. Hollow: published. "
            f"{scatter.INFERRED} {scatter.MARKS} Tasks, hardware, batch sizes and memory rules differ from study to study, so "
            "orders of magnitude can be compared, not ranks. Inference only: no value includes loading a model. The table "
            "says how each value was taken from its source, and which sources are drafts or secondary."
        ),
        data=data,
        function="helpers.figures.beyond.other_studies.other_studies",
        panels=[_panel(data, finding)],
        body=_table(figures),
    )


def per_1000_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the energy of `rows` for 1000 texts, with the sum as published and again with the GPU alone where it is known.

    Columns: `wh_per_1000_texts`, or `below_wh` where only a limit is printed, `accounting` (a key of `ACCOUNTING`),
    `block` (the headline on the axis), `what` (the model's title), `gpu_share`, and what tells the run from others.
    """
    per_1000 = 1000 / rows["texts"].astype(float)
    published = rows["source"] == "published"
    common = pd.DataFrame(
        {
            "block": ("Ours: " + rows["source"]).where(~published, PAPER),
            "what": run_titles(rows),
            "model": rows["model"],
            "family": rows["family"],
            "dataset": rows["dataset"],
            "hardware": rows["machine"],
            "energy_kind": rows["energy_kind"],
            "note": rows["checkpoint"].where(rows["checkpoint"] != PAPER_EMBEDDING),
            "origin": rows["origin"],
        }
    )
    total = common.assign(
        accounting="total",
        wh_per_1000_texts=energies(rows, "total_as_published") * per_1000,
        below_wh=rows["energy_wh_below"].astype(float) * per_1000,
    )
    total["gpu_share"] = selection.gpu_shares(rows)
    gpu = common.assign(accounting="gpu", wh_per_1000_texts=energies(rows, "gpu_only") * per_1000)
    return pd.concat([total, gpu[gpu["wh_per_1000_texts"].notna()]], ignore_index=True)


def with_studies(runs: pd.DataFrame, figures: Sequence[StudyEnergy]) -> pd.DataFrame:
    """Return the rows of `per_1000_texts` and below them the figures of other studies, which have no `family`."""
    studies = pd.DataFrame(
        [
            {
                **item.model_dump(exclude={"study", "source"}),
                "block": item.study,
                "source_url": item.source.url,
                "origin": paths.relative(OTHER_STUDIES),
            }
            for item in figures
        ]
    )
    return pd.concat([runs, studies], ignore_index=True)


def _finding(data: pd.DataFrame) -> str:
    """Compare zero-shot models on the one dataset that two studies share, and say what the GPU alone makes."""
    same = data[(data["dataset"] == "tomatoes") & (data["accounting"] == "total")]
    paper = same[(same["block"] == PAPER) & (same["family"] != "Traditional")]["wh_per_1000_texts"].dropna()
    theirs = same[same["family"].isna()]["wh_per_1000_texts"]
    shares = data[data["block"] == PAPER]["gpu_share"].dropna()
    others = parts.listed(list(dict.fromkeys(same[same["family"].isna()]["block"])))
    return (
        f"For 1000 film reviews of the dataset tomatoes, the paper's LLMs need {_span(paper)} and the zero-shot models of "
        f"{others} {_span(theirs)}, both with CPU, GPU and memory and without loading; where Figure 2 shows it, the GPU alone is "
        f"{100 * shares.min():.0f} to {100 * shares.max():.0f} % of the paper's energy."
    )


def _span(values: pd.Series) -> str:
    return f"{units.energy(values.min(), 3)} to {units.energy(values.max(), 3)}"


def _panel(data: pd.DataFrame, finding: str) -> Panel:
    placed, labels = _axis_rows(data)
    figure = go.Figure()
    style.layout(figure, height=_ROW_PX * len(labels) + 120)
    figure.update_layout(legend={"traceorder": "normal"}, margin={"r": 40})  # room for the last label
    values = placed["wh_per_1000_texts"].fillna(placed["below_wh"])
    low = _EVERY * math.floor(math.log10(values.min()) / _EVERY)
    high = math.ceil(math.log10(values.max()))
    style.energy_axis(figure, low, high, axis="x", every=_EVERY, title="Energy per<br>1000 texts")
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.3, -0.7], showgrid=False
    )
    for row in (row for row, label in enumerate(labels) if label.startswith("<b>")):
        figure.add_hline(y=row - 0.5, line={"width": 1, "color": "rgba(128, 128, 128, 0.35)"})
    for family, look in style.FAMILIES.items():
        runs = placed[placed["family"] == family]
        for published in (True, False):
            part = runs[(runs["block"] == PAPER) == published]
            if len(part):
                figure.add_trace(_trace(part, look, published))
    grey = style.FamilyStyle("Other studies", *_GREY, "hexagon")
    figure.add_trace(_trace(placed[placed["family"].isna()], grey, published=True))
    return Panel(
        name="all",
        title="Wh per 1000 texts, by what is counted",
        note="Triangle: GPU only. Other marks: CPU, GPU and memory. Grey: other studies.",
        figure=figure,
        alt=finding,
        wide=True,
    )


_EVERY = 3
"""Decades between two labels of the energy axis."""


def _axis_rows(data: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Give every block a headline and each of its models a row; return the rows' labels, from the top."""
    order = list(study().models)
    labels: list[str] = []
    row_numbers: dict[tuple[str, str], int] = {}
    for block, group in data.groupby("block", sort=False):
        labels.append(f"<b>{html.escape(str(block))}</b>")
        ordered = group.sort_values("model", key=lambda column: column.map(order.index, na_action="ignore"))
        for what in dict.fromkeys(ordered["what"]):
            row_numbers[str(block), what] = len(labels)
            labels.append(html.escape(short_title(what)))
    numbers = [row_numbers[block, what] for block, what in zip(data["block"], data["what"], strict=True)]
    return data.assign(axis_row=numbers), labels


def _trace(rows: pd.DataFrame, look: style.FamilyStyle, published: bool) -> go.Scatter:
    limit = rows["wh_per_1000_texts"].isna()
    ending = [style.SYMBOLS.get(kind, "-open") for kind in rows["energy_kind"]]
    symbols = [
        "triangle-left-open"
        if below
        else f"{_GPU_ONLY}{'-open' if published else ''}"
        if counted == "gpu"
        else f"{look.symbol}{end}"
        for below, counted, end in zip(limit, rows["accounting"], ending, strict=True)
    ]
    name = f"{look.title}, {'published' if published else 'measured'}"
    return dots.dots(
        x=rows["wh_per_1000_texts"].fillna(rows["below_wh"]),
        y=rows["axis_row"],
        symbols=symbols,
        look=look,
        hover=[_hover(row) for _, row in rows.iterrows()],
        filled=not published,
        name=look.title if rows["family"].isna().all() else name,
    )


def _hover(row: "pd.Series[Any]") -> str:
    value = row["wh_per_1000_texts"]
    energy = f"below {units.energy(row['below_wh'])}" if pd.isna(value) else units.energy(value, 3)
    details = [
        row[name]
        for name in ("dataset", "task", "hardware", "basis", "derivation", "note")
        if isinstance(row[name], str)
    ]
    lines = [
        f"<b>{row['what']}</b> ({row['block']})",
        f"{energy} per 1000 texts, {ACCOUNTING[row['accounting']]}",
        *details,
        f"source: {row['source_url'] if isinstance(row['source_url'], str) else row['origin']}",
    ]
    return "<br>".join(lines)


def _table(figures: Sequence[StudyEnergy]) -> str:
    shown = pd.DataFrame(
        {
            "Study": [item.study for item in figures],
            "What": [item.what for item in figures],
            "Wh per 1000 texts": [f"{item.wh_per_1000_texts:,.6g}" for item in figures],
            "Counted": [ACCOUNTING[item.accounting] for item in figures],
            "Hardware": [item.hardware for item in figures],
            "Basis": [item.basis for item in figures],
            "Source": pd.Series(
                [external(item.source.address, item.source.title) for item in figures], dtype=object
            ),  # or it is no markup
            "How it was taken": [item.derivation for item in figures],
            "Task and remarks": [". ".join(filter(None, (item.task, item.note))) for item in figures],
        }
    )
    return html_table(shown, "Values from other studies", ["Wh per 1000 texts"])
