"""Table B1: what inference took, per model, on FKTG (paper, Table B1), and the average power again."""

import pandas as pd

from helpers.figures.display import Figure, html_table
from helpers.figures.plots import tables as parts
from helpers.results.tables import Tables, select_sequential
from helpers.study.catalogue import model_title, study


def table_b1(tables: Tables) -> Figure:
    """Show Table B1 as printed, the average power recomputed from it, and what was measured."""
    printed = rows(tables.observations)
    return draw(recompute(printed, tables.results), measured_rows(tables.results))


def draw(recomputed: pd.DataFrame, measured: pd.DataFrame) -> Figure:
    """Lay out the printed rows, with the average power as `recompute` gives it, and the `measured_rows`."""
    agree, with_energy = recomputed["agrees"] == "yes", recomputed["energy_wh"].notna()
    body = html_table(
        _as_printed(recomputed), "As published, one Capella node, averages over 10 splits", _NUMBERS
    )
    body += parts.block(
        measured,
        "Measured, FKTG",
        "FKTG: not measured by us; its texts are not public as a file.",
        _HEADINGS,
    )
    return Figure(
        name="table_b1",
        label="Table B1",
        finding=(
            f"The printed average power follows from energy and duration for {(agree & with_energy).sum()} of the "
            f"{with_energy.sum()} models whose energy is printed; for the other {(~with_energy).sum()}, at 10 ms, the "
            "rounding of the duration alone allows powers that differ by a factor of three."
        ),
        note=(
            "Inference on 189 texts of FKTG. The last two columns are recomputed: the interval for the average "
            "power that the rounding of energy and duration allows (energies below 1 Wh from Figure 1), and whether the "
            "printed power is in it."
        ),
        data=pd.concat([recomputed, measured], ignore_index=True),
        function="helpers.figures.paper.table_b1.table_b1",
        body=body,
    )


def rows(observations: pd.DataFrame) -> pd.DataFrame:
    """Return the models of the printed table, one row each; `energy_wh_below` is the limit where it prints one."""
    printed = observations[(observations["source"] == "published") & (observations["origin"] == "table_b1")]
    values = printed.pivot(index="model", columns="quantity", values="value")
    limits = printed[printed["below"].notna()].set_index("model")["below"]
    values["energy_wh_below"] = limits.reindex(values.index)
    values["gpus"] = printed.groupby("model")["gpus"].first().astype("Int64")
    values["origin"] = "table_b1 figure_1"
    values["source"], values["dataset"] = "published", "fktg"
    return values.reindex([name for name in study().models if name in values.index]).reset_index()


def recompute(printed: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Add the average power that energy and duration give, 3600 x energy / duration, to `rows`.

    Columns `power_low_w` and `power_high_w`, the interval in W that the rounding of both allows, and `agrees`: whether
    the printed power lies in it. Where the table prints `<0.01` Wh, the energy comes from Figure 1.
    """
    runs = select_sequential(results)
    runs = runs[(runs["source"] == "published") & runs["origin"].str.contains("table_b1")]

    def bound(sign: int) -> pd.Series:
        energy = runs["energy_wh"] + sign * runs["energy_uncertainty_wh"]
        return 3600 * energy / (runs["duration_s"] - sign * runs["duration_uncertainty_s"])

    interval = pd.DataFrame({"model": runs["model"], "power_low_w": bound(-1), "power_high_w": bound(+1)})
    recomputed = printed.merge(interval, on="model")
    agree = recomputed["average_power_w"].between(recomputed["power_low_w"], recomputed["power_high_w"])
    return recomputed.assign(agrees=agree.map({True: "yes", False: "no"}))


def measured_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the measured rows of `results` on FKTG, with their average power in W."""
    runs = select_sequential(results)
    runs = runs[(runs["source"] != "published") & (runs["dataset"] == "fktg")]
    power = 3600 * runs["energy_wh"] / runs["duration_s"]
    return runs[_MEASURED].assign(average_power_w=power)


_NUMBERS = ("Energy (Wh)", "Accuracy", "Duration (s)", "Average power (W)", "Recomputed (W)")


def _as_printed(data: pd.DataFrame) -> pd.DataFrame:
    limit = data["energy_wh_below"].map("<{:.2f}".format)
    return pd.DataFrame(
        {
            "Model": data["model"].map(model_title),
            "GPUs": data["gpus"],
            "Energy (Wh)": data["energy_wh"].map("{:.2f}".format).where(data["energy_wh"].notna(), limit),
            "Accuracy": data["accuracy"].map("{:.2f}".format),
            "Duration (s)": data["duration_s"].map("{:.2f}".format),
            "Average power (W)": data["average_power_w"].map("{:.2f}".format),
            "Recomputed (W)": [
                f"{low:.2f} to {high:.2f}"
                for low, high in zip(data["power_low_w"], data["power_high_w"], strict=True)
            ],
            "Agrees": data["agrees"],
        }
    )


_MEASURED = [
    *("source", "dataset", "machine", "model", "gpus"),
    *("energy_wh", "energy_kind", "accuracy", "duration_s", "weights", "origin"),
]
_HEADINGS = {
    "source": "Campaign",
    "machine": "Machine",
    "model": "Model",
    "gpus": "GPUs",
    "energy_wh": "Energy (Wh)",
    "energy_kind": "Energy is",
    "accuracy": "Accuracy",
    "duration_s": "Duration (s)",
    "average_power_w": "Average power (W)",
}
