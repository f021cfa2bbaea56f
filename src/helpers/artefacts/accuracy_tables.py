"""The tables under the accuracy gaps: the paper's comparisons, the noise by dataset, our paired tests."""

import pandas as pd

from helpers.show import html_table
from helpers.statistics import accuracy_gaps as gaps
from helpers.study import model_title, study

NAMED = (
    ("fktg", "linear-embedding", "qwen-2.5-72b", "4: the best is a traditional model"),
    ("fktg", "qwen-2.5-72b", "qwen-2.5-7b", "4: minor reduction"),
    ("fktg", "linear-tfidf", "phi-3.5-moe", "4: Tf-idf beats LLMs"),
    ("news", "llama-3.1-70b", "linear-embedding", "5.1: 0.05 points higher"),
    ("yelp", "qwen-2.5-72b", "qwen-2.5-7b", "5.1: slightly lower"),
    ("tomatoes", "llama-3.1-70b", "linear-embedding", "5.1: traditional models fail"),
    ("tomatoes", "llama-3.1-70b", "jamba-mini-1.5", "5.1: strong accuracy"),
    ("emotion", "ds-llama-70b", "phi-3.5-moe", "5.1: slightly surpasses"),
    ("emotion", "ds-llama-70b", "linear-embedding", "5.1: among the top"),
)
"""Comparisons of the paper: dataset, the model it sees ahead or on top, the other one, place and word."""


def available(dataset: str) -> int | None:
    """Return how many texts a dataset has in all, where the study says so."""
    return study().datasets[dataset].texts


def sets(split_results: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of campaign and dataset that were measured."""
    if split_results.empty:
        return []
    pairs = split_results[["source", "dataset"]].drop_duplicates()
    return list(zip(pairs["source"], pairs["dataset"], strict=True))


def named(results: pd.DataFrame) -> str:
    """Return the table of the paper's own comparisons."""
    rows = []
    for dataset, better, worse, place in NAMED:
        rows_of = {
            str(row["model"]): row for _, row in gaps.published_accuracies(results, dataset).iterrows()
        }
        if {better, worse} <= set(rows_of):
            gap = gaps.gap_between(rows_of[better], rows_of[worse], available(dataset))
            rows.append(
                {
                    "Dataset": study().datasets[dataset].title,
                    "Models": f"{model_title(better)} and {model_title(worse)}",
                    "Gap": f"{gap.gap:.2f}",
                    "Noise, ten splits": f"{gaps.Z * gap.error_ten_splits:.3f}",
                    "Noise, one split": f"{gaps.Z * gap.error_one_split:.3f}",
                    "The gap is": gap.verdict,
                    "Section": place,
                }
            )
    caption = "Comparisons that the paper makes: the gap and the 95 % noise of a difference, unpaired"
    return html_table(pd.DataFrame(rows), caption, ("Gap", "Noise, ten splits", "Noise, one split"))


def noise(results: pd.DataFrame, published: pd.DataFrame) -> str:
    """Return the table of what noise hides on each dataset; `published` are the gaps to the best."""
    rows = []
    for dataset, of_set in published.groupby("dataset", sort=False):
        best = gaps.published_accuracies(results, str(dataset)).iloc[0]
        texts = int(best["texts"])
        most = gaps.most_texts(texts, available(str(dataset)))
        rows.append(
            {
                "Dataset": study().datasets[str(dataset)].title,
                "Best": f"{model_title(best['model'])} ({best['accuracy']:.2f})",
                "Standard error, one split": f"{gaps.standard_error(best['accuracy'], texts):.3f}",
                "Texts": f"{texts} to {most}",
                "Smallest gap to tell": f"{gaps.smallest_gap(best['accuracy'], most):.3f} to "
                f"{gaps.smallest_gap(best['accuracy'], texts):.3f}",
                "Within the noise of the best": _names(of_set, gaps.NO),
                "Cannot be told from the best": _names(of_set, gaps.UNSURE),
            }
        )
    caption = "Which models are as good as the best? Bounds: ten independent splits, or all texts of the dataset, and one split"
    return html_table(
        pd.DataFrame(rows), caption, ("Standard error, one split", "Texts", "Smallest gap to tell")
    )


def _names(rows: pd.DataFrame, said: str) -> str:
    return ", ".join(model_title(name) for name in rows.loc[rows["verdict"] == said, "worse"]) or "none"


def paired(split_results: pd.DataFrame, measured: pd.DataFrame) -> str:
    """Return the table of our paired comparisons; `measured` are all pairs of models."""
    if measured.empty:
        return '<p class="absent">Paired comparisons: not measured on this machine.</p>'
    rows = []
    for source, dataset in sets(split_results):
        pairs = measured[(measured["source"] == source) & (measured["dataset"] == dataset)]
        wide = gaps.by_split(split_results, source, dataset)
        if pairs.empty:
            continue
        told = pairs["verdict"].value_counts()
        mixed = (
            gaps.mixed_model(wide, str(pairs["better"].iloc[0])) if len(wide) >= gaps.MIXED_SPLITS else None
        )
        rows.append(
            {
                "Campaign": source,
                "Dataset": study().datasets[dataset].title,
                "Models": wide.shape[1],
                "Splits": len(wide),
                "Pairs": len(pairs),
                "Larger than the noise": told.get(gaps.YES, 0),
                "Only if splits are independent": told.get(gaps.UNSURE, 0),
                "Within the noise": told.get(gaps.NO, 0),
                "Standard error of a gap, mixed model": None
                if mixed is None
                else f"{mixed.effects['std_error'].mean():.3f}",
                "Variance that splits share": None
                if mixed is None or mixed.split_share is None
                else f"{mixed.split_share:.0%}",
            }
        )
    caption = (
        "Our runs, all pairs of models over the same splits, Holm-corrected: paired t-test with the variance corrected for "
        "overlapping splits (strict) and without (right where splits are drawn from a large pool), and a mixed model with a "
        "random intercept per split"
    )
    numbers = ("Standard error of a gap, mixed model", "Variance that splits share")
    return html_table(pd.DataFrame(rows), caption, numbers)
