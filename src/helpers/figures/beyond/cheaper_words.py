"""The words of the page on single factors: what a run changes, the finding, and how to read it."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.plots import tables as parts
from helpers.study.catalogue import model_title, study

BASELINE = "baseline"
_ENGINES = {"llama-cpp": "llama.cpp"}
_LANGUAGES = {"de": "German", "en": "English"}


def level(run: Mapping[Any, Any]) -> str:
    """Return what a run changes against its partner, in a few words; of the baseline, `baseline`."""
    if run["role"] != "changed":
        return BASELINE if run["role"] == "baseline" else "no partner"
    changes = {
        "texts at a time": f"{run['concurrency']} at a time",
        "prefix cache": "Prefix cache",
        "examples": f"{run['examples']} examples",
        "answer": "Constrained",
        "language": _LANGUAGES.get(str(run["language"]), str(run["language"])),
        "protocol": "DSPy 2025" + (", cache" if run["dspy_cache"] is True else ""),
        "engine": _ENGINES.get(str(run["engine"]), str(run["engine"])),
    }
    return changes[str(run["factor"])]


EXPLAINED: Mapping[str, str] = {
    "texts at a time": "this many requests at the same time instead of one",
    "prefix cache": "the engine stores the beginning that all prompts share",
    "examples": "the prompt contains this many texts of the training set with their categories",
    "answer": "the engine restricts the answer to the categories",
    "language": "the instruction is in the language that the paper used",
    "protocol": "DSPy, with its defaults of early 2025, writes the prompts and reads the answers",
    "engine": "another engine, which uses the quantised weights as they are stored",
}
"""By factor (`one_factor.FACTORS`), what its change is."""


def ordered(levels: Collection[str]) -> list[str]:
    """Return these levels in the order of the page: the baseline, the factors, and numbers by size."""
    return sorted(levels, key=_position)


def _position(name: str) -> tuple[int, int, str]:
    patterns = ("baseline", "at a time", "Prefix cache", "examples", "Constrained", "German", "DSPy")
    place = next((number for number, words in enumerate(patterns) if words in name), len(patterns))
    digits = re.match(r"\d+", name)
    return place, int(digits[0]) if digits and "DSPy" not in name else 0, name


def finding(changed: pd.DataFrame) -> str:
    """Say which change takes the least and which the most time, which the least energy per correct answer, and the accuracies."""
    models = parts.titles(dict.fromkeys(changed["model"]))
    ratios = changed["time_ratio"].astype(float)
    least, most = changed.iloc[int(ratios.argmin())], changed.iloc[int(ratios.argmax())]
    apart = (changed["difference_low"].astype(float) > 0) | (changed["difference_high"].astype(float) < 0)
    known = changed[changed["per_correct_ratio"].notna()]
    per_correct = ""
    if len(known):
        best = known.iloc[int(known["per_correct_ratio"].astype(float).argmin())]
        estimated = " (estimated)" if best["energy_kind"] == "estimated" else ""
        per_correct = (
            f" Least energy per correct answer{estimated} with {_named(best)}: "
            f"{units.significant(float(best['per_correct_ratio']), 2)} times that of the run without the change."
        )
    datasets = parts.listed([study().datasets[str(name)].title for name in dict.fromkeys(changed["dataset"])])
    return (
        f"{models}, {units.counted(changed['level'].nunique(), 'change')} of one factor at a time ({datasets}): {_named(least)} "
        f"needs the least time, {units.significant(float(least['time_ratio']), 2)} times that of the run without the change, and "
        f"{_named(most)} the most, {units.significant(float(most['time_ratio']), 2)} times. In {apart.sum()} of "
        f"{units.counted(len(changed), 'comparison')} accuracy differs by more than its 95 % interval.{per_correct}"
    )


def _named(row: "pd.Series[Any]") -> str:
    return f"{row['level']} ({study().datasets[str(row['dataset'])].title})"


def note(data: pd.DataFrame) -> str:
    """Say what is drawn, what the intervals are, and how far the numbers reach."""
    lead = (
        "Each mark compares a run with the run that differs from it in this one factor only; the dotted line means no change. "
        "Marks to the left of it needed less time, or less energy per correct answer."
    )
    changed = data[data["time_ratio"].notna()]
    if changed.empty:
        return ""
    kinds = parts.listed(sorted(set(changed["ratio_is"])))
    differences = parts.listed(sorted(set(changed["difference_is"])))
    energy = (
        " Energies are estimates from the load of the processor and a rule for memory; this machine has no energy counter."
        if set(data["energy_kind"]) == {"estimated"}
        else ""
    )
    return (
        f"{lead} Bars of ratios: {kinds}. Bars of accuracies: {differences}. The results are for one model on one machine: "
        f"with another model, a GPU or longer texts each of them can be reversed.{energy}"
    )


def alt(rows: pd.DataFrame, column: str, signed: bool = False) -> str:
    """Return each change with its number on each dataset, as the text for a plot."""
    sentences = []
    for dataset, group in rows.groupby("dataset", sort=False):
        values = [
            f"{row['level']} {row[column]:+.3f}"
            if signed
            else f"{row['level']} {units.significant(float(row[column]), 2)}"
            for _, row in group.iterrows()
        ]
        sentences.append(f"{study().datasets[str(dataset)].title}: {', '.join(values)}.")
    return " ".join(sentences)


def models(rows: pd.DataFrame) -> str:
    """Return the titles of the models of these runs."""
    return parts.listed([model_title(str(name)) for name in dict.fromkeys(rows["model"])])
