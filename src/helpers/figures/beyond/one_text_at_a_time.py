"""Could the printed durations be one text at a time? Every published LLM run against the bandwidth of its cards."""

import math
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.beyond import one_text_panel, one_text_reasons
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import bars
from helpers.figures.plots import tables as parts
from helpers.results.tables import Tables
from helpers.statistics import bandwidth_bound
from helpers.statistics.bandwidth_bound import IMPOSSIBLE, POSSIBLE
from helpers.study import roofline
from helpers.study.catalogue import model_title, paper_machines

_COLUMNS = (
    *(
        "source",
        "dataset",
        "model",
        "family",
        "machine",
        "gpu_model",
        "gpus",
        "gpus_origin",
        "nodes",
        "texts",
    ),
    *("duration_s", "duration_uncertainty_s", "text_s", "gb_per_token", "token_s", "most_tokens"),
    *("readable_tokens", "complete_tokens", "least_duration_s", "power_w", "verdict", "origin"),
)
_INPUTS = ("inferred_b3_gpu_counts", "data/study/gpus.yaml", "data/study/models.yaml")


def one_text_at_a_time(tables: Tables) -> Figure:
    """Bound the tokens of an answer that fit into each published duration, and compare them with DSPy's template.

    `helpers.statistics.bandwidth_bound` has the bound and its source; the runs are those of Tables B1 to B3 and of
    Figures 3 and 6. A table shows the runs that leave too little room under each number of GPUs.
    """
    runs = bandwidth_bound.bounds(rows(tables.results))
    return draw(runs, bandwidth_bound.by_gpus(too_short(runs)))


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` that are bounded: published runs of language models that have a duration."""
    return bandwidth_bound.published_runs(results)


def too_short(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of `bounds` whose durations leave no time for a full answer, one text at a time."""
    return runs[runs["verdict"] != POSSIBLE]


def draw(runs: pd.DataFrame, alternatives: pd.DataFrame) -> Figure:
    """Draw the rows of `bounds`; `alternatives` are the `too_short` ones under each number of cards (`by_gpus`)."""
    lacking = too_short(runs)
    finding = _finding(runs)
    return Figure(
        name="one_text_at_a_time",
        label="One text at a time",
        finding=finding,
        note=_note(runs),
        data=runs[list(_COLUMNS)],
        function="helpers.figures.beyond.one_text_at_a_time.one_text_at_a_time",
        panels=[one_text_panel.panel(runs, _alt(runs, finding))],
        body=_compared(runs, lacking)
        + _by_gpus(lacking, alternatives)
        + one_text_reasons.explained(runs, lacking)
        if len(lacking)
        else "",
        inputs=[*runs["origin"], *_INPUTS],
    )


def _finding(runs: pd.DataFrame) -> str:
    """Say for which machines all runs leave room for one text at a time, and where one does not."""
    lacking = too_short(runs)
    titles = {name: machine.title for name, machine in paper_machines().items()}
    short = [title for name, title in titles.items() if name in set(lacking["machine"])]
    full = [title for title in titles.values() if title not in short]
    short_runs = int(runs["machine"].isin(lacking["machine"]).sum())
    full_runs = len(runs) - short_runs
    fits = "One text at a time is possible for"
    if full:
        fits += f" {bars.share(full_runs, full_runs)} published durations on {parts.listed(full)}"
    if not short:
        return f"{fits}."
    first = lacking.sort_values(["most_tokens", "model"]).iloc[0]
    inferred = " (inferred)" if first["gpus_origin"] == "inferred" else ""
    unread = int((lacking["verdict"] == IMPOSSIBLE).sum())
    return (
        f"{f'{fits}. But' if full else 'With one text at a time,'} {len(lacking)} of {short_runs} durations on "
        f"{parts.listed(short)} "
        f"leave no time for a full answer, with the numbers of cards that we infer; {unread or 'none'} of these {len(lacking)} "
        f"leave no time for any answer that DSPy reads. {model_title(str(first['model']))} on {_cards(first)}{inferred} has time "
        f"for at most {first['most_tokens']} tokens per text; the shortest answer in DSPy's template has "
        f"{first['complete_tokens']}, and {first['readable_tokens']} without its closing marker."
    )


def _cards(row: "pd.Series[Any]") -> str:
    return f"one {row['gpu_model']}" if row["gpus"] == 1 else f"{row['gpus']} {row['gpu_model']}"


def _note(runs: pd.DataFrame) -> str:
    cards = [
        f"{limits.bandwidth_tb_per_s:g} TB/s ({limits.title})"
        for card in runs["gpu_model"].drop_duplicates()
        if (limits := roofline.find_limits(card)) is not None
    ]
    capella = runs[runs["machine"] == "capella"]
    enough = math.ceil(10 * bandwidth_bound.least_bandwidth_tb_per_s(capella)) / 10  # up: less would not do
    return (
        "A mark to the right of the bar leaves time for a full answer, a mark inside it only for an answer without its closing "
        "marker, and a mark to the left of it for no answer that DSPy reads. For each token a card reads from its "
        "memory all weights that the token uses, so the time per text divided by the time of one reading limits the tokens. "
        "The limit is generous: memory at the full rate of the data sheet, no time for the prompt, and only weights of 16 bits "
        f"are read. Rates: {parts.listed(cards)}. For the H100 it is that of the card with 80 GB; Capella's has 94 GB, and the "
        f"paper does not print its rate. From {enough:.1f} TB/s on, all runs on Capella have time. Cards of one node read their "
        "shares at the same time, two nodes one after the other. For a mixture of experts, only the experts of one token are "
        "read, also for the prompt. Hollow: published durations; numbers of cards on Paula and Clara are inferred."
    )


def _alt(runs: pd.DataFrame, finding: str) -> str:
    least = runs.groupby("gpu_model", sort=False)["most_tokens"].min()
    by_card = parts.listed([f"{count} on the {card}" for card, count in least.items()])
    return f"{finding} The fewest tokens that fit, by card: {by_card}."


def _compared(runs: pd.DataFrame, lacking: pd.DataFrame) -> str:
    """Return the table of the models that have a run without room, with as many cards of each kind."""
    same = lacking[["model", "gpus"]].drop_duplicates()
    rows = runs.merge(same, on=["model", "gpus"])
    shown = pd.DataFrame(
        {
            "Model": rows["model"].map(model_title),
            "Card": rows["gpu_model"],
            "One text at a time": rows["verdict"],
            "Most tokens": rows["most_tokens"],
            "Needed": rows["complete_tokens"],
            "A text (s)": rows["text_s"].map("{:.3f}".format),
            "GB a token": rows["gb_per_token"].map("{:.1f}".format),
            "Pass (s)": rows["duration_s"].map("{:.2f}".format),
            "At least (s)": rows["least_duration_s"].map("{:.1f}".format),
        }
    )
    caption = "The models whose durations are too short, on one card of each kind"
    return html_table(shown, caption, list(shown.columns[3:])) + _below(runs, lacking)


def _below(runs: pd.DataFrame, lacking: pd.DataFrame) -> str:
    """Return what stands below that table: the bound with a prompt, and the runs that are not in it."""
    rest = runs[runs["verdict"] == POSSIBLE]
    nearest = rest.iloc[(rest["most_tokens"] / rest["complete_tokens"]).argmin()]
    longer = [
        f"{model_title(row['model'])} {bound_s:.1f} s"
        for _, row in lacking[lacking["machine"] == "paula"].iterrows()
        if (bound_s := _with_prompt_s(row)) is not None
    ]
    return one_text_reasons.paragraph(
        "Needed: tokens of the shortest full answer, including the one that ends it. Only without its end: there is time for an "
        "answer without its closing marker, which DSPy also reads. At least: the lower bound of the pass with the tokens needed. "
        f"With {roofline.TOKENS_IN} tokens of prompt and {roofline.TOKENS_OUT} of answer, as assumed for Many texts at a "
        f"time, the lower bounds on an A30 are {parts.listed(longer)}. The other {len(rest)} runs all have time: closest to its "
        f"shortest answer is {model_title(str(nearest['model']))} on {_cards(nearest)}, with time for "
        f"{nearest['most_tokens']} tokens where {nearest['complete_tokens']} are needed. The data of the figure contain all runs."
    )


def _with_prompt_s(row: "pd.Series[Any]") -> float | None:
    limits = roofline.find_limits(str(row["gpu_model"]))
    if limits is None:
        return None
    work = roofline.work_for(bandwidth_bound.language_model(str(row["model"])), int(row["texts"]))
    return roofline.sequential_bound(work, limits, int(row["gpus"])).duration_s


def _by_gpus(lacking: pd.DataFrame, alternatives: pd.DataFrame) -> str:
    """Return the table of the runs without room under each number of cards that they may have had."""
    tokens = alternatives.pivot(index="run", columns="gpus", values="most_tokens").reindex(lacking.index)
    possible = alternatives[alternatives["verdict"] == POSSIBLE]
    enough = possible.groupby("run")["gpus"].min().reindex(lacking.index)
    shown = pd.DataFrame({"Model": lacking["model"].map(model_title), "Card": lacking["gpu_model"]})
    for count in tokens.columns:
        shown[units.counted(int(count), "card")] = tokens[count].astype("Int64")
    shown["Needed"] = lacking["complete_tokens"]
    shown["Possible from"] = [
        None if pd.isna(count) else units.counted(int(count), "card") for count in enough
    ]
    caption = "Most tokens that fit, if there were more cards than inferred"
    return html_table(shown, caption, list(shown.columns[2:-1]))
