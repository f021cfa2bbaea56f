"""Table B1: what inference took, per model, on FKTG (paper, Table B1), and the average power again."""

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, html_table
from helpers.results.tables import Tables, select_sequential
from helpers.study.catalogue import model_title, study


def table_b1(tables: Tables) -> Figure:
    """Show Table B1 as printed, the average power recomputed from it, and what was measured.

    Average power is 3600 x energy / duration, in W; where the table prints `<0.01` Wh, the energy comes
    from Figure 1. A recomputed power is given as the interval that the rounding of both allows.
    """
    results = select_sequential(tables.results)
    printed = _printed(tables.observations)
    energies = results[(results["source"] == "published") & results["origin"].str.contains("table_b1")]
    data = printed.merge(_power(energies), on="model")
    agree = (data["power_low_w"] <= data["average_power_w"]) & (
        data["average_power_w"] <= data["power_high_w"]
    )
    told = data["energy_wh"].notna()
    data["agrees"] = agree.map({True: "yes", False: "no"})
    measured = _measured(results, "fktg")
    sample = _measured(results, "fktg-sample")
    body = html_table(_shown(data), "As published, one Capella node, averages over 10 splits", _NUMBERS)
    body += _block(
        measured, "Measured, FKTG", "FKTG: not measured on this machine; its texts are not public as a file."
    )
    body += _block(
        sample,
        "Measured, synthetic sample (invented texts, not comparable)",
        "Synthetic sample: not measured yet.",
    )
    return Figure(
        name="table_b1",
        label="Table B1",
        finding=(
            f"The printed average power follows from energy and duration for {(agree & told).sum()} of the {told.sum()} "
            f"models whose energy is printed; for the other {(~told).sum()}, at 10 ms, almost any power would."
        ),
        note=(
            "Inference on 189 texts of FKTG. The last two columns are recomputed: the interval for the average "
            "power that the rounding of energy and duration leaves open (energies below 1 Wh from Figure 1), and whether the "
            "printed one lies in it."
        ),
        data=pd.concat([data, measured, sample], ignore_index=True),
        function="helpers.figures.paper.table_b1.table_b1",
        body=body,
    )


def _printed(observations: pd.DataFrame) -> pd.DataFrame:
    rows = observations[(observations["source"] == "published") & (observations["origin"] == "table_b1")]
    values = rows.pivot(index="model", columns="quantity", values="value")
    limits = rows[rows["below"].notna()].set_index("model")["below"]
    values["energy_wh_below"] = limits.reindex(values.index)
    values["gpus"] = rows.groupby("model")["gpus"].first().astype("Int64")
    values["origin"] = "table_b1 figure_1"
    values["source"], values["dataset"], values["synthetic"] = "published", "fktg", False
    return values.reindex([name for name in study().models if name in values.index]).reset_index()


def _power(results: pd.DataFrame) -> pd.DataFrame:
    def bound(sign: int) -> pd.Series:
        energy = results["energy_wh"] + sign * results["energy_uncertainty_wh"]
        return 3600 * energy / (results["duration_s"] - sign * results["duration_uncertainty_s"])

    return pd.DataFrame({"model": results["model"], "power_low_w": bound(-1), "power_high_w": bound(+1)})


def _measured(results: pd.DataFrame, dataset: str) -> pd.DataFrame:
    rows = results[(results["source"] != "published") & (results["dataset"] == dataset)]
    columns = [
        "source",
        "dataset",
        "synthetic",
        "machine",
        "model",
        "gpus",
        "energy_wh",
        "energy_kind",
        "accuracy",
        "duration_s",
        "origin",
    ]
    power = 3600 * rows["energy_wh"] / rows["duration_s"]
    return rows[columns].assign(average_power_w=power)


_NUMBERS = ("Energy (Wh)", "Accuracy", "Duration (s)", "Average power (W)", "Recomputed (W)")


def _shown(data: pd.DataFrame) -> pd.DataFrame:
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


def _block(rows: pd.DataFrame, caption: str, absent: str) -> str:
    if rows.empty:
        return f'<p class="absent">{absent}</p>'
    shown = rows.drop(columns=["origin", "dataset", "synthetic"]).assign(model=rows["model"].map(model_title))
    for column in ("energy_wh", "accuracy", "duration_s", "average_power_w"):
        shown[column] = [
            None if pd.isna(value) else units.significant(value, 3)
            for value in rows.get(column, shown[column])
        ]
    names = {
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
    return html_table(shown.rename(columns=names), caption, _NUMBERS)
