"""The sentences of the page on one machine: its finding, what a dataset's panel says, and how to read it."""

from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.plots import tables as parts
from helpers.figures.plots.scatter import other_embeddings
from helpers.statistics.llm_to_classifier import FASTEST, most_accurate_llms
from helpers.study.catalogue import model_title, study


def finding(measured: pd.DataFrame, printed: pd.DataFrame) -> str:
    """Say how many times as long the language models take, for how much accuracy, beside the ratios that are published."""
    best = most_accurate_llms(measured)
    count = units.counted(len(best), "dataset")
    energy = best["energy_ratio"].dropna().astype(float)
    estimated = set(best["energy_kind"]) == {"estimated"}
    amount = (
        f" and {_between(energy)} times as much energy{' (estimated)' if estimated else ''}"
        if len(energy)
        else ""
    )
    return (
        f"On one machine ({count}), the most accurate language model needs {_between(best['time_ratio'])} times as much time"
        f"{amount} as the most accurate classifier. It {_accuracies(best)}.{_no_less(measured, best)} For the paper's own "
        f"models the published energies differ by a factor of {_between(printed['energy_ratio'].dropna())}."
    )


def _accuracies(best: pd.DataFrame) -> str:
    """Say on how many datasets the language model is ahead, behind, or neither for certain."""
    ahead, behind = best["difference_low"].astype(float) > 0, best["difference_high"].astype(float) < 0
    sides = []
    for word, hit in (("more", ahead), ("less", behind)):
        if hit.any():
            sizes = best.loc[hit, "difference"].astype(float).abs()
            low, high = (f"{value:.2f}" for value in (sizes.min(), sizes.max()))
            span = low if low == high else f"{low} to {high}"
            sides.append(f"is {word} accurate on {hit.sum()} of them (by {span})")
    open_count = len(best) - int(ahead.sum() + behind.sum())
    if open_count:
        sides.append(f"on {open_count} no difference can be shown")
    return parts.listed(sides)


def _no_less(measured: pd.DataFrame, best: pd.DataFrame) -> str:
    """Say how much longer it takes than the fastest classifier that is no less accurate, where that is another one."""
    fastest = measured[measured["rival"] == FASTEST]
    other = best[["dataset", "model"]].merge(fastest, on=["dataset", "model"])
    if other.empty:
        return ""
    return (
        f" Compared with the fastest classifier that is no less accurate, it needs {_between(other['time_ratio'])} times as "
        f"much time ({units.counted(len(other), 'dataset')})."
    )


def _between(values: "pd.Series[Any]") -> str:
    low, high = (
        parts.times(float(value)) for value in (values.astype(float).min(), values.astype(float).max())
    )
    return low if low == high else f"{low} to {high}"


def note(runs: pd.DataFrame) -> str:
    """Say how to read the figure, and what the runs are: splits, weights, embeddings, energies."""
    lead = (
        "Accuracy against the time for 1000 texts, one text after the other. Bars: 95 % noise of an accuracy by the choice of "
        "texts. Every mark is a run on the same machine, with the same texts, splits and meter."
    )
    if runs.empty:
        return lead
    llms = runs[runs["family"] != "Traditional"]
    return " ".join(filter(None, (lead, _splits(runs), _weights(llms), _embedding(runs), _energies(runs))))


def _splits(runs: pd.DataFrame) -> str:
    counts = sorted({int(count) for count in runs["splits"]})
    each = units.counted(counts[0], "split") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} splits"
    return f"Each run has {each}; ratios are over those that both runs have."


def _weights(llms: pd.DataFrame) -> str:
    if llms.empty:
        return ""
    read_back = sorted(
        {str(weights) for weights in llms["weights"] if str(weights).startswith("dequantised")}
    )
    origin = (
        f"Their weights were stored quantised ({', '.join(name.removeprefix('dequantised ') for name in read_back)}) and are "
        "read back to 16 bits, so their accuracy is that of quantised weights and their time that of 16 bits. "
        if read_back
        else ""
    )
    own = [str(model) for model in dict.fromkeys(llms["model"]) if not study().models[str(model)].in_paper]
    small = (
        f"{parts.titles(own)} {'is not a model' if len(own) == 1 else 'are not models'} of the paper. "
        if own
        else ""
    )
    return (small + origin).strip()


def _embedding(runs: pd.DataFrame) -> str:
    other = other_embeddings(runs)
    return f"Embeddings come from {parts.listed(other)}, not from the paper's checkpoint." if other else ""


def _energies(runs: pd.DataFrame) -> str:
    kinds = sorted(set(runs["energy_kind"].dropna()))
    if kinds == ["estimated"]:
        return (
            "This machine has no energy counter: energies are estimated from the load of the processor and a rule for memory; "
            "only durations are measured."
        )
    return f"Energies are {parts.listed(kinds)}." if kinds else ""


def panel_words(runs: pd.DataFrame, best: pd.DataFrame) -> str:
    """Say what a dataset's panel shows: the best of both kinds, and how many times as long one takes as the other."""
    if best.empty:
        return f"{units.counted(len(runs), 'run')}; nothing to compare."
    row = best.iloc[0]
    seconds = runs.set_index("origin")["s_per_1000_texts"]
    llm, classifier = (units.duration(float(seconds[origin])) for origin in str(row["origin"]).split())
    return (
        f"{model_title(str(row['model']))}, the most accurate language model, reaches {row['accuracy']:.2f} in {llm} for 1000 "
        f"texts; {model_title(str(row['classifier']))}, the most accurate classifier, {row['classifier_accuracy']:.2f} in "
        f"{classifier}: the language model needs {parts.times(float(row['time_ratio']))} times as much time."
    )
