"""Table B3: three GPU cards compared (paper, Table B3), and which runs its H100 columns are."""

from collections.abc import Iterator

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import tables as parts
from helpers.figures.plots.remarks import short_answers_caveat
from helpers.results.tables import Tables
from helpers.study.catalogue import model_title

_VALUES = ("duration_s", "energy_wh")
SAME = 0.01
"""Relative difference in duration and energy up to which two published values are the same run: the figures
were read to 0.7 % (data/published/README.md)."""


def table_b3(tables: Tables) -> Figure:
    """Show Table B3 with the GPU counts that it leaves out, and compare its H100 columns with other runs.

    The counts were inferred (data/published/inferred_b3_gpu_counts.csv). Independently of them, each H100
    run is compared with the runs that Table B1 and the figures give with their GPU counts.
    """
    printed = rows(tables)
    repeated = same_runs(printed, tables.observations)
    return draw(printed, repeated, measured_rows(printed, tables.results), tables)


def draw(printed: pd.DataFrame, repeated: pd.DataFrame, measured: pd.DataFrame, tables: Tables) -> Figure:
    """Lay out the printed `rows` with the `same_runs` that the H100 columns repeat, and the `measured_rows`."""
    body = html_table(
        _as_printed(printed, repeated),
        "As published, FKTG, one node, averages over 10 splits",
        _numbers(printed),
    )
    body += parts.remarks([*_against_b1(repeated), *_least_energy(printed)])
    body += parts.block(
        measured, "Measured, FKTG", "FKTG: not measured by us; its texts are not public as a file."
    )
    columns = ["source", *[name for name in parts.MEASURED if name != "source"], "origin"]
    return Figure(
        name="table_b3",
        label="Table B3",
        finding=_finding(repeated),
        note=(
            "Inference on 189 texts of FKTG, energy and duration by GPU card. "
            f"{short_answers_caveat(tables.results)}The table prints no number of GPUs: the "
            "counts shown are inferred. The last columns name the run of Table B1 or of a figure whose duration "
            f"and energy equal those of the H100 columns, to within {100 * SAME:.0f} %."
        ),
        data=pd.concat(
            [printed.merge(repeated, on="model", how="left"), measured[columns]], ignore_index=True
        ),
        function="helpers.figures.paper.table_b3.table_b3",
        body=body,
        inputs=[
            *parts.inputs(
                printed["origin"], repeated["run_origin"].dropna(), ["table_b1"], measured["origin"]
            ),
            "data/study/gpus.yaml",
        ],
    )


def rows(tables: Tables) -> pd.DataFrame:
    """Return one row per model and machine: values as printed, GPU counts as inferred."""
    seen = tables.observations[tables.observations["origin"] == "table_b3"]
    values = seen.pivot(index=["model", "machine"], columns="quantity", values="value").reset_index()
    printed = tables.printed["table_b3"][["model", "machine", "gpu_model"]]
    gpus = seen[["model", "machine", "gpus", "gpus_origin"]].drop_duplicates()
    runs = printed.merge(values, on=["model", "machine"]).merge(gpus, on=["model", "machine"])
    return runs.assign(source="published", dataset="fktg", origin="table_b3 inferred_b3_gpu_counts")


