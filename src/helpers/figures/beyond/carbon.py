"""Grams of CO2 equivalents per 1000 texts on several electricity grids."""

import math

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.core.paths import relative
from helpers.figures import style
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.plots import dots, scatter
from helpers.figures.plots import tables as parts
from helpers.figures.plots.measured_runs import reservations, weights_ring
from helpers.results.tables import Tables, select_sequential
from helpers.results.weights import are_quantised, run_title, run_titles
from helpers.study.carbon_intensity import GRIDS, HOME, Grid, co2e_g, grids
from helpers.study.catalogue import study

TEXTS = 1000


def carbon(tables: Tables) -> Figure:
    """Multiply the energy per text by the carbon intensity of each grid in `data/study/grids.yaml`.

    FKTG as published (Table B1, energies below 1 Wh from Figure 1), and every measured run. Operation only:
    no cooling, no production of the hardware, no training.
    """
    return draw(emissions(rows(tables.results)))


def draw(data: pd.DataFrame) -> Figure:
    """Draw `emissions`: a panel for the published runs, and one for each dataset of our runs."""
    published = data[data["source"] == "published"]
    measured = data[data["source"] != "published"]
    return Figure(
        name="carbon",
        label="CO₂e per 1000 texts",
        finding=_finding(published),
        note=(
            f"Energy per text times the carbon intensity of the grid, for {TEXTS} texts. Marks: {grids()[HOME].title}; whiskers: "
            "from the cleanest to the dirtiest of the grids below. Energy is CPU, GPU and memory as the meter adds them up; "
            f"cooling, production of the hardware and training are not included. {scatter.INFERRED} {scatter.MARKS}"
        ),
        data=data,
        function="helpers.figures.beyond.carbon.carbon",
        panels=[
            _panel("published", published, "FKTG, published", wide=True),
            *(
                _panel(
                    f"measured-{dataset}",
                    rows,
                    f"{study().datasets[str(dataset)].title}, our runs",
                    wide=False,
                )
                for dataset, rows in measured.groupby("dataset", sort=False)
            ),
        ],
        body=_table(published, "FKTG as published, g CO₂e per 1000 texts")
        + (_table(measured, "Our runs, g CO₂e per 1000 texts") or parts.paragraph("Our runs: none yet."))
        + _sources(),
        inputs=parts.inputs(data["origin"], [relative(GRIDS)]),
    )


def emissions(runs: pd.DataFrame) -> pd.DataFrame:
    """Add a column `GRID_gco2e_per_1000` for each grid, in g CO2e per 1000 texts; `origin` stays the last column."""
    columns = {f"{name}_gco2e_per_1000": per_1000_texts(runs, grid) for name, grid in grids().items()}
    return runs.drop(columns="origin").assign(**columns, origin=runs["origin"])


def per_1000_texts(rows: pd.DataFrame, grid: Grid) -> pd.Series:
    """Return g CO2e per 1000 texts for rows of `results`; null where the energy is."""
    energy = rows["energy_wh"].astype(float) / rows["texts"].astype(float) * TEXTS
    return energy.map(lambda wh: co2e_g(wh, grid))


