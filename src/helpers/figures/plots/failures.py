"""What answers without a category took: their number by kind, and the tokens and seconds that went into them."""

from collections import Counter
from typing import Any

import pandas as pd

from helpers.core import units
from helpers.figures.display import html_table
from helpers.figures.plots import tables as parts
from helpers.results.predictions import answers_of_run
from helpers.study.catalogue import model_title, study

_ANSWERED = "category"


def wasted(runs: pd.DataFrame, caption: str, absent: str) -> str:
    """Return a table of the runs of language models (rows of `results`) that left texts without a category.

    Numbers are over all splits, from the outcomes of the single texts. The sentence `absent` stands where no run did;
    a run whose outcomes cannot be read has its number of failures and dashes.
    """
    failing = runs[pd.to_numeric(runs["parse_failures"]) > 0]
    if failing.empty:
        return parts.paragraph(absent)
    shown = pd.DataFrame([_wasted(row) for row in failing.to_dict("records")])
    return html_table(shown, caption, [name for name in shown if name not in ("Dataset", "Model", "By kind")])


def _wasted(row: dict[Any, Any]) -> dict[str, object]:
    texts = float(row["texts"]) * float(row["splits"])
    failures = float(row["parse_failures"]) * float(row["splits"])
    outcome = {
        "Dataset": study().datasets[str(row["dataset"])].title,
        "Model": model_title(str(row["model"])),
        "Texts": f"{texts:.0f}",
        "Without a category": f"{failures:.0f} ({100 * failures / texts:.0f} %)",
    }
    answers = answers_of_run(str(row["origin"]))
    if answers is None or "kind" not in answers:
        return {
            **outcome,
            "By kind": None,
            "Their tokens": None,
            "of all generated": None,
            "Their time": None,
        }
    failed = answers["kind"] != _ANSWERED
    kinds = Counter(answers.loc[failed, "kind"].astype(str))
    tokens, latency = pd.to_numeric(answers["tokens_out"]), pd.to_numeric(answers["latency_s"])
    alone = row["concurrency"] == 1  # else the times of texts overlap
    known = bool(tokens.notna().all()) and tokens.sum() > 0
    share = float(tokens[failed].sum() / tokens.sum()) if known else None
    return {
        **outcome,
        "By kind": ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()),
        "Their tokens": f"{tokens[failed].sum():.0f}" if known else None,
        "of all generated": None if share is None else f"{100 * share:.0f} %",
        "Their time": units.duration(float(latency[failed].sum()), 3)
        if alone and latency.notna().all()
        else None,
    }
