"""The tables of the page on one machine: the comparisons, the runs, what failed, and the statements that were tested."""

import html
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pandas as pd

from helpers.claims import counts
from helpers.claims.ledger import Assessment
from helpers.claims.verdicts import OPEN
from helpers.core import units
from helpers.figures.beyond.claims import verdict_html
from helpers.figures.display import html_table
from helpers.figures.html import page_link
from helpers.figures.plots import tables as parts
from helpers.figures.plots.comparable import folded
from helpers.figures.plots.failures import wasted
from helpers.figures.plots.intervals import cells, signed, span, with_range
from helpers.study.catalogue import model_title, study


def body(runs: pd.DataFrame, measured: pd.DataFrame, printed: pd.DataFrame) -> str:
    """Return the tables of `one_machine.rows`, their `comparisons`, and those of the `published` runs."""
    if runs.empty:
        return _published(printed)
    return _compared(measured) + _published(printed) + _failures(runs) + _runs(runs)


def _compared(measured: pd.DataFrame) -> str:
    if measured.empty:
        return parts.paragraph(
            "No dataset has both a language model and a classifier, so nothing is compared."
        )
    ends = parts.listed(sorted(set(measured["ratio_is"])))
    noise = parts.listed(sorted(set(measured["difference_is"])))
    tables = "".join(
        _beside(
            measured[measured["rival"] == rival],
            f"Language models beside {rival}",
        )
        for rival in dict.fromkeys(measured["rival"])
    )
    return tables + parts.paragraph(f"Ranges of times: {ends}. Differences of accuracies: {noise}.")


def _beside(rows: pd.DataFrame, caption: str) -> str:
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in rows["dataset"]],
            "Language model": _short_titles(rows["model"]),
            "Classifier": rows["classifier"].map(model_title),
            "Times as long": with_range(rows, "time", parts.times),
            "Times the energy": cells(rows["energy_ratio"], parts.times),
            "Accuracies": _pair(rows, 3),
            "Difference": cells(rows["difference"], signed),
            "95 %": span(rows, "difference", signed),
            "Splits": rows["splits"],
            "Energy is": rows["energy_kind"],
            "Checks failed": rows["checks_failed"].replace("", "none"),
        }
    )
    return html_table(
        shown, caption, ["Times as long", "Times the energy", "Accuracies", "Difference", "95 %"]
    )


def _short_titles(models: "pd.Series[str]") -> "pd.Series[str]":
    return models.map(model_title).str.removesuffix("-Instruct")


def _pair(rows: pd.DataFrame, digits: int) -> list[str]:
    both = zip(rows["accuracy"], rows["classifier_accuracy"], strict=True)
    return [f"{own:.{digits}f}, {other:.{digits}f}" for own, other in both]


def _published(printed: pd.DataFrame) -> str:
    digits = 2  # as the paper prints them
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in printed["dataset"]],
            "Language model": printed["model"].map(model_title),
            "Classifier": printed["classifier"].map(model_title),
            "Times the energy": with_range(printed, "energy", parts.times),
            "Accuracies": _pair(printed, digits),
            "Difference": cells(printed["difference"], partial(signed, digits=digits)),
            "Rounding allows": span(printed, "difference", partial(signed, digits=digits)),
            "Energies are": printed["energy_kind"],
        }
    )
    return html_table(
        shown,
        "The paper's most accurate models of both kinds, as published: one Capella node, no durations printed",
        ["Times the energy", "Accuracies", "Difference", "Rounding allows"],
    )


def _runs(runs: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in runs["dataset"]],
            "Model": _short_titles(runs["model"]),
            "Accuracy": runs["accuracy"].map("{:.3f}".format),
            "s for 1000 texts": cells(runs["s_per_1000_texts"]),
            "Wh for 1000 texts": cells(runs["wh_per_1000_texts"]),
            "Energy is": runs["energy_kind"],
            "Splits": runs["splits"],
            "Texts a split": runs["texts"],
            "Weights": runs["weights"],
            "Checks failed": runs["checks_failed"].replace("", "none"),
            "Checkpoint": runs["checkpoint"],
        }
    )
    numbers = ["Accuracy", "s for 1000 texts", "Wh for 1000 texts"]
    caption = f"All runs, on {', '.join(sorted(set(runs['machine'])))}"
    return folded(
        f"Table: {units.counted(len(runs), 'run')} behind the figure", html_table(shown, caption, numbers)
    )


def _failures(runs: pd.DataFrame) -> str:
    llms = runs[runs["family"] != "Traditional"]
    return wasted(
        llms, "Answers without a category: their kinds, tokens and time", "All answers had a category."
    )


def claims(ledger: Sequence[Assessment]) -> str:
    """Return which statements of the paper hold in the new measurement, those that do not hold first."""
    statements = counts.statements(ledger)
    tested = [item for item in statements if item.verdict != OPEN]
    link = page_link("claims", "claim ledger")
    if not tested:
        return parts.paragraph("None of the paper's statements can be tested with these runs.")
    tested.sort(key=lambda item: " not " not in f" {item.word} ")
    words = Counter(item.word for item in tested)
    items = "".join(
        f"<li>{verdict_html(item.word)} {html.escape(item.claim.says)} "
        f'<span class="note">({html.escape(item.claim.place)})</span></li>'
        for item in tested
    )
    title = f"Statements of the paper tested with these runs: {len(tested)} of {len(statements)}"
    verdicts = parts.listed([f"{word} {count}" for word, count in words.most_common()])
    asked = (
        " Where the paper's own models were not measured, the statements are tested on those that were."
        if any(item.counterpart for item in tested)
        else ""
    )
    return (
        f'<p class="table-title">{title}</p><p class="note">{verdicts}.{asked} The numbers, the readings, and why the others '
        f'cannot be tested, are in the {link}.</p><ul class="remarks">{items}</ul>'
    )
