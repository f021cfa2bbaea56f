"""After how many texts training a traditional model pays against a language model that needs none."""

import math
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from helpers.core import units
from helpers.figures import style
from helpers.figures.display import Figure, Panel, html_table
from helpers.figures.plots import tables as parts
from helpers.figures.plots.scatter import sorted_by_study
from helpers.results.tables import Tables, select_real, select_sequential
from helpers.statistics import selection
from helpers.statistics.break_even import Interval
from helpers.statistics.break_even import break_even as texts_to_pay
from helpers.statistics.frontier import disqualifications
from helpers.study.catalogue import PAPER_EMBEDDING, model_title, study

RIVALS = {"least energy": "star-triangle-up", "most accurate": "hexagram"}
"""The language models of a dataset to compare with, and their markers."""
_LABEL_SIDES = {"least energy": "middle right", "most accurate": "middle left"}
"""Sides of the labels: the LLM with the least energy never lies left of another."""
_OFFSET = 0.2


def break_even(tables: Tables) -> Figure:
    """Divide the training energy of our runs by what a text saves against an LLM, published or measured beside them.

    Training: the mean over the splits of a measured run (`train_wh`). Saved: energy per text of the LLM, as
    published (Capella) or as measured in the same campaign on the same machine, less that of the run; the intervals are one
    standard deviation over splits of a run and the rounding of a printed energy.
    """
    llms, runs = language_models(tables.results), rows(tables.results)
    return draw(comparisons(runs, llms, measured_language_models(tables.results)), llms)


