"""Runs on two nodes beside their like on one node, with as many GPUs (paper, section 4.1.2)."""

import pandas as pd

from helpers.study.catalogue import study

_RUN = ["source", "machine", "dataset", "model", "checkpoint", "gpus"]


def pairs(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run on two nodes that has its like on one node, with both values and their ratios.

    Durations in s, energies in Wh, mean power in W; a ratio is two nodes to one, without a unit.
    """
    values = ["duration_s", "energy_wh", "origin"]
    rows = results[[*_RUN, "nodes", *values]].assign(
        checkpoint=results["checkpoint"].astype("string").fillna("")
    )
    one, two = (
        rows[rows["nodes"] == nodes].drop(columns="nodes").rename(columns={n: f"{n}_{nodes}" for n in values})
        for nodes in (1, 2)
    )
    compared = two.merge(one, on=_RUN)
    order = list(study().models)
    compared = compared.sort_values(
        ["source", "model"], key=lambda c: c.map(order.index) if c.name == "model" else c
    )
    origins = zip(compared["origin_1"], compared["origin_2"], strict=True)
    return compared.assign(
        duration_ratio=compared["duration_s_2"] / compared["duration_s_1"],
        energy_ratio=compared["energy_wh_2"] / compared["energy_wh_1"],
        power_w_1=3600 * compared["energy_wh_1"] / compared["duration_s_1"],
        power_w_2=3600 * compared["energy_wh_2"] / compared["duration_s_2"],
        origin=[" ".join(sorted({*single.split(), *double.split()})) for single, double in origins],
    ).drop(columns=["origin_1", "origin_2"])
