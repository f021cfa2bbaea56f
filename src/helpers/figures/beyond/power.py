"""What Figure 2 says about power: constants for CPU and memory, watts per GPU, other rules of accounting."""

import re
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from helpers.core import paths
from helpers.figures import style
from helpers.figures.beyond import power_claims, power_tables
from helpers.figures.display import Figure, Panel
from helpers.figures.plots import dots
from helpers.figures.plots import tables as parts
from helpers.figures.plots.measured_runs import METHODS
from helpers.figures.plots.scatter import sorted_by_study
from helpers.results.tables import Tables, select_sequential
from helpers.statistics import power
from helpers.statistics.power import Constants, RankChange
from helpers.study.catalogue import machine_title, model_title, study
from helpers.study.literature import OTHER_STUDIES

CONSTANT_P = 0.05
"""Below this probability the powers of a component are not called one constant."""


def power_decomposition(tables: Tables) -> Figure:
    """Read the powers behind Figure 2, and count the energies again under other rules.

    CPU and memory: energy of Figure 2 over duration of Table B1. GPUs: what the constants leave of the average
    power, in all single-node runs on Capella. Rules: CodeCarbon 3's memory rule, and the GPU alone.
    """
    constants = power.constants(tables.observations, tables.results)
    runs = power.under_rules(tables.results, constants, study().machines["capella"].ram_gb)
    return draw(
        rows(tables),
        constants,
        power.gpu_power(tables.results, constants),
        runs,
        power_claims.compare(tables, runs),
        tables,
    )


def rows(tables: Tables) -> pd.DataFrame:
    """Return the powers of CPU and memory behind Figure 2, in W, one row per model and component.

    Columns: those of `helpers.statistics.power.component_power`, and `quantity`, which is `cpu_w` or `ram_w`.
    """
    return pd.concat(
        [
            power.component_power(tables.observations, tables.results, name).assign(quantity=f"{name}_w")
            for name in ("cpu", "ram")
        ]
    )


def draw(
    read: pd.DataFrame,
    constants: Constants,
    per_gpu: pd.DataFrame,
    runs: pd.DataFrame,
    compared: pd.DataFrame,
    tables: Tables,
) -> Figure:
    """Draw the powers, and our runs beside them, with tables of what other rules of accounting change.

    `read` are `rows`; `constants`, `per_gpu` and `runs` come from `constants`, `gpu_power` and `under_rules` of
    `helpers.statistics.power`, and `compared` from `power_claims.compare`.
    """
    minimal = runs.sort_values("gpus", kind="stable").drop_duplicates("model").set_index("model")
    change = power.rank_change(minimal["total"], minimal["gpu_inferred"])
    comparable = select_sequential(tables.results)
    measured = power.measured_under_rules(comparable)
    data = _data(read, per_gpu, runs, measured)
    return Figure(
        name="power_decomposition",
        label="Power behind Figure 2",
        finding=_finding(constants, change, runs),
        note=(
            "This is our reading of Figure 2, not a statement of the paper. A power that is the same for every model is "
            "probably a constant of the software, that is, an estimate; if so, only the GPU's part was measured. Results that "
            "subtract it are inferred. Another study's public files contain the same CPU power and the same rule "
            "for memory. Whiskers are bounds (about 95 %) of reading the figure."
        ),
        data=data,
        function="helpers.figures.beyond.power.power_decomposition",
        panels=[
            _constants_panel(read, constants),
            _gpu_panel(per_gpu),
            *(
                _measured_panel(campaign)
                for source, campaign in comparable.groupby("source")
                if source != "published"
            ),
        ],
        body=power_tables.body(constants, runs, minimal, measured) + power_claims.table(compared),
        inputs=parts.inputs(data["origin"], [paths.relative(OTHER_STUDIES)]),
    )


def _data(
    read: pd.DataFrame, per_gpu: pd.DataFrame, runs: pd.DataFrame, measured: pd.DataFrame
) -> pd.DataFrame:
    """Return powers and energies under all rules, one row each."""
    return pd.concat(
        [
            read.rename(columns={"power_w": "value_w"}).assign(source="published"),
            per_gpu.drop(columns=["duration_s", "energy_wh"])
            .rename(columns={"power_w": "value_w"})
            .assign(source="published", quantity="w_per_gpu_inferred"),
            sorted_by_study(runs)
            .rename(columns={rule: f"{rule}_wh" for rule in power.RULES})
            .assign(quantity="energy"),
            measured.rename(columns={r: f"{r}_wh" for r in power.MEASURED_RULES}).assign(quantity="energy"),
        ],
        ignore_index=True,
    )


