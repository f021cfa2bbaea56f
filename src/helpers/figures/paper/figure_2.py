"""Figure 2: energy by component, CPU, GPU and memory, per model (paper, Figure 2 and section 4.1)."""

from dataclasses import replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Figure, Panel
from helpers.figures.plots import bars
from helpers.figures.plots.measured_runs import METHODS
from helpers.results.tables import Tables, select_sequential
from helpers.results.weights import run_title, run_titles, short_title
from helpers.statistics import power, selection
from helpers.study.catalogue import TraditionalModel, machine_title, model_title, study

_RUN = ["model", "dataset", "machine", "gpus", "nodes"]
_STACK = ("gpu", "ram", "cpu")
"""From the axis outwards: what was measured begins at zero."""
_NAMED_PERCENT = 7
"""A smaller share has no room for its number."""
_PUBLISHED = {"cpu": "probably estimated", "gpu": "measured", "ram": "estimated"}
"""Section 3.3: the GPU by NVML, memory by a rule. The CPU should come from RAPL, but its power is constant."""


def figure_2(tables: Tables) -> Figure:
    """Draw the energy by component: the published runs by family, as in print, and every campaign.

    A component that was estimated, or probably was, is hatched.
    """
    return draw(components(rows(tables), tables.observations), cpu_power(tables))


def draw(parts: pd.DataFrame, powers: pd.DataFrame) -> Figure:
    """Draw the `components`; the note and the finding say what the `cpu_power` of the published runs comes to."""
    published, measured = (parts[(parts["source"] == "published") == yes] for yes in (True, False))
    constant = _cpu_constant(powers)
    finding = _finding(published, constant is not None)
    return Figure(
        name="figure_2_components",
        label="Figure 2",
        finding=finding,
        note=(
            "Energy of one pass over the test set. Pale with an outline: published (one Capella node, FKTG, read off "
            "the figure to about half a pixel; the total behind a bar is from Table B1 or Figure 1). Filled: our "
            "runs. Hatched: estimated, not measured. Of the published parts, the GPU was measured by NVML and memory "
            f"is computed by a rule (section 3.3). {_about_cpu(constant)}"
        ),
        data=parts,
        function="helpers.figures.paper.figure_2.figure_2",
        panels=[
            *_shares(published, finding),
            *_published_panels(published, finding),
            *_measured_panels(measured),
        ],
    )


def rows(tables: Tables) -> pd.DataFrame:
    """Return the published rows of `results` that the printed Figure 2 shows, and all measured ones."""
    results = select_sequential(tables.results)
    printed = tables.printed["figure_2"][_RUN].drop_duplicates()
    keys = pd.MultiIndex.from_frame(results[_RUN])
    in_print = (results["source"] == "published") & keys.isin(pd.MultiIndex.from_frame(printed))
    runs = results[in_print | (results["source"] != "published")]
    return bars.in_order(runs.assign(_dataset=runs["dataset"].map(list(study().datasets).index)), "_dataset")


