"""Figure 5: the same LLMs on different GPU cards (paper, Figure 5, Table B3, section 4.1.3).

The published figure swaps its row labels; the values here come from Table B3, and `labels` compares the two.
"""

import html

import pandas as pd

from helpers.core import units
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import bars
from helpers.figures.plots import tables as parts
from helpers.figures.plots.remarks import short_answers_caveat
from helpers.results.tables import Tables
from helpers.study.catalogue import model_title, paper_machines, study

_LABELS = {"duration_s": "Duration (s)", "energy_wh": "Energy consumed (Wh)"}
"""Row labels of the printed figure, by the quantity that they name."""
_TABLE = {"duration_s": "duration (s)", "energy_wh": "energy (Wh)"}
_OTHER = {"duration_s": "energy_wh", "energy_wh": "duration_s"}


def figure_5(tables: Tables) -> Figure:
    """Draw every LLM that ran with as many GPUs of different models on one node, published and measured.

    A table below shows the bars of the printed figure beside Table B3, which tells its labels apart.
    """
    compared = labels(tables)
    runs = rows(tables.results, compared)
    return draw(runs, least_energy(runs), compared, tables)


def draw(runs: pd.DataFrame, best: pd.DataFrame, compared: pd.DataFrame, tables: Tables) -> Figure:
    """Draw `rows` with the printed `labels` below; the finding counts the cards of `least_energy`."""
    finding = (
        f"{_finding(best)}{'; the published figure swaps its row labels' if _swapped(compared) else ''}."
    )
    return Figure(
        name="figure_5_gpu_models",
        label="Figure 5",
        finding=finding,
        note=(
            f"Open bars: published (Table B3). Filled bars: our runs. {short_answers_caveat(tables.results)}"
            "Time and energy to classify the test set once (a pass) on one node, averaged over the splits. "
            "An asterisk marks the models of the printed "
            "figure. The number of GPUs is inferred, because Table B3 does not print it: the H100 runs equal runs of Table B1 "
            f"and Figures 3 and 6, and we assume the same number of the other cards. {bars.ACCOUNTING} "
            f"{_against_the_paper(runs)}"
        ),
        data=bars.data(runs, "in_printed_figure"),
        function="helpers.figures.paper.figure_5.figure_5",
        panels=bars.panels(runs, finding),
        body=_evidence(compared),
        inputs=[*runs["origin"], "table_b3", "figure_5", "inferred_b3_gpu_counts", "data/study/gpus.yaml"],
    )


def labels(tables: Tables) -> pd.DataFrame:
    """Return the bars of the printed Figure 5 beside Table B3, one row per model and card.

    Columns: `model`, `machine`, `card`, and for each printed row label (`duration_s`, `energy_wh`): `X_bar`, the
    length of the bar below that label in print, and `X`, what Table B3 has under that name.
    """
    observations = tables.observations[tables.observations["source"] == "published"]
    key = ["model", "machine"]

    def of(origin: str) -> pd.DataFrame:
        chosen = observations[observations["origin"] == origin]
        return chosen.pivot(index=key, columns="quantity", values="value").reindex(columns=list(_LABELS))

    table, figure = of("table_b3"), of("figure_5")
    # Our file of the figure has the labels the right way round already; in print they are the other way.
    given_back = tables.printed["figure_5"]["source"].str.contains("swapped_back").all()
    as_printed = figure.rename(columns=_OTHER) if given_back else figure
    joined = as_printed.add_suffix("_bar").join(table, how="inner").reset_index()
    cards = joined["machine"].map(lambda machine: study().machines[machine].gpu_model)
    ranked = joined.assign(source="published", card=cards, _rank=_rank(cards))
    return bars.in_order(ranked, "_rank").drop(columns=["source", "_rank"])


def _deviation(compared: pd.DataFrame, label: str, quantity: str) -> pd.Series:
    """Return how far the bars below a printed label lie from a quantity of Table B3, in percent."""
    return 100 * (compared[f"{label}_bar"] / compared[quantity] - 1).abs()


def _swapped(compared: pd.DataFrame) -> bool:
    return all(
        _deviation(compared, label, _OTHER[label]).max() < _deviation(compared, label, label).min()
        for label in _LABELS
    )


def _about_labels(compared: pd.DataFrame) -> str:
    if compared.empty:
        return ""
    if not _swapped(compared):
        return "The labels of the published figure agree with Table B3."
    nearest, wrong = (
        max(
            _deviation(compared, "duration_s", "energy_wh").max(),
            _deviation(compared, "energy_wh", "duration_s").max(),
        ),
        min(
            _deviation(compared, "duration_s", "duration_s").min(),
            _deviation(compared, "energy_wh", "energy_wh").min(),
        ),
    )
    return (
        f"The labels here are the right ones: in print all {len(compared)} bars below “Duration” equal the energies "
        f"of Table B3 and all {len(compared)} below “Energy consumed” the durations, within {nearest:.1f} %; as "
        f"labelled, every bar would be wrong by {wrong:.0f} % or more."
    )


