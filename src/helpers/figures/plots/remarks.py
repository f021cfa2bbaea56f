"""Sentences that figures and tables of the paper share with those beyond it."""

import pandas as pd

from helpers.figures.plots import tables as parts
from helpers.statistics import bandwidth_bound
from helpers.statistics.bandwidth_bound import IMPOSSIBLE, POSSIBLE, SHORTENED
from helpers.study.catalogue import model_title


def node_power(compared: pd.DataFrame) -> str:
    """Say by how much the mean power is higher on two nodes, for the pairs of `statistics.node_pairs`, the least first."""
    rows = compared.assign(more=compared["power_w_2"] - compared["power_w_1"]).sort_values("more")
    changes = [
        f"{more:+.0f} W ({model_title(model)})"
        for model, more in zip(rows["model"], rows["more"], strict=True)
    ]
    return (
        f"Mean power on two nodes compared with one, with the same number of GPUs: {parts.listed(changes)}."
    )


def short_answers_caveat(results: pd.DataFrame) -> str:
    """Return what the published durations in `results` leave open for a comparison of cards; empty where nothing."""
    runs = bandwidth_bound.bounds(bandwidth_bound.published_runs(results))
    lacking = runs[runs["verdict"] != POSSIBLE]
    if lacking.empty:
        return ""
    cards = parts.listed(list(lacking["gpu_model"].drop_duplicates()))
    unread, shortened = (int((lacking["verdict"] == verdict).sum()) for verdict in (IMPOSSIBLE, SHORTENED))
    counts = " and ".join(
        [
            *([f"{unread} leave no time for any answer that DSPy reads"] if unread else []),
            *(
                [f"{shortened}{' more' if unread else ''} only for one without its closing marker"]
                if shortened
                else []
            ),
        ]
    )
    return (
        "For short answers, it is open whether the cards did the same work. Of the runs of "
        f"{parts.titles(lacking['model'].unique())} on {cards}, with the numbers of cards that we infer and one text at a time, "
        f"{counts} (Could these durations be one text at a time?). "
    )
