"""Energy per correct answer, beside accuracy and energy per text, published and measured."""

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.beyond import energy_per_token
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.plots import dots, scatter
from helpers.figures.plots import tables as parts
from helpers.figures.plots.comparable import comparable, folded
from helpers.figures.plots.measured_runs import reservations, weights_ring
from helpers.results.accounting import energies
from helpers.results.tables import Tables
from helpers.results.weights import are_quantised, run_title, run_titles
from helpers.statistics import bootstrap, selection
from helpers.statistics.bootstrap import Interval
from helpers.study.catalogue import model_title, paper_models, study

_COLUMNS = [
    *("source", "dataset", "model", "family", "machine", "gpus", "texts"),
    *("accuracy", "accuracy_low", "accuracy_high", "energy_wh", "energy_wh_below", "energy_kind"),
    *("wh_per_text", "wh_per_correct", "low_wh_per_correct", "high_wh_per_correct", "interval_is"),
    *("measured_wh_per_correct", "measured_low_wh", "measured_high_wh"),
    *("tokens_in", "tokens_out", *energy_per_token.COLUMNS, "checkpoint", "weights"),
    *("splits", "checks_failed", "origin"),
]


_EVERY = 3
"""Decades between two labels of the energy axes."""


def energy_per_correct(tables: Tables) -> Figure:
    """Show Wh / (texts x accuracy) of every comparable run, per dataset.

    Published values have the interval that rounding and reading leave; measured ones a percentile bootstrap
    interval over their splits, for the sum as published and for the measured components alone.
    """
    return draw(costs(rows(tables), tables.split_results))


def draw(data: pd.DataFrame) -> Figure:
    """Draw `costs`, with a panel and tables for each dataset."""
    datasets = [name for name in study().datasets if name in set(data["dataset"])]
    wide = bool(are_quantised(data).any())  # their names are long
    return Figure(
        name="energy_per_correct",
        label="Energy per correct answer",
        finding=_finding(data),
        note=(
            "Energy of one pass divided by the number of correct answers. Hollow: published, one Capella node; its bar is "
            "the range that rounding and reading allow; a triangle is an upper limit. "
            f"{scatter.INFERRED} {scatter.MARKS} "
            f"Their bars are 95 % bootstrap intervals over the splits (percentiles of {bootstrap.DRAWS:,} resamples, fixed "
            "seed). The splits overlap, so the interval holds for other splits of the same texts, not for new texts; at 10 "
            f"splits it is about 5 % too narrow. {scatter.ACCOUNTING} Published and measured runs come from different machines: "
            f"compare models on the same machine only."
        ),
        data=data,
        function="helpers.figures.beyond.energy_per_correct.energy_per_correct",
        panels=[
            replace(_panel(data[data["dataset"] == name], name, _decades(data)), wide=wide)
            for name in datasets
        ],
        body="".join(_tables(data[data["dataset"] == name], name) for name in datasets)
        + energy_per_token.table(data),
    )


def rows(tables: Tables) -> pd.DataFrame:
    """Return the runs that are drawn, as `comparable` does: published ones have bounds of accuracy and energy."""
    return comparable(tables)


def costs(runs: pd.DataFrame, split_results: pd.DataFrame) -> pd.DataFrame:
    """Return the energy of each of `rows` per text and per correct answer, in Wh, with its interval.

    Added columns: `wh_per_text`; `wh_per_correct` with `low_wh_per_correct` and `high_wh_per_correct`, and what the
    interval is (`interval_is`: `rounding`, or `bootstrap over splits`); `measured_wh_per_correct` with
    `measured_low_wh` and `measured_high_wh`, of the measured components alone; and of measured language models
    `energy_per_token.COLUMNS`. Absent without an energy.
    """
    rows = runs.copy()
    texts, published = rows["texts"].astype(float), rows["source"] == "published"
    energy = rows["energy_wh"].astype(float)
    rows["wh_per_text"] = energy / texts
    rows["wh_per_correct"] = (energy / (texts * rows["accuracy"])).where(rows["accuracy"] > 0)
    low = rows["energy_low_wh"] / (texts * rows["accuracy_high"])
    high = (rows["energy_high_wh"] / (texts * rows["accuracy_low"])).where(rows["accuracy_low"] > 0)
    total, part = (
        list(map(_intervals(split_results, mode).get, rows["origin"]))
        for mode in ("total_as_published", "measured_only")
    )
    rows["low_wh_per_correct"] = low.where(published, _column(total, "low", rows))
    rows["high_wh_per_correct"] = high.where(published, _column(total, "high", rows))
    rows["interval_is"] = published.map({True: "rounding", False: "bootstrap over splits"})
    rows["interval_is"] = rows["interval_is"].where(rows["high_wh_per_correct"].notna())
    rows["measured_wh_per_correct"] = _column(part, "estimate", rows)
    rows["measured_low_wh"] = _column(part, "low", rows)
    rows["measured_high_wh"] = _column(part, "high", rows)
    return rows[_COLUMNS]