def _finding(constants: Constants, change: RankChange, runs: pd.DataFrame) -> str:
    cpu = constants.cpu
    powers = (
        f"Figure 2 gives the CPU the same {cpu.mean_w:.1f} W for every model, within the error of reading, like a fixed "
        "estimate"
        if (cpu.p_value or 0) >= CONSTANT_P
        else "The CPU power in Figure 2 differs between models by more than the error of reading"
    )
    falls = [len(power_tables.falling(runs, rule)) for rule in ("total", "gpu_inferred")]
    steps = f"the number of steps to more GPUs that save energy changes from {falls[0]} to {falls[1]}"
    pairs = change.models * (change.models - 1) // 2
    ranks = (
        f"{len(change.swapped)} of {pairs} pairs of models swap ranks"
        if change.swapped
        else "no model changes its rank"
    )
    return f"{powers}; counting the GPU alone, {ranks} and {steps}."


def _canvas(models: Sequence[str], title: str) -> go.Figure:
    """Return an empty plot with one line per model, in the study's order from the top."""
    figure = go.Figure()
    style.layout(figure, height=100 + 32 * len(set(models)))
    dots.model_axis(figure, set(models))
    figure.update_xaxes(title=title, rangemode="tozero")
    return figure


def _constants_panel(read: pd.DataFrame, constants: Constants) -> Panel:
    figure = _canvas(list(read["model"]), "Power (W)")
    ram_llm_w, ram_traditional_w = constants.ram_llm.mean_w, constants.ram_traditional.mean_w
    is_llm = dict(zip(read["model"], read["family"] != "Traditional", strict=True))
    models = [name for name in study().models if name in is_llm]
    traditional = [model_title(name) for name in models if not is_llm[name]]
    llms = [model_title(name) for name in models if is_llm[name]]
    spans = [
        ("cpu", constants.cpu.mean_w, [*traditional, *llms]),
        ("ram", ram_traditional_w, traditional),
        ("ram", ram_llm_w, llms),
    ]
    for component, watts, titles in spans:
        figure.add_trace(_line(component, watts, titles))
    for component, symbol in (("cpu", "circle-open"), ("ram", "square-open")):
        rows = read[read["quantity"] == f"{component}_w"]
        look = style.COMPONENTS[component]
        figure.add_trace(
            _points(rows, rows["power_w"], rows["bound_w"], look, symbol, f"{look.title}, published")
        )
    return Panel(
        name="constants",
        title="CPU and memory: lines are the weighted means",
        note=(
            f"FKTG, one Capella node. CodeCarbon's value for a CPU it does not know is {power.CPU_FALLBACK_W:g} W; "
            f"{ram_llm_w:.1f} W and {ram_traditional_w:.1f} W of memory are "
            f"{power.implied_gb(ram_llm_w):.0f} GB and {power.implied_gb(ram_traditional_w):.0f} GB at "
            "0.375 W/GB. Models without embeddings have no visible bar."
        ),
        figure=figure,
        alt=(
            f"CPU power of {len(llms) + len(traditional)} models around {constants.cpu.mean_w:.1f} W; memory power around "
            f"{ram_llm_w:.0f} W for LLMs and {ram_traditional_w:.0f} W for embedding models."
        ),
        wide=True,
    )


def _line(component: str, watts: float, titles: Sequence[str]) -> go.Scatter:
    look = style.COMPONENTS[component]
    return go.Scatter(
        x=[watts] * len(titles),
        y=list(titles),
        mode="lines",
        line={"color": look.light, "width": 1.5},
        showlegend=False,
        hoverinfo="skip",
        meta=style.themed(look.light, look.dark),
    )