def _evidence(compared: pd.DataFrame) -> str:
    columns = {"Model": compared["model"].map(model_title), "GPU": compared["card"]}
    for label, title in _LABELS.items():
        columns[f"Bar below “{title}”"] = compared[f"{label}_bar"]
        columns[f"Table B3, {_TABLE[_OTHER[label]]}"] = compared[_OTHER[label]]
    summary = f"<p>{html.escape(_about_labels(compared))}</p>"
    return summary + html_table(pd.DataFrame(columns), "Bars of the published figure beside Table B3")


def rows(results: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `results` of LLMs that ran with as many GPUs of several models, on one node.

    Columns beside those of `results`: `card`, `in_printed_figure` (the models of `labels`, published) and the words
    of the labels.
    """
    in_print = set(compared["model"])
    one_node = bars.language_models(results).query("nodes == 1 and gpu_model.notna()")
    named = one_node.assign(card=[_card(name) for name in one_node["gpu_model"]])
    key = ["dataset", "model", "gpus"]
    varied = named.groupby(key)["card"].transform("nunique") > 1
    runs = named[varied].assign(_rank=_rank(named.loc[varied, "card"]))
    runs = bars.in_order(runs, "gpus", "_rank")
    inferred = runs.groupby(key)["gpus_origin"].transform(lambda origins: (origins == "inferred").any())
    return runs.assign(
        in_printed_figure=runs["model"].isin(in_print) & (runs["source"] == "published"),
        header=[
            f"{model_title(model)}{'*' if model in in_print else ''}, {units.counted(gpus, 'GPU')}"
            f"{' (inferred)' if guess else ''}"
            for model, gpus, guess in zip(runs["model"], runs["gpus"], inferred, strict=True)
        ],
        level=runs["card"],
        duration_remark="",
        energy_remark="",
    )


def _card(name: str) -> str:
    """Return the short name of a GPU model, the paper's where it is one of the paper's."""
    words = name.replace("-", " ").split()
    matches = [machine.gpu_model for machine in paper_machines().values() if machine.gpu_model in words]
    return matches[0] if matches else name.removeprefix("NVIDIA ")


def _rank(cards: pd.Series) -> pd.Series:
    """Order cards by their memory, as the printed figure does; others come last."""
    memory = {machine.gpu_model: machine.gpu_memory_gb for machine in paper_machines().values()}
    return cards.map(memory).fillna(float("inf"))


def least_energy(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the run with the least energy per model and number of GPUs: of the published ones where there are any."""
    candidates = bars.published_or_all(runs)
    candidates = candidates[candidates["energy_wh"].notna()]
    return candidates.loc[candidates.groupby(["dataset", "model", "gpus"], sort=False)["energy_wh"].idxmin()]


def _finding(best: pd.DataFrame) -> str:
    if best.empty:
        return "No LLM was run on different GPU models"
    phrases = []
    for family in ("Deepseek", "Other LLM"):
        cards = best.loc[best["family"] == family, "card"]
        counts = cards.value_counts()
        each = [f"the {card} for {bars.share(count, len(cards))}" for card, count in counts.items()]
        if each:
            phrases.append(f"{parts.listed(each)} {_KINDS[family]}")
    return f"The least energy is used on {' and on '.join(phrases)}"


_KINDS = {"Deepseek": "reasoning LLMs", "Other LLM": "other LLMs"}


def _against_the_paper(runs: pd.DataFrame) -> str:
    """Hold the paper's words on its newest card against Table B3, under both readings of a gain: on both others, on one."""
    others = runs[(runs["source"] == "published") & (runs["family"] == "Other LLM")]
    newest = study().machines["capella"].gpu_model
    if others.empty:
        return ""
    energy = others.pivot(index=["model", "gpus"], columns="card", values="energy_wh")
    gains = energy.drop(columns=newest).gt(energy[newest], axis="index")
    on_all = parts.listed([model_title(model) for model, _ in energy.index[gains.all(axis="columns")]])
    on_one = parts.listed(
        [
            f"{model_title(model)} than on the {card}"
            for card in gains
            for model, _ in energy.index[gains[card]]
        ]
    )
    statement = f"The paper (section 4.1.3) reports gains of the {newest} for the Deepseek models only."
    if not on_one:
        return f"{statement} No other model needs less energy there than on one of the older cards."
    if on_all:
        return f"{statement} {on_all} needs less energy there than on each of the older cards as well."
    return (
        f"{statement} This holds if a gain means less energy than on each of the older cards. It does not hold if a gain means "
        f"less than on one of them: on the {newest}, less energy is also needed for {on_one}."
    )