def draw(data: pd.DataFrame, llms: pd.DataFrame) -> Figure:
    """Draw `comparisons`, with a panel for each dataset that has one of `llms`, the published `language_models`.

    Those with measured language models stand in a table of their own.
    """
    datasets = [name for name in study().datasets if name in set(llms["dataset"])]
    published = data[data["llm_source"] == "published"]
    beside = data[data["llm_source"] != "published"]
    return Figure(
        name="break_even",
        label="Break-even of training",
        finding=_finding(data),
        note=(
            "Number of texts after which training pays for itself in energy, compared with the LLM that needs least energy "
            "(triangle) and with the most accurate LLM (star); the number beside a mark is the LLM's accuracy minus that of the "
            "trained model. Training was measured in our runs, and the LLM's energy per text is the published one: the "
            "comparison mixes two machines, so only the order of magnitude counts; the last table has both from one machine. "
            "The energy of training is that of training on the texts of one split, without labelling, loading and idle time."
        ),
        data=data,
        function="helpers.figures.beyond.break_even.break_even",
        panels=[
            _panel(name, published[published["dataset"] == name], _range(published)) for name in datasets
        ],
        body=_table(published, "as published")
        + _table(beside, "measured in the same campaign on the same machine"),
        inputs=parts.inputs(data["origin"], data["llm_origin"]) or ["table_b1"],
    )


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return our runs of traditional models whose energies of training and of inference were measured."""
    trained = (results["source"] != "published") & results["train_wh"].notna() & results["energy_wh"].notna()
    return sorted_by_study(select_real(results[trained]))


def language_models(results: pd.DataFrame) -> pd.DataFrame:
    """Return the published LLMs to compare with: for each dataset a row for each of `RIVALS`, named in column `rival`.

    Only runs on one node with an energy and an accuracy are chosen from, and of these only what is no guess
    (`statistics.frontier.disqualifications`): training pays against nothing that is not worth asking.
    """
    return _rivals(results.query("source == 'published' and family != 'Traditional' and nodes == 1"))


def measured_language_models(results: pd.DataFrame) -> pd.DataFrame:
    """Return the measured LLMs to compare with, chosen in the same way among those of each campaign, machine and dataset."""
    return _rivals(select_sequential(results).query("source != 'published' and family != 'Traditional'"))


def _rivals(llms: pd.DataFrame) -> pd.DataFrame:
    known = llms.dropna(subset=["energy_wh", "accuracy"])
    known = known[disqualifications(known).eq("")]
    chosen = [
        choose(group)
        for _, group in known.groupby(["source", "machine", "dataset"])
        for choose in (selection.least_energy, selection.most_accurate)
    ]
    rivals = [*RIVALS] * (len(chosen) // len(RIVALS))
    return pd.DataFrame(chosen, columns=llms.columns).assign(rival=rivals)


_COLUMNS = [
    *("dataset", "source", "machine", "model", "checkpoint", "rival", "llm", "family", "energy_kind"),
    *("train_wh", "own_wh_per_text", "llm_wh_per_text", "texts", "texts_low", "texts_high"),
    *("accuracy", "llm_accuracy", "llm_source", "origin", "llm_origin"),
]


def comparisons(runs: pd.DataFrame, *rivals: pd.DataFrame) -> pd.DataFrame:
    """Return the texts after which training has paid, for each of `rows` against each of its `rivals`.

    These are `language_models` or `measured_language_models`: a published one stands beside every run on its dataset, a
    measured one beside the runs of its campaign and machine.
    Columns: `_COLUMNS`; energies in Wh. `texts`, with the interval `texts_low` to `texts_high`, is null where
    training never pays.
    """
    compared = [
        _compare(run, llm)
        for llms in rivals
        for _, run in runs.iterrows()
        for _, llm in llms[_beside(run, llms)].iterrows()
    ]
    return pd.DataFrame(compared, columns=_COLUMNS)


def _beside(run: "pd.Series[Any]", llms: pd.DataFrame) -> "pd.Series[bool]":
    same_machine = (llms["source"] == run["source"]) & (llms["machine"] == run["machine"])
    beside: pd.Series[bool] = (llms["dataset"] == run["dataset"]) & (
        same_machine | (llms["source"] == "published")
    )
    return beside


def _compare(run: "pd.Series[Any]", llm: "pd.Series[Any]") -> dict[str, object]:
    own = Interval.around(run["energy_wh"] / run["texts"], run["energy_sd_wh"] / run["texts"])
    bound = llm["energy_uncertainty_wh"] if llm["source"] == "published" else llm["energy_sd_wh"]
    other = Interval.around(llm["energy_wh"] / llm["texts"], bound / llm["texts"])
    training = Interval.around(run["train_wh"])
    bounds = texts_to_pay(training, own, other)
    middle = texts_to_pay(training, *(Interval.around((i.low + i.high) / 2) for i in (own, other)))
    return {
        **{name: run[name] for name in ("dataset", "source", "machine", "model", "checkpoint", "train_wh")},
        **{name: run[name] for name in ("accuracy", "energy_kind", "origin")},
        "rival": llm["rival"],
        "llm": llm["model"],
        "family": llm["family"],
        "own_wh_per_text": (own.low + own.high) / 2,
        "llm_wh_per_text": (other.low + other.high) / 2,
        "texts": middle.low if middle else None,
        "texts_low": bounds.low if bounds else None,
        "texts_high": bounds.high if bounds else None,
        "llm_accuracy": llm["accuracy"],
        "llm_source": llm["source"],
        "llm_origin": llm["origin"],
    }


def _finding(data: pd.DataFrame) -> str:
    if data.empty:
        return "None of our runs trained a traditional model on a dataset with published language models."
    never = int(data["texts"].isna().sum())
    ahead = int((data["llm_accuracy"] > data["accuracy"]).sum())
    accurate = f"in {ahead} of {len(data)} comparisons the LLM is more accurate"
    if never == len(data):
        return f"In our runs, training a traditional model never pays for itself against an LLM; {accurate}."
    latest = float(data["texts_high"].max())
    if math.isinf(latest):
        return f"The energies are rounded too coarsely to say when training a traditional model pays for itself; {accurate}."
    most = math.ceil(latest)
    rest = f" (never in {never} comparisons)" if never else ""
    return (
        f"Training a traditional model pays for itself in energy within {most} {'text' if most == 1 else 'texts'}{rest}, but "
        f"{accurate}."
    )


def _range(data: pd.DataFrame) -> tuple[float, float]:
    """Return the decades of all x axes, with room for the labels; a reader compares panels."""
    texts = data["texts"].dropna().astype(float)
    if texts.empty:
        return -3.0, 1.0
    return math.log10(texts.min()) - 0.9, max(math.log10(texts.max()), 0.0) + 0.9


def _span(rows: pd.DataFrame) -> str:
    texts = rows["texts"].dropna()
    if texts.empty:
        return "unknown"
    return f"{units.significant(texts.min(), 2)} to {units.significant(texts.max(), 2)}"


def _panel(dataset: str, rows: pd.DataFrame, decades: tuple[float, float]) -> Panel:
    entry = study().datasets[dataset]
    figure = go.Figure()
    models = [name for name in study().models if name in set(rows["model"])]
    lines = {name: i for i, name in enumerate(models[::-1])}
    style.layout(figure, height=130 + 46 * max(len(models), 3))
    figure.update_layout(margin={"r": 40})  # room for the labels of the last points
    for i, (_, runs) in enumerate(rows.groupby("source", sort=False)):
        for rival in RIVALS:
            part = runs[runs["rival"] == rival].dropna(subset=["texts"])
            if len(part):
                figure.add_trace(_trace(part, rival, lines, _OFFSET * (1 - 2 * i)))
    if rows["texts"].notna().any():
        figure.update_yaxes(
            tickvals=list(lines.values()),
            ticktext=[model_title(name) for name in lines],
            range=[-0.6, len(models) - 0.4],
        )
        exponents = [e for e in range(math.ceil(decades[0]), math.floor(decades[1]) + 1) if e % 2 == 0]
        figure.update_xaxes(
            type="log",
            title="Texts",
            range=list(decades),
            tickvals=[10.0**e for e in exponents],
            ticktext=[f"{10.0**e:.{max(0, -e)}f}" for e in exponents],
            minor={"ticks": ""},
        )
        figure.add_vline(x=1, line={"color": "#8a9099", "width": 1, "dash": "dot"})
    else:
        style.not_measured(figure)
    note = _note(rows)
    return Panel(
        name=dataset,
        title=entry.title,
        note=note,
        figure=figure,
        alt=f"{entry.title}, texts until training pays for itself: {_span(rows)}. {note}",
        wide=bool(len(rows)),  # each mark has a number beside it
    )


def _note(rows: pd.DataFrame) -> str:
    if rows.empty:
        return f"{style.NOT_MEASURED.capitalize()}."
    llms = rows.drop_duplicates("rival")
    against = ", ".join(
        f"{rival} {model_title(llm)} ({accuracy:.2f})"
        for rival, llm, accuracy in zip(llms["rival"], llms["llm"], llms["llm_accuracy"], strict=True)
    )
    unpaid = rows[rows["texts"].isna()]
    never = [
        f"{model_title(model)} against {model_title(llm)}"
        for model, llm in zip(unpaid["model"], unpaid["llm"], strict=True)
    ]
    kinds = rows.drop_duplicates("source")
    sources = [f"{name} ({kind})" for name, kind in zip(kinds["source"], kinds["energy_kind"], strict=True)]
    other = sorted(set(rows["checkpoint"].dropna()) - {PAPER_EMBEDDING})
    return (
        f"LLM: {against}. Runs: {parts.listed(sources)}, in this order from the top."
        + (f" Embeddings come from {', '.join(other)}, not from the paper's checkpoint." if other else "")
        + (f" Never: {parts.listed(never)}." if never else "")
    )


def _trace(rows: pd.DataFrame, rival: str, lines: dict[str, int], offset: float) -> go.Scatter:
    look = style.FAMILIES[str(rows["family"].iloc[0])]
    ahead = [f"{gap:+.2f}" for gap in rows["llm_accuracy"] - rows["accuracy"]]
    broad = pd.DataFrame({"text": ahead, "place": _LABEL_SIDES[rival]})
    return go.Scatter(
        x=rows["texts"],
        y=rows["model"].map(lines) + offset,
        mode="markers+text",
        name=f"compared with the LLM: {rival} ({look.title})",
        showlegend=False,
        text=ahead,
        textposition=_LABEL_SIDES[rival],
        textfont={"color": look.light, "size": style.FONT_SIZE - 3},
        marker={
            "symbol": f"{RIVALS[rival]}-open",
            "size": 10,
            "color": look.light,
            "line": {"width": 1.5, "color": look.light},
        },
        error_x={
            "array": (rows["texts_high"] - rows["texts"]).replace(math.inf, 0),
            "arrayminus": rows["texts"] - rows["texts_low"],
            "thickness": 1,
            "width": 0,
            "color": look.light,
        },
        hovertext=[_hover(row) for _, row in rows.iterrows()],
        hoverinfo="text",
        cliponaxis=False,
        # On a phone the numbers would lie on the marks; point at or tap one for its number.
        meta=style.themed(look.light, look.dark, False, broad, broad.assign(text="")),
    )


def _hover(row: "pd.Series[Any]") -> str:
    return (
        f"<b>{model_title(row['model'])}</b> ({row['source']}) against {model_title(row['llm'])}<br>"
        f"{units.significant(row['texts'], 2)} texts<br>training {units.energy(row['train_wh'])}, "
        f"{units.energy(row['own_wh_per_text'])} per text<br>LLM {units.energy(row['llm_wh_per_text'])} per text, published<br>"
        f"accuracy {row['accuracy']:.2f}, LLM {row['llm_accuracy']:.2f}"
    )


def _table(data: pd.DataFrame, energies: str) -> str:
    if data.empty:
        return ""
    shown = data.drop_duplicates("origin")  # runs: a campaign may have several of a model and a dataset
    frame = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in shown["dataset"]],
            "Run": shown["source"],
            "Trained model": shown["model"].map(model_title),
            "Accuracy": shown["accuracy"].map("{:.2f}".format),
            "Training": shown["train_wh"].map(units.energy),
            "Trained model, per text": shown["own_wh_per_text"].map(units.energy),
        }
    )
    for rival in RIVALS:
        against = shown[["origin"]].merge(data[data["rival"] == rival], on="origin")
        frame[f"{rival.capitalize()} LLM"] = [
            f"{model_title(llm)} ({accuracy:.2f})"
            for llm, accuracy in zip(against["llm"], against["llm_accuracy"], strict=True)
        ]
        frame[f"Per text, {rival}"] = list(against["llm_wh_per_text"].map(units.energy))
        frame[f"Texts, {rival}"] = [
            _texts(*values)
            for values in zip(against["texts"], against["texts_low"], against["texts_high"], strict=True)
        ]
    caption = (
        "Number of texts after which training pays for itself, with the interval; below 1 it does so with the first text. The "
        f"LLM's energy is {energies}; its accuracy is in brackets"
    )
    numbers = [name for name in frame.columns if name.startswith(("Per text", "Texts"))]
    return html_table(frame, caption, [*frame.columns[3:6], *numbers])


def _texts(middle: float, low: float, high: float) -> str:
    if pd.isna(middle):
        return "never: the LLM needs less energy per text"
    upper = "never" if math.isinf(high) else units.significant(high, 2)
    return f"{units.significant(middle, 2)} ({units.significant(low, 2)} to {upper})"
