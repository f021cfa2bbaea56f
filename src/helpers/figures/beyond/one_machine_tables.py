"""The tables of the page on one machine: the comparisons, the runs, what failed, and the statements that were tested."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import pandas as pd

from helpers.claims import counts
from helpers.claims.ledger import Assessment
from helpers.claims.verdicts import FAILS, OPEN, VERDICTS
from helpers.figures.beyond.claims import verdict_html
from helpers.figures.display import html_table
from helpers.figures.html import page_link
from helpers.figures.plots import tables as parts
from helpers.figures.plots.failures import wasted
from helpers.figures.plots.intervals import cells, signed, span
from helpers.study.catalogue import model_title, study


def body(runs: pd.DataFrame, measured: pd.DataFrame, printed: pd.DataFrame) -> str:
    """Return the tables of `one_machine.rows`, their `comparisons`, and those of the `published` runs."""
    of_runs = _compared(measured) + _failures(runs) + _runs(runs) if len(runs) else ""
    return of_runs + _published(printed)


def _compared(measured: pd.DataFrame) -> str:
    if measured.empty:
        return parts.paragraph(
            "No dataset has both a language model and a classifier, so nothing is compared."
        )
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in measured["dataset"]],
            "Language model": measured["model"].map(model_title),
            "Accuracy": measured["accuracy"].map("{:.3f}".format),
            "Classifier": measured["classifier"].map(model_title),
            "chosen as": measured["rival"],
            "its accuracy": measured["classifier_accuracy"].map("{:.3f}".format),
            "Difference": cells(measured["difference"], signed),
            "95 %": span(measured, "difference", signed),
            "Time, times": cells(measured["time_ratio"], parts.times),
            "from to": span(measured, "time", parts.times),
            "Energy, times": cells(measured["energy_ratio"], parts.times),
            "Energy is": measured["energy_kind"],
            "Splits": measured["splits"],
            "Checks failed": measured["checks_failed"].replace("", "none"),
        }
    )
    ends = parts.listed(sorted(set(measured["ratio_is"])))
    noise = parts.listed(sorted(set(measured["difference_is"])))
    return html_table(
        shown,
        "Language model to classifier on one machine",
        ["Accuracy", "its accuracy", "Difference", "95 %", "Time, times", "from to", "Energy, times"],
    ) + parts.paragraph(f"Difference of accuracies: {noise}. Ratio of times: {ends}.")


def _published(printed: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in printed["dataset"]],
            "Language model": printed["model"].map(model_title),
            "Accuracy": printed["accuracy"].map("{:.2f}".format),
            "Classifier": printed["classifier"].map(model_title),
            "its accuracy": printed["classifier_accuracy"].map("{:.2f}".format),
            "Difference": cells(printed["difference"], partial(signed, digits=2)),
            "rounding allows": span(printed, "difference", partial(signed, digits=2)),
            "Energy, times": cells(printed["energy_ratio"], parts.times),
            "from to": span(printed, "energy", parts.times),
            "Energy is": printed["energy_kind"],
        }
    )
    return html_table(
        shown,
        "The same of the paper's models, as published: one Capella node, durations not printed",
        ["Accuracy", "its accuracy", "Difference", "rounding allows", "Energy, times", "from to"],
    )


def _runs(runs: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "Dataset": [study().datasets[name].title for name in runs["dataset"]],
            "Model": runs["model"].map(model_title),
            "Checkpoint": runs["checkpoint"],
            "Weights": runs["weights"],
            "Splits": runs["splits"],
            "Texts a split": runs["texts"],
            "Accuracy": runs["accuracy"].map("{:.3f}".format),
            "s for 1000 texts": cells(runs["s_per_1000_texts"]),
            "Wh for 1000 texts": cells(runs["wh_per_1000_texts"]),
            "Energy is": runs["energy_kind"],
            "Checks failed": runs["checks_failed"].replace("", "none"),
        }
    )
    numbers = ["Accuracy", "s for 1000 texts", "Wh for 1000 texts"]
    return html_table(shown, f"All runs, on {', '.join(sorted(set(runs['machine'])))}", numbers)


def _failures(runs: pd.DataFrame) -> str:
    llms = runs[runs["family"] != "Traditional"]
    return wasted(
        llms, "Answers without a category, by kind, and what they took", "All answers had a category."
    )


def claims(ledger: Sequence[Assessment]) -> str:
    """Return which statements of the paper hold in the new measurement, those that do not hold first."""
    statements = counts.statements(ledger)
    tested = [item for item in statements if item.verdict != OPEN]
    link = page_link("claims", "claim ledger")
    if not tested:
        return parts.paragraph("None of the paper's statements can be tested with these runs.")
    order = [FAILS, *(word for word in VERDICTS if word != FAILS)]
    tested.sort(key=lambda item: order.index(item.word))
    words = Counter(item.word for item in tested)
    shown = pd.DataFrame(
        {
            "Verdict": [verdict_html(item.word) for item in tested],
            "Statement": [item.claim.says for item in tested],
            "Paper": [item.claim.place for item in tested],
            "Why": [item.reason for item in tested],
        },
        dtype=object,  # pandas' own type for text would lose the markup
    )
    verdicts = parts.listed([f"{word} {count}" for word, count in words.most_common()])
    return (
        html_table(
            shown, f"Statements of the paper tested with these runs: {len(tested)} of {len(statements)}"
        )
        + f'<p class="note">{verdicts}. All readings, and why the others cannot be tested, are in the {link}.</p>'
    )