_COLUMNS = [
    *("source", "dataset", "machine", "model", "family", "energy_kind", "energy_wh", "texts"),
    *("splits", "checks_failed", "weights", "origin"),
]


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the published runs of Table B1 and all measured ones that took one text at a time."""
    results = select_sequential(results)
    published = (results["source"] == "published") & results["origin"].str.contains("table_b1")
    return scatter.sorted_by_study(results[published | (results["source"] != "published")])[_COLUMNS]


def _finding(published: pd.DataFrame) -> str:
    energy = published["energy_wh"].dropna()
    clean, dirty = (pick(grids().values(), key=lambda grid: grid.gco2e_per_kwh) for pick in (min, max))
    factor = dirty.gco2e_per_kwh / clean.gco2e_per_kwh
    grid = f"by a factor of {parts.times(factor)} ({clean.title} to {dirty.title})"
    if energy.empty:
        return f"The choice of grid changes the emissions {grid}."
    models = energy.max() / energy.min()
    more = "more" if models > factor else "less"
    return (
        f"The choice of model changes the emissions by a factor of {parts.times(models)}, {more} than the choice of grid, "
        f"which changes them {grid}."
    )


def _panel(name: str, rows: pd.DataFrame, title: str, wide: bool) -> Panel:
    shown = rows[rows["energy_wh"].notna()]
    figure = go.Figure()
    style.layout(figure, height=100 + 28 * max(shown["model"].nunique(), 4))
    for family, look in style.FAMILIES.items():
        for published in (True, False):
            part = shown[(shown["family"] == family) & ((shown["source"] == "published") == published)]
            if len(part):
                figure.add_trace(_trace(part, look, published))
    if shown.empty:
        style.not_measured(figure)
    else:
        columns = [column for column in shown if str(column).endswith("_gco2e_per_1000")]
        low, high = shown[columns].min().min(), shown[columns].max().max()
        exponents = range(3 * math.floor(math.log10(low) / 3), 3 * math.ceil(math.log10(high) / 3) + 1, 3)
        figure.update_xaxes(
            type="log",
            title="CO₂e per<br>1000 texts",
            range=[exponents[0] - style.PAD, exponents[-1] + style.PAD],  # ticks at the ends would be lost
            tickvals=[10.0**e for e in exponents],
            ticktext=[grams(10.0**e, 1) for e in exponents],
            minor={"ticks": ""},
        )
        quantised = are_quantised(shown)
        dots.model_axis(figure, set(shown.loc[~quantised, "model"]), set(run_titles(shown[quantised])))
        figure.add_traces(weights_ring(shown, shown[f"{HOME}_gco2e_per_1000"], run_titles(shown)))
    missing = rows.loc[rows["energy_wh"].isna(), "model"]
    note = "Hollow: published, Capella." if wide else f"Filled: {parts.listed(sorted(set(rows['source'])))}."
    return Panel(
        name=name,
        title=title,
        note=note
        + (f" No energy known: {parts.titles(missing)}." if len(missing) else "")
        + reservations(shown),
        figure=figure,
        alt=_alt(shown, title),
        wide=wide,
    )


def _trace(rows: pd.DataFrame, look: style.FamilyStyle, published: bool) -> go.Scatter:
    columns = [f"{name}_gco2e_per_1000" for name in grids()]
    home = rows[f"{HOME}_gco2e_per_1000"]
    low, high = rows[columns].min(axis="columns"), rows[columns].max(axis="columns")
    return go.Scatter(
        x=home,
        y=run_titles(rows),
        mode="markers",
        name=f"{look.title}, {'published' if published else 'measured'}",
        marker={
            "symbol": [f"{look.symbol}{style.SYMBOLS[kind]}" for kind in rows["energy_kind"]],
            "size": 10,
            "color": look.light,
            "line": {"width": 2 if published else 1, "color": look.light if published else style.PAPER},
        },
        error_x={
            "array": high - home,
            "arrayminus": home - low,
            "thickness": 1.5,
            "width": 0,
            "color": look.light,
        },
        hovertext=[
            f"<b>{title}</b> ({source})<br>{grids()[HOME].title}: {grams(g)}<br>from {grams(a)} to {grams(b)}"
            for title, source, g, a, b in zip(run_titles(rows), rows["source"], home, low, high, strict=True)
        ],
        hoverinfo="text",
        cliponaxis=False,
        meta=style.themed(look.light, look.dark, not published),
    )


def grams(value: float, digits: int = 2) -> str:
    """Return a mass in g as text, in kg, g, mg or µg; absent is `missing`."""
    if math.isnan(value):
        return "missing"
    for size, unit in ((1e3, "kg"), (1.0, "g"), (1e-3, "mg"), (1e-6, "µg")):
        if value >= size * 0.999:
            return f"{units.significant(value / size, digits)}{units.THIN}{unit}"
    return f"{units.significant(value / 1e-6, digits)}{units.THIN}µg"


def _alt(rows: pd.DataFrame, title: str) -> str:
    if rows.empty:
        return f"{title}: {style.NOT_MEASURED}."
    home = rows.sort_values(f"{HOME}_gco2e_per_1000")
    (least_g, least), (most_g, most) = (
        (grams(float(row[f"{HOME}_gco2e_per_1000"])), run_title(row)) for row in (home.iloc[0], home.iloc[-1])
    )
    return (
        f"{title}: from {least_g} ({least}) to {most_g} ({most}) of CO₂e "
        f"per {TEXTS} texts on the grid of {grids()[HOME].title}."
    )


def _table(rows: pd.DataFrame, caption: str) -> str:
    if rows.empty:
        return ""
    shown = pd.DataFrame({"Model": run_titles(rows)})
    if (rows["source"] != "published").any():
        shown.insert(0, "Campaign", rows["source"])
        shown.insert(1, "Dataset", [study().datasets[name].title for name in rows["dataset"]])
    shown["Energy is"] = rows["energy_kind"]
    names = []
    for name, grid in grids().items():
        heading = f"{grid.title} ({grid.gco2e_per_kwh:.0f})"
        names.append(heading)
        shown[heading] = [
            "missing" if math.isnan(value) else units.significant(value, 3)
            for value in rows[f"{name}_gco2e_per_1000"]
        ]
    return html_table(shown, f"{caption}; in brackets g CO₂e per kWh", names)


def _sources() -> str:
    listed = list(grids().values())
    frame = pd.DataFrame(
        {
            "Grid": [grid.title for grid in listed],
            "g CO₂e/kWh": [grid.gco2e_per_kwh for grid in listed],
            "Year": [str(grid.year) if grid.year else "not given" for grid in listed],
            "Source": [
                f"{g.source.package} {g.source.version}, {g.source.file}: {g.source.entry or ''} {g.source.field}"
                for g in listed
            ],
            "Remark": [grid.note or "" for grid in listed],
        }
    )
    return html_table(frame, "The grids: yearly averages, unchanged from the meter's own data")