def _intervals(split_results: pd.DataFrame, mode: str) -> dict[str, Interval]:
    """Return Wh per correct answer over the splits of each run, by its origin; not where a split has no such energy."""
    if split_results.empty:
        return {}
    with_energy = split_results.assign(wh=energies(split_results, mode))
    return {
        str(origin): bootstrap.ratio_of_sums(splits["wh"].to_list(), splits["correct"].to_list())
        for origin, splits in with_energy.groupby("origin", sort=False)
        if splits["wh"].notna().all() and splits["correct"].sum()
    }


def _column(intervals: list[Interval | None], name: str, rows: pd.DataFrame) -> pd.Series:
    values = [None if item is None else getattr(item, name) for item in intervals]
    return pd.Series(values, index=rows.index, dtype=float)


def _finding(data: pd.DataFrame) -> str:
    published = data[data["source"] == "published"]
    fktg = published[(published["dataset"] == "fktg") & published["wh_per_correct"].notna()]
    best, most = selection.most_accurate(fktg), fktg.iloc[int(fktg["wh_per_correct"].argmax())]
    swapped, pairs = _reordered(published)
    accuracies = fktg["accuracy"].max() / fktg["accuracy"].min()
    energy = fktg["energy_wh"].max() / fktg["energy_wh"].min()
    return (
        f"On FKTG a correct answer needs {units.energy(best['wh_per_correct'])} with the most accurate model, "
        f"{model_title(best['model'])}, and {units.energy(most['wh_per_correct'])} with "
        f"{model_title(most['model'])}. Over its {len(fktg)} models, accuracies differ by a factor of {parts.times(accuracies)} "
        f"and energies by a factor of {parts.times(energy)}. Over all datasets, counting correct answers "
        f"instead of texts changes the order of {swapped} of {pairs} pairs of models."
    )


def _reordered(rows: pd.DataFrame) -> tuple[int, int]:
    """Count the pairs of models of one dataset that change places, and all pairs."""
    swapped = pairs = 0
    for _, group in rows[rows["wh_per_correct"].notna()].groupby("dataset"):
        pairs_of_costs = zip(group["wh_per_text"], group["wh_per_correct"], strict=True)
        for one, other in combinations(pairs_of_costs, 2):
            pairs += 1
            swapped += (one[0] - other[0]) * (one[1] - other[1]) < 0
    return swapped, pairs


def _decades(data: pd.DataFrame) -> tuple[int, int]:
    """Return the decades of all axes: a reader compares down the page."""
    energy = data["wh_per_correct"].dropna()
    return math.floor(math.log10(energy.min())), math.ceil(math.log10(energy.max()))


def _panel(rows: pd.DataFrame, dataset: str, decades: tuple[int, int]) -> Panel:
    entry = study().datasets[dataset]
    figure = go.Figure()
    style.layout(figure, height=430)
    style.energy_axis(figure, *decades, axis="x", every=_EVERY, title="Energy per<br>correct answer")
    quantised = are_quantised(rows)
    dots.model_axis(
        figure, {*paper_models(), *rows.loc[~quantised, "model"]}, set(run_titles(rows[quantised]))
    )
    figure.update_xaxes(tickangle=0)
    for (family, published), part in rows.groupby(["family", rows["source"] == "published"], sort=False):
        figure.add_trace(_trace(part, style.FAMILIES[str(family)], bool(published)))
    figure.add_traces(weights_ring(rows, rows["wh_per_correct"], run_titles(rows)))
    measured = rows[rows["source"] != "published"]
    sources = (
        f"Measured: {', '.join(sorted(set(measured['source'])))}."
        if len(measured)
        else f"Published values; {style.NOT_MEASURED}."
    )
    ranked = rows[rows["wh_per_correct"].notna()].sort_values("wh_per_correct")
    span = (
        f" From {units.energy(ranked['wh_per_correct'].iloc[0])} ({run_title(ranked.iloc[0])}) to "
        f"{units.energy(ranked['wh_per_correct'].iloc[-1])} ({run_title(ranked.iloc[-1])})."
        if len(ranked)
        else ""
    )
    return Panel(
        name=dataset,
        title=entry.title,
        note=f"{sources}{reservations(rows)}",
        figure=figure,
        alt=f"{entry.title}: energy per correct answer of {len(rows)} runs, one row per model.{span}",
    )


