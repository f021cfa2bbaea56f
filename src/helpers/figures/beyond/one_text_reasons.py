"""What could explain durations that are too short for one text at a time; the printed values do not decide."""

import html

import pandas as pd

from helpers.figures.plots import tables as parts
from helpers.statistics import bandwidth_bound
from helpers.statistics.bandwidth_bound import (
    ANSWER,
    ANSWER_TOKENS,
    IMPOSSIBLE,
    PHI_ANSWER_TOKENS,
    SHORTENED,
)
from helpers.study import roofline
from helpers.study.catalogue import model_title, study

_FKTG, _V100S = "fktg", "V100S"


def explained(runs: pd.DataFrame, lacking: pd.DataFrame) -> str:
    """Return the list of what could explain the runs `lacking` time, and what more the other `runs` (of `bounds`) tell."""
    reasons = [
        ("Shorter answers", _shorter(lacking)),
        ("Several texts at a time", _several(lacking)),
        ("A cache of answers", _cache(lacking)),
        ("More cards than inferred", _more_cards(runs, lacking)),
        ("Smaller weights, or several tokens per reading", _SMALLER),
        ("Another card of that name", _other_card(lacking)),
    ]
    items = "".join(
        f"<li><strong>{html.escape(lead)}.</strong> {html.escape(text)}</li>"
        for lead, text in reasons
        if text
    )
    return (
        f'<p class="table-title">What could explain it</p><ul class="remarks">{items}</ul>'
        + paragraph(_OPEN)
        + paragraph(_two_nodes(runs))
    )


_SMALLER = (
    "Weights of 8 bits would double the tokens, and speculative decoding produces more than one token per reading; section 3.3 "
    "of the paper assumes 16 bits."
)
_OPEN = (
    "The paper prints no numbers of tokens, no accuracies for Paula and Clara, and nothing on concurrency or caches. So we do "
    "not know which of these is the reason, or whether it is the same on all cards."
)


def _shorter(lacking: pd.DataFrame) -> str:
    shortest = ANSWER.format(category="geoWK").replace("\n\n", " ").replace("\n", " ")
    return (
        f"The shortest full answer, {shortest}, has {ANSWER_TOKENS.complete} tokens with the one that ends it "
        f"({PHI_ANSWER_TOKENS.complete} for Phi), the longest {ANSWER_TOKENS.longest} ({PHI_ANSWER_TOKENS.longest}). DSPy also "
        f"reads an answer without its closing marker, which has {ANSWER_TOKENS.readable} tokens or more "
        f"({PHI_ANSWER_TOKENS.readable}). There is time for that in {_named(lacking, SHORTENED)}, if most categories were short "
        f"ones, but not in {_named(lacking, IMPOSSIBLE)}. The paper mentions a single token per inference (section 4.1.3), "
        "which is possible with every duration; but no answer in the template is that short."
    )


def _named(lacking: pd.DataFrame, verdict: str) -> str:
    rows = lacking[lacking["verdict"] == verdict]
    by_card = [
        f"{parts.titles(part['model'])} on the {card}" for card, part in rows.groupby("gpu_model", sort=False)
    ]
    return parts.listed(by_card) if by_card else "none"


def _several(lacking: pd.DataFrame) -> str:
    count = bandwidth_bound.texts_at_a_time(lacking)
    return (
        f"One reading of the weights serves several texts. By this bound {count} texts at a time are enough; in practice, more "
        "are needed."
    )


def _cache(lacking: pd.DataFrame) -> str:
    fktg = study().datasets[_FKTG]
    share = bandwidth_bound.cached_share(fktg.pool, fktg.split.test, int(lacking["splits"].iloc[0]))
    most = int((lacking["text_s"] / lacking["token_s"] / share).min())
    return (
        "By default, DSPy stores answers, and each text of FKTG is in half of the test sets. If the stored answers were kept "
        f"from one test set to the next, only about {100 * share:.0f} % of the requests would reach the model, with time for "
        f"{most} tokens or more. A cache of prompts in the engine is no explanation: prompts take no time in this bound."
    )


def _more_cards(runs: pd.DataFrame, lacking: pd.DataFrame) -> str:
    powers = []
    for card in lacking["gpu_model"].drop_duplicates():
        same = runs[(runs["gpu_model"] == card) & (runs["gpus_origin"] == "inferred")]
        own = same.index.isin(lacking.index)
        others = [f"{_watts(group['power_w'])} with {count}" for count, group in same[~own].groupby("gpus")]
        powers.append(
            f"on the {card} {_watts(same[own]['power_w'])}, where the other runs draw {parts.listed(others)}"
        )
    return (
        "The table above shows the tokens. The mean power of the runs suggests one card, if the numbers inferred for the others "
        f"are right: {'; '.join(powers)}."
    )


def _watts(power_w: pd.Series) -> str:
    low, high = f"{power_w.min():.0f}", f"{power_w.max():.0f}"
    return f"{low} W" if low == high else f"{low} to {high} W"


def _other_card(lacking: pd.DataFrame) -> str:
    clara = lacking[lacking["gpu_model"] == "V100"]
    most = bandwidth_bound.most_on_card(clara, _V100S)
    tokens = [f"{count} for {model_title(model)}" for model, count in zip(clara["model"], most, strict=True)]
    rate = roofline.gpus()[_V100S].bandwidth_tb_per_s
    return f"A {_V100S} has {rate:g} TB/s and time for more tokens: {parts.listed(tokens)}." if tokens else ""


def _two_nodes(runs: pd.DataFrame) -> str:
    """Say how runs of dense models on two nodes compare with one node: equal tokens are what one text at a time gives."""
    capella = runs[(runs["machine"] == "capella") & (runs["family"] != "Deepseek")]
    dense = capella[
        [bandwidth_bound.language_model(name).active_parameters_b is None for name in capella["model"]]
    ]
    pairs = dense[dense["nodes"] == 2].merge(
        dense[dense["nodes"] == 1], on=["model", "gpus"], suffixes=("", "_one")
    )
    compared = [
        f"{row['most_tokens']} tokens against {row['most_tokens_one']} ({model_title(row['model'])})"
        for _, row in pairs.iterrows()
    ]
    return (
        "On Capella there is more evidence for one text at a time. Two nodes process a text one after the other, and their "
        "longer durations leave time for about as many tokens as one node with the same number of cards: "
        f"{parts.listed(compared)}."
    )


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"