def measured_rows(printed: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Return the measured rows of `results` of the printed models on FKTG."""
    return parts.measured(results, ["fktg"], list(printed["model"].unique()))


def same_runs(printed: pd.DataFrame, observations: pd.DataFrame) -> pd.DataFrame:
    """Return for each model the published run on Capella whose duration and energy the H100 columns repeat.

    Columns: `run_gpus` and `run_origin` of that run (absent where none is the same), `b1_gpus` and the
    relative differences `b1_duration` and `b1_energy` from Table B1, H100 columns to B1.
    """
    seen = observations[
        (observations["dataset"] == "fktg")
        & (observations["machine"] == "capella")
        & (observations["nodes"] == 1)
        & ~observations["origin"].isin(["table_b3", "figure_5"])
        & observations["quantity"].isin(_VALUES)
        & observations["value"].notna()
    ]
    runs = (
        seen.pivot(index=["model", "gpus", "origin"], columns="quantity", values="value")
        .dropna()
        .reset_index()
    )
    h100 = printed[printed["machine"] == "capella"]
    compared = runs.merge(h100[["model", *_VALUES]], on="model", suffixes=("", "_b3"))
    for value in _VALUES:
        compared[f"{value}_off"] = compared[f"{value}_b3"] / compared[value] - 1
    compared["off"] = compared[[f"{value}_off" for value in _VALUES]].abs().max(axis=1)
    same = compared[compared["off"] <= SAME].sort_values("off").drop_duplicates("model").set_index("model")
    b1 = compared[compared["origin"] == "table_b1"].set_index("model")
    models = list(h100["model"])
    return pd.DataFrame(
        {
            "model": models,
            "run_gpus": list(same["gpus"].reindex(models).astype("Int64")),
            "run_origin": list(same["origin"].reindex(models)),
            "b1_gpus": list(b1["gpus"].reindex(models).astype("Int64")),
            "b1_duration": list(b1["duration_s_off"].reindex(models)),
            "b1_energy": list(b1["energy_wh_off"].reindex(models)),
        }
    )


def _differs(repeated: pd.DataFrame) -> "pd.Series[bool]":
    return repeated[["b1_duration", "b1_energy"]].abs().max(axis=1) > SAME


def _finding(repeated: pd.DataFrame) -> str:
    other = repeated[_differs(repeated)]
    if other.empty:
        return f"The H100 columns repeat the runs of Table B1 for all {len(repeated)} models."
    return (
        f"For {len(other)} of {len(repeated)} models the H100 columns are not the runs of Table B1, and the paper does not say "
        f"that they are: {parts.titles(other['model'])}."
    )


def _against_b1(repeated: pd.DataFrame) -> Iterator[str]:
    for _, row in repeated[_differs(repeated)].iterrows():
        instead = (
            f"The values are those of the run on {units.counted(row['run_gpus'], 'GPU')} in {_named(row['run_origin'])}."
            if pd.notna(row["run_origin"])
            else "No other published run has these values."
        )
        yield (
            f"{model_title(row['model'])}: duration {100 * row['b1_duration']:+.0f} % and energy {100 * row['b1_energy']:+.0f} % "
            f"against Table B1 ({units.counted(row['b1_gpus'], 'GPU')}). {instead}"
        )


def _least_energy(rows: pd.DataFrame) -> Iterator[str]:
    least = rows.loc[rows.groupby("model", sort=False)["energy_wh"].idxmin()]
    cards = [
        f"the {card} for {parts.titles(part['model'])}"
        for card, part in least.groupby("gpu_model", sort=False)
    ]
    yield f"The card with the least energy is {'; '.join(cards)}."


def _named(origin: str) -> str:
    kind, _, number = origin.partition("_")
    return f"{kind.capitalize()} {number.upper()}"


def _numbers(rows: pd.DataFrame) -> list[str]:
    cards = rows["gpu_model"].unique()
    return [f"{card} ({unit})" for card in cards for unit in ("s", "Wh")] + ["GPUs, H100", "GPUs, others"]


def _as_printed(printed: pd.DataFrame, repeated: pd.DataFrame) -> pd.DataFrame:
    models = list(printed["model"].unique())
    by_card = {
        str(card): part.set_index("model").reindex(models)
        for card, part in printed.groupby("gpu_model", sort=False)
    }
    table = pd.DataFrame({"Model": [model_title(name) for name in models]})
    for value, unit in zip(_VALUES, ("s", "Wh"), strict=True):
        for card, part in by_card.items():
            table[f"{card} ({unit})"] = list(part[value].map("{:.2f}".format))
    h100 = printed[printed["machine"] == "capella"].set_index("model")["gpus"]
    others = printed[printed["machine"] != "capella"].groupby("model")["gpus"].first()
    table["GPUs, H100"] = list(h100.reindex(models).astype("Int64"))
    table["GPUs, others"] = list(others.reindex(models).astype("Int64"))
    same = repeated.set_index("model").reindex(models)
    table["H100 is the run of"] = [
        f"{_named(name)}, {units.counted(gpus, 'GPU')}" if pd.notna(name) else None
        for name, gpus in zip(same["run_origin"], same["run_gpus"], strict=True)
    ]
    table["Same as in Table B1"] = list(_differs(same).map({True: "no", False: "yes"}))
    return table