def _trace(rows: pd.DataFrame, look: style.FamilyStyle, published: bool) -> go.Scatter:
    limit = rows["wh_per_correct"].isna()
    cost = rows["wh_per_correct"].fillna(rows["high_wh_per_correct"])
    symbols = [
        "triangle-left-open" if below else f"{look.symbol}{style.SYMBOLS[kind]}"
        for below, kind in zip(limit, rows["energy_kind"], strict=True)
    ]
    return dots.dots(
        x=cost,
        y=run_titles(rows),
        symbols=symbols,
        look=look,
        hover=[_hover(row) for _, row in rows.iterrows()],
        filled=not published,
        bar=(rows["low_wh_per_correct"].mask(limit), rows["high_wh_per_correct"]),
        name=f"{look.title}, {'published' if published else 'measured'}",
    )


def _hover(row: "pd.Series[Any]") -> str:
    published = row["source"] == "published"
    lines = [
        f"<b>{run_title(row)}</b> ({'published' if published else 'campaign ' + row['source']}, {row['machine']})",
        f"{_cost(row)} per correct answer",
        f"accuracy {row['accuracy']:.3f}",
    ]
    if pd.notna(row["wh_per_text"]):
        lines.append(f"{units.energy(row['wh_per_text'])} per text ({row['energy_kind']})")
    if pd.notna(row["measured_wh_per_correct"]):
        lines.append(f"{units.energy(row['measured_wh_per_correct'])} per correct answer, measured part only")
    if pd.notna(row["j_per_output_token"]):
        lines.append(
            f"{units.significant(row['j_per_output_token'], 2)} J per output token, "
            f"{units.significant(row['j_per_token'], 2)} J per token"
        )
    return "<br>".join([*lines, f"source: {row['origin']}"])


def _cost(row: "pd.Series[Any]") -> str:
    low, high = row["low_wh_per_correct"], row["high_wh_per_correct"]
    if pd.isna(row["wh_per_correct"]):
        return f"below {units.energy(high)}" if pd.notna(high) else "unknown energy"
    between = f" ({units.energy(low, 3)} to {units.energy(high, 3)})" if pd.notna(high) else ""
    return f"{units.energy(row['wh_per_correct'], 3)}{between}"


def _tables(rows: pd.DataFrame, dataset: str) -> str:
    title = study().datasets[dataset].title
    published, measured = rows[rows["source"] == "published"], rows[rows["source"] != "published"]
    body = _published_table(published, f"{title}, published") if len(published) else ""
    if len(measured):
        body += _measured_table(measured, f"{title}, measured")
    else:
        body += parts.paragraph(f"{title}: {style.NOT_MEASURED}.")
    return body if dataset == "fktg" else folded(f"Table: {title}", body)


def _published_table(rows: pd.DataFrame, caption: str) -> str:
    shown = pd.DataFrame(
        {
            "Model": rows["model"].map(model_title),
            "Accuracy": rows["accuracy"].map("{:.2f}".format),
            "mWh per text": _milli(
                rows["wh_per_text"], rows["energy_wh_below"] / rows["texts"].astype(float)
            ),
            "mWh per correct answer": _milli(rows["wh_per_correct"], rows["high_wh_per_correct"]),
            "Rounding allows (mWh)": _range(rows, "low_wh_per_correct", "high_wh_per_correct"),
        }
    )
    return html_table(shown, caption, list(shown.columns[1:]))


def _measured_table(rows: pd.DataFrame, caption: str) -> str:
    shown = pd.DataFrame(
        {
            "Model": run_titles(rows),
            "Campaign": rows["source"],
            "Energy is": rows["energy_kind"],
            "Accuracy": rows["accuracy"].map("{:.3f}".format),
            "mWh per text": _milli(rows["wh_per_text"]),
            "mWh per correct answer": _milli(rows["wh_per_correct"]),
            "95 % over splits (mWh)": _range(rows, "low_wh_per_correct", "high_wh_per_correct"),
            "Measured part only (mWh)": _milli(rows["measured_wh_per_correct"]),
            "95 % of that (mWh)": _range(rows, "measured_low_wh", "measured_high_wh"),
        }
    )
    return html_table(shown, caption, list(shown.columns[3:]))


def _milli(values: pd.Series, limits: pd.Series | None = None) -> list[str | None]:
    below = limits if limits is not None else pd.Series(math.nan, index=values.index)
    return [
        units.significant(1e3 * value, 3)
        if pd.notna(value)
        else f"< {units.significant(1e3 * limit, 2)}"
        if pd.notna(limit)
        else None
        for value, limit in zip(values, below, strict=True)
    ]


def _range(rows: pd.DataFrame, low: str, high: str) -> list[str | None]:
    return [
        None if pd.isna(end) else f"{units.significant(1e3 * start, 4)} to {units.significant(1e3 * end, 4)}"
        for start, end in zip(rows[low], rows[high], strict=True)
    ]