def _points(
    rows: pd.DataFrame,
    values: pd.Series,
    bounds: pd.Series,
    look: style.ComponentStyle | style.FamilyStyle,
    symbol: str | Sequence[str],
    name: str,
    numbered: bool = False,
) -> go.Scatter:
    """Return marks with whiskers; `numbered` ones grow with the GPUs and, on a wide plot, have their number above."""
    titles = rows["model"].map(model_title)
    labels = pd.DataFrame({"text": rows["gpus"].astype(str), "place": "top center"})
    is_open = isinstance(symbol, str) and symbol.endswith("-open")
    return go.Scatter(
        x=values,
        y=titles,
        mode="markers+text" if numbered else "markers",
        name=name,
        text=labels["text"] if numbered else None,
        textposition="top center",
        textfont={"color": look.light, "size": style.FONT_SIZE - 3},
        marker={
            "symbol": symbol,
            "size": [5 + 2 * gpus for gpus in rows["gpus"]] if numbered else 10,
            "opacity": 1,
            "color": look.light,
            "line": {"width": 1.5 if is_open else 1, "color": look.light if is_open else style.PAPER},
        },
        error_x={"array": bounds, "thickness": 1, "width": 0, "color": look.light},
        hovertext=[
            f"<b>{title}</b><br>{name}: {value:.1f} ± {bound:.1f} W<br>GPUs: {gpus}<br>source: {origin}"
            for title, value, bound, gpus, origin in zip(
                titles, values, bounds, rows["gpus"], rows["origin"], strict=True
            )
        ],
        hoverinfo="text",
        cliponaxis=False,
        meta=style.themed(
            look.light,
            look.dark,
            not is_open,
            labels if numbered else None,
            labels.assign(text="") if numbered else None,
        ),
    )


def _gpu_panel(per_gpu: pd.DataFrame) -> Panel:
    figure = _canvas(list(per_gpu["model"]), "Power per GPU (W)")
    for family, look in style.FAMILIES.items():
        rows = per_gpu[per_gpu["family"] == family]
        if len(rows):
            symbol, name = f"{look.symbol}-open", f"{look.title}, published"
            figure.add_trace(
                _points(rows, rows["power_w"], rows["bound_w"], look, symbol, name, numbered=True)
            )
    steps = per_gpu.sort_values("gpus").groupby("model")["power_w"].diff().dropna()
    most = study().machines["capella"].gpu_max_power_w
    trend = f"Each GPU draws less in {(steps < 0).sum()} of {len(steps)} steps to more GPUs"
    return Panel(
        name="gpus",
        title=trend,
        note=(
            "FKTG, one Capella node; the larger the mark, the more GPUs (1, 2 or 4). Average power minus the constants, "
            f"divided by the number of GPUs; an H100 draws at most {most:.0f} W. For the runs on 4 GPUs, which Figure 2 does not "
            "show, we assume the same memory."
        ),
        figure=figure,
        alt=f"{trend}; power per H100 from {per_gpu['power_w'].min():.0f} W to {per_gpu['power_w'].max():.0f} W.",
        wide=True,
    )


_MEASURED = {"cpu": "circle", "gpu": "diamond", "ram": "square"}


def _measured_panel(rows: pd.DataFrame) -> Panel:
    source = str(rows["source"].iloc[0])
    figure = _canvas(list(rows["model"]), "Power (W)")
    methods, drawn = [], []
    for component, symbol in _MEASURED.items():
        measured = rows[rows[f"{component}_wh"].notna()]
        look = style.COMPONENTS[component]
        how = sorted({METHODS[method] for method in rows[f"{component}_method"]})
        methods.append(f"{look.title} {' or '.join(how)}")
        if measured.empty:
            continue
        watts = 3600 * measured[f"{component}_wh"] / measured["duration_s"]
        drawn.append(f"{look.title} {watts.min():.3g} to {watts.max():.3g} W")
        estimated = measured[f"{component}_method"].str.startswith("estimated")
        symbols = [f"{symbol}-x" if by_rule else symbol for by_rule in estimated]
        figure.add_trace(_points(measured, watts, 0 * watts, look, symbols, look.title))
    return Panel(
        name=f"measured-{re.sub('[^a-z0-9]+', '-', source)}",
        title=f"Our runs: {source}",
        note=f"{machine_title(rows['machine'].iloc[0])}; one mark per dataset; a cross where the power is "
        f"estimated. {'; '.join(methods)}.",
        figure=figure,
        alt=f"Power in the runs of {source}: {'; '.join(drawn)}. Methods: {'; '.join(methods)}.",
        wide=True,
    )