def components(runs: pd.DataFrame, observations: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run of `rows` and component, `cpu`, `gpu` or `ram`.

    Columns: the run, `component`, `energy_wh` (null where the print shows no bar or nothing was measured),
    `energy_uncertainty_wh` (reading), `method`, `share` of the sum of the components, `power_w`,
    `total_wh` (of the run, from wherever it is known best) and `origin`.
    """
    read = observations[observations["origin"] == "figure_2"]
    bounds = read.set_index([*_RUN, "quantity"])["uncertainty"].to_dict()
    parts = [_component(run, name, bounds) for _, run in runs.iterrows() for name in _STACK]
    return pd.DataFrame(parts, columns=_COLUMNS)


_COLUMNS = [
    *(
        "source",
        "dataset",
        "machine",
        "model",
        "family",
        "gpus",
        "weights",
        "component",
        "method",
    ),
    *("energy_wh", "energy_uncertainty_wh", "share", "power_w", "total_wh", "origin"),
]


def _component(run: "pd.Series[Any]", name: str, bounds: dict[Any, float]) -> dict[str, Any]:
    energy = run[f"{name}_wh"]
    share = selection.shares({part: run[f"{part}_wh"] for part in _STACK})[name]
    published = run["source"] == "published"
    columns = ("source", "dataset", "machine", "model", "family", "gpus", "weights", "origin")
    return {
        **{column: run[column] for column in columns},
        "component": name,
        "method": _PUBLISHED[name] if published else run[f"{name}_method"],
        "energy_wh": energy,
        "energy_uncertainty_wh": bounds.get((*run[_RUN], f"{name}_wh")) if published else None,
        "share": share,
        "power_w": 3600 * energy / run["duration_s"],
        "total_wh": run["energy_wh"],
    }


def _finding(published: pd.DataFrame, cpu_estimated: bool) -> str:
    shares = published.pivot_table(index="model", columns="component", values="share")
    if shares.empty:
        return "No published energy by component."
    gpu, largest = shares["gpu"], int((shares.idxmax(axis="columns") == "gpu").sum())
    rest = (
        "CPU and memory were probably estimated, not measured"
        if cpu_estimated
        else "CPU and memory were partly estimated, not measured"
    )
    return (
        f"The GPU uses the largest part for {bars.share(largest, len(shares))} models whose bars can be read, "
        f"{100 * gpu.min():.0f} to {100 * gpu.max():.0f} % of the energy; {rest}."
    )


def cpu_power(tables: Tables) -> pd.DataFrame:
    """Return the mean CPU power of each published run, `power_w`, with the bound of its reading, `bound_w`, in W."""
    return power.component_power(tables.observations, tables.results, "cpu")


def _cpu_constant(powers: pd.DataFrame) -> power.Constant | None:
    """Return the CPU power in W of the published runs if it is the same for all, within the reading."""
    if powers.empty:
        return None
    constant = power.constant_of(powers)
    return constant if ((powers["power_w"] - constant.mean_w).abs() <= powers["bound_w"]).all() else None


def _about_cpu(constant: power.Constant | None) -> str:
    if constant is None:
        return "How the CPU energy was obtained is not known."
    return (
        f"CPU energy divided by duration is {constant.mean_w:.1f} W for all of them within the error of reading, and CodeCarbon "
        f"assumes {power.CPU_FALLBACK_W:.1f} W for a CPU that it does not know: CPU energy was probably estimated, "
        "too. That is our inference, not a statement of the paper."
    )


def _shares(published: pd.DataFrame, alt: str) -> list[Panel]:
    """Draw the share of each component in the energy of the published runs, which the finding is about."""
    read = published[published["share"].notna()]
    order = {family: number for number, family in enumerate(style.FAMILIES)}
    runs = read.drop_duplicates("model").sort_values(
        "family", key=lambda names: names.map(order), kind="stable"
    )
    if runs.empty:
        return []
    fig = go.Figure()
    slots = bars.slots([style.FAMILIES[family].title for family in runs["family"]])
    bars.axes(fig, slots, list(run_titles(runs)), 100.0, "Share", lambda value, _: f"{value:g}{units.THIN}%")
    fig.update_xaxes(range=[0, 100], tickvals=[0, 25, 50, 75, 100], ticktext=["0", "25", "50", "75", "100"])
    fig.update_xaxes(title="Share (%)")
    fig.update_layout(margin={"r": 24})  # the last number stands at the edge
    fig.update_layout(barmode="stack", showlegend=True, legend={"traceorder": "normal"})
    place = dict(zip(runs["model"], slots.bars, strict=True))
    for name in _STACK:
        part = read[read["component"] == name]
        percent = 100 * part["share"].astype(float)
        trace = bars.bar(
            list(part["model"].map(place)),
            list(percent),
            style.COMPONENTS[name],
            False,
            ["estimated" in method for method in part["method"]],
            [_hover(row, style.COMPONENTS[name]) for _, row in part.iterrows()],
        )
        labelled = [f"{value:.0f}{units.THIN}%" if value > _NAMED_PERCENT else "" for value in percent]
        fig.add_trace(
            trace.update(
                showlegend=True, text=labelled, textposition="inside", insidetextanchor="middle", textangle=0
            )
        )
    lacking = [model_title(name) for name in published["model"].unique() if name not in place]
    missing = f" Without a bar in print: {', '.join(lacking)}." if lacking else ""
    return [
        Panel(
            name="published-shares",
            title="Share of each component",
            note=f"Published, FKTG on one Capella node.{missing}",
            figure=fig,
            alt=f"Shares of GPU, memory and CPU in the energy. {alt}",
            wide=True,
        )
    ]


def _published_panels(rows: pd.DataFrame, finding: str) -> list[Panel]:
    panels = []
    for family, look in style.FAMILIES.items():
        part = rows[rows["family"] == family]
        names = [model_title(name) for name in part["model"].unique()]
        note = "Published, FKTG on one Capella node." if len(part) else "Nothing published."
        panel = _panel(f"published-{family}", look.title, note, part, [""] * len(names), names, finding)
        panels.append(replace(panel, wide=family == "Deepseek"))  # the third of three: a row of its own
    return panels


def _measured_panels(rows: pd.DataFrame) -> list[Panel]:
    """Draw each campaign by family, the traditional models with and without embedding apart: decades lie between."""
    if rows.empty:
        return [_panel("measured", "Our runs", "", rows, [], [], "")]
    panels = []
    named = rows.assign(group=rows["model"].map(_group))
    for key, part in named.groupby(["source", "machine", "group"], sort=False):
        source, machine, group = (str(value) for value in key)
        runs = part.drop_duplicates(["model", "dataset", "origin"])
        headers = list(run_titles(runs).map(short_title))
        names = [study().datasets[name].title for name in runs["dataset"]]
        note = f"On {machine_title(machine)}: {_methods(part)}."
        panel = _panel(f"{source}-{machine}-{group}", f"{source}: {group}", note, part, headers, names, "")
        served = bool((part["family"] != "Traditional").all())
        panels.append(replace(panel, wide=served))  # names of weights are long
    return panels


def _group(model: str) -> str:
    entry = study().models[model]
    if not isinstance(entry, TraditionalModel):
        return style.FAMILIES[entry.family].title
    return (
        "Traditional, with embedding" if entry.features == "embedding" else "Traditional, without embedding"
    )


def _methods(rows: pd.DataFrame) -> str:
    """Say how each component was got; usually the same way in a whole campaign."""
    without_gpu = bool((rows["gpus"] == 0).all())
    parts = ["no GPU used"] if without_gpu else []
    for name, title in (("cpu", "CPU"), ("gpu", "GPU"), ("ram", "memory")):
        methods = rows.loc[rows["component"] == name, "method"].unique()
        if name != "gpu" or not without_gpu:
            parts.append(f"{title} {' or '.join(METHODS[method] for method in methods)}")
    return ", ".join(parts)


def _panel(
    name: str, title: str, note: str, rows: pd.DataFrame, headers: list[str], names: list[str], alt: str
) -> Panel:
    fig = go.Figure()
    if rows.empty:
        style.layout(fig, height=200)
        style.not_measured(fig)
    else:
        _draw(fig, rows, headers, names)
    return Panel(
        name=name.lower().replace(" ", "-").replace(",", "").replace("(", "").replace(")", ""),
        title=title,
        note=note,
        figure=fig,
        alt=f"{title}, energy by component. {alt or _alt(rows)}",
    )


def _alt(rows: pd.DataFrame) -> str:
    gpu = rows.loc[(rows["component"] == "gpu") & rows["share"].notna(), "share"]
    if rows.empty:
        return f"Our runs: {style.NOT_MEASURED}."
    if gpu.empty:
        return "CPU and memory only, both estimated or computed by a rule; no GPU energy."
    return f"The GPU uses {100 * gpu.min():.0f} to {100 * gpu.max():.0f} % of the energy."


def _draw(fig: go.Figure, rows: pd.DataFrame, headers: list[str], names: list[str]) -> None:
    slots = bars.slots(headers)
    filled = bool((rows["source"] != "published").any())
    totals = rows.loc[rows["component"] == _STACK[0], "total_wh"].astype(float)
    sums = rows.groupby(["model", "dataset", "origin"], sort=False)["energy_wh"].sum()
    top = max(totals.fillna(0).max(), sums.max())
    if not top > 0:
        style.layout(fig, height=200)
        style.not_measured(fig)
        return
    bars.axes(fig, slots, names, float(top), "Energy", units.energy)
    room = 24  # the legend, below the mode bar
    fig.update_layout(
        barmode="stack",
        showlegend=True,
        legend={"traceorder": "normal", "xref": "container", "yref": "container"}
        | {"x": 0, "y": 1, "xanchor": "left", "yanchor": "top"},
        margin_t=fig.layout.margin.t + room,
        height=fig.layout.height + room,
    )
    for name in _STACK:
        part = rows[rows["component"] == name].assign(_y=slots.bars)
        fig.add_trace(_stacked(part, style.COMPONENTS[name], filled))
    fig.add_trace(_labels(slots.bars, rows, totals))


def _stacked(rows: pd.DataFrame, look: style.ComponentStyle, filled: bool) -> go.Bar:
    trace = bars.bar(
        list(rows["_y"]),
        list(rows["energy_wh"]),
        look,
        filled,
        ["estimated" in method for method in rows["method"]],
        [_hover(row, look) for _, row in rows.iterrows()],
    )
    has_bars = bool(rows["energy_wh"].notna().any())
    spread = list(rows["energy_uncertainty_wh"].astype(float).fillna(0))
    return trace.update(
        showlegend=has_bars, error_x={"array": spread, "thickness": 1, "width": 0, "color": style.TEXT}
    )


def _labels(y: list[float], rows: pd.DataFrame, totals: pd.Series) -> go.Scatter:
    """Write the total behind each bar; a run without a bar has it, too."""
    drawn = rows.groupby(["model", "dataset", "origin"], sort=False)["energy_wh"].sum(min_count=1)
    texts = [
        f"{units.THIN}{units.energy(total, 3)}{'' if pd.notna(bar) else ' (no bar)'}"
        for total, bar in zip(totals, drawn, strict=True)
    ]
    return go.Scatter(
        x=totals.fillna(0),
        y=y,
        mode="text",
        text=texts,
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )


def _hover(row: "pd.Series[Any]", look: style.ComponentStyle) -> str:
    energy, bound = row["energy_wh"], row["energy_uncertainty_wh"]
    how = METHODS.get(row["method"], row["method"])
    plus = f" ± {units.energy(bound, 2)}" if pd.notna(bound) else ""
    lines = [
        f"<b>{run_title(row)}</b>, {row['dataset']}",
        f"{look.title}: {units.energy(energy, 3)}{plus}, {how}",
    ]
    if pd.notna(energy):
        lines.append(
            f"{100 * row['share']:.0f} % of the energy, {units.significant(row['power_w'], 3)} W on average"
        )
    return "<br>".join([*lines, f"source: {row['origin']}"])
