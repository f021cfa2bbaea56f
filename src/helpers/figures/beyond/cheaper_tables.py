"""The tables of the page on single factors: the effects, the runs, their failures, and the paper's list of what it left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from helpers.core import units
from helpers.figures.beyond import cheaper_words as words
from helpers.figures.display import html_table
from helpers.figures.plots import tables as parts
from helpers.figures.plots.failures import wasted
from helpers.figures.plots.intervals import cells, signed, span, with_range
from helpers.study.catalogue import study


@dataclass(frozen=True)
class LeftOut:
    """Something that the paper did not vary, with the factors that bear on it here and what these leave open."""

    what: str
    factors: Sequence[str] = ()
    remark: str = ""


NAMED = (
    LeftOut("Examples in the prompt", ("examples",)),
    LeftOut(
        "Another prompt, background on data and categories",
        remark="Not measured here.",
    ),
    LeftOut("Fine-tuning", remark="Not measured here."),
    LeftOut(
        "Quantised weights",
        ("engine",),
        "Both engines use the same quantised values, one of them converted back to 16 bits, so the effect of quantisation on "
        "accuracy is not measured.",
    ),
    LeftOut(
        "Training, setting up a server, development, network and disks",
        remark="Not included in these numbers; for classifiers see the break-even of training.",
    ),
    LeftOut(
        "A meter that is read every 15 seconds, covers the whole machine and estimates memory",
        remark="Here the meter is read at the start and end of each pass; without a counter the processor is estimated as well.",
    ),
)
"""The paper's own list in its section 5, in neutral words."""
NOT_NAMED = (
    LeftOut("Texts sent at the same time", ("texts at a time",)),
    LeftOut("The engine's prefix cache", ("prefix cache",)),
    LeftOut("Answers restricted to the categories", ("answer",)),
    LeftOut("The language of the instruction", ("language",)),
    LeftOut("Client settings of early 2025", ("protocol",)),
)
"""What the paper neither varies nor lists."""


def body(data: pd.DataFrame, changed: pd.DataFrame) -> str:
    """Return the tables of the `cheaper.compared` runs; `changed` are those with a partner."""
    if data.empty:
        return ""
    alone = data[(data["role"] == "changed") & data["time_ratio"].isna() | (data["role"] == "alone")]
    without = (
        parts.paragraph(
            f"No run to compare with: {units.counted(len(alone), 'run')}, listed in the second table only."
        )
        if len(alone)
        else ""
    )
    failures = wasted(
        data, "Answers without a category: their kinds, tokens and time", "All answers had a category."
    )
    return (
        (_effects(data, changed) + _left_out(changed) if len(changed) else "")
        + without
        + _runs(data)
        + failures
    )


def _effects(data: pd.DataFrame, changed: pd.DataFrame) -> str:
    levels = dict(zip(data["origin"], data["level"], strict=True))
    shown = pd.DataFrame(
        {
            "Dataset": _datasets(changed),
            "Change": changed["level"],
            "Times as long": with_range(changed, "time"),
            "Times the energy": cells(changed["energy_ratio"]),
            "the same per correct answer": with_range(changed, "per_correct"),
            "Accuracy": cells(changed["difference"], signed),
            "95 %": span(changed, "difference", signed),
            "Splits": changed["shared_splits"].astype(int),
            "Beside": changed["partner"].map(levels),
        }
    )
    numbers = ["Times as long", "Times the energy", "the same per correct answer", "Accuracy", "95 %"]
    kinds = parts.listed(sorted(set(changed["ratio_is"])))
    noise = parts.listed(sorted(set(changed["difference_is"])))
    meant = "; ".join(
        f"{parts.listed(words.ordered(set(rows['level'])))}: {words.EXPLAINED[str(factor)]}"
        for factor, rows in changed.groupby("factor", sort=False)
    )
    return html_table(
        shown, "Effect of each change, compared with the run without it", numbers
    ) + parts.paragraph(
        f"{meant}. Ranges of times and energies: {kinds}. Differences of accuracies: {noise}."
    )


def _left_out(changed: pd.DataFrame) -> str:
    return "".join(
        f'<p class="table-title">{title}</p>'
        + parts.remarks(f"{item.what}. {_outcome(changed, item)}" for item in items)
        for title, items in (
            ("What section 5 of the paper lists as left out, measured for this model and machine", NAMED),
            ("What the paper neither varied nor lists", NOT_NAMED),
        )
    )


def _levels(changed: pd.DataFrame, item: LeftOut) -> list[str]:
    return words.ordered(set(changed.loc[changed["factor"].isin(item.factors), "level"]))


def _outcome(changed: pd.DataFrame, item: LeftOut) -> str:
    rows = changed[changed["factor"].isin(item.factors)]
    measured = [_sentence(level, rows[rows["level"] == level]) for level in _levels(changed, item)]
    remark = item.remark if measured or not item.factors else "Not measured here."
    return " ".join(filter(None, (*measured, remark)))


def _sentence(level: str, rows: pd.DataFrame) -> str:
    """Say what a change did on each dataset: time, energy per correct answer, accuracy and whether that is noise."""
    outcomes = []
    for _, row in rows.iterrows():
        noise = row["difference_low"] <= 0 <= row["difference_high"]
        per_correct = (
            f", {units.significant(float(row['per_correct_ratio']), 2)} times the energy per correct answer"
            if pd.notna(row["per_correct_ratio"])
            else ""
        )
        outcomes.append(
            f"{study().datasets[str(row['dataset'])].title} {units.significant(float(row['time_ratio']), 2)} times as long"
            f"{per_correct}, accuracy {signed(row['difference'])}{' (within the noise)' if noise else ''}"
        )
    return f"{level}: {'; '.join(outcomes)}."


def _runs(data: pd.DataFrame) -> str:
    texts = data["texts"].astype(float)
    shown = pd.DataFrame(
        {
            "Dataset": _datasets(data),
            "Run": data["level"],
            "Accuracy": data["accuracy"].map("{:.3f}".format),
            "Duration (s)": cells(data["duration_s"]),
            "Energy (Wh)": cells(data["energy_wh"]),
            "mWh per correct answer": cells(1e3 * data["wh_per_correct"].astype(float)),
            "Without a category": cells(data["parse_failures"]),
            "Tokens in per text": cells(data["tokens_in"].astype(float) / texts),
            "out": cells(data["tokens_out"].astype(float) / texts),
            "Energy is": data["energy_kind"],
            "Splits": data["splits"],
            "Engine": data["engine"],
            "Weights": data["weights"],
            "Checks failed": data["checks_failed"].replace("", "none"),
        }
    )
    labels = ("Dataset", "Run", "Engine", "Weights", "Energy is", "Checks failed")
    count = ", ".join(sorted({str(number) for number in data["texts"]}))
    return html_table(
        shown,
        f"The runs, {words.models(data)}: one pass over {count} texts",
        [name for name in shown if name not in labels],
    )


def _datasets(rows: pd.DataFrame) -> list[str]:
    return [study().datasets[name].title for name in rows["dataset"]]
