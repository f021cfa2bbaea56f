"""The tables under the accuracy gaps: the paper's comparisons, the noise by dataset, our paired tests."""

import pandas as pd

from helpers.figures.display import html_table
from helpers.results.tables import select_real
from helpers.statistics import accuracy_gaps as gaps
from helpers.statistics.accuracy_noise import Z, smallest_gap, split_variance
from helpers.study.catalogue import model_title, study

BEST = "best"
"""The best model of a dataset, which the paper does not name: of equals the one with the least energy, as on every page."""
NAMED = (
    ("fktg", "linear-embedding", "qwen-2.5-72b", "4: the best is a traditional model"),
    ("fktg", "qwen-2.5-72b", "qwen-2.5-7b", "4: minor reduction"),
    ("fktg", "linear-tfidf", "phi-3.5-moe", "4: Tf-idf beats LLMs"),
    ("news", "llama-3.1-70b", "linear-embedding", "5.1: 0.05 points higher"),
    ("yelp", "qwen-2.5-72b", "qwen-2.5-7b", "5.1: slightly lower"),
    ("tomatoes", BEST, "linear-embedding", "5.1: traditional models fail"),
    ("tomatoes", BEST, "llama-3.1-70b", "5.1: strong accuracy of Jamba Mini 1.5"),
    ("emotion", "ds-llama-70b", "phi-3.5-moe", "5.1: slightly surpasses"),
    ("emotion", "ds-llama-70b", "linear-embedding", "5.1: among the top"),
)
"""Comparisons of the paper: dataset, the model it sees ahead or on top, the other one, section and word."""


def sets(split_results: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of campaign and dataset that were measured, but those of invented texts."""
    if split_results.empty:
        return []
    pairs = select_real(split_results)[["source", "dataset"]].drop_duplicates()
    return list(zip(pairs["source"], pairs["dataset"], strict=True))


def named(published: pd.DataFrame) -> str:
    """Return the table of the paper's own comparisons; `published` are accuracies, the best of a dataset first."""
    rows = []
    for dataset, named_better, worse, section in NAMED:
        of_dataset = published[published["dataset"] == dataset]
        by_model = {str(row["model"]): row for _, row in of_dataset.iterrows()}
        better = next(iter(by_model), BEST) if named_better == BEST else named_better
        if {better, worse} <= set(by_model):
            gap = gaps.gap_between(by_model[better], by_model[worse])
            rows.append(
                {
                    "Dataset": study().datasets[dataset].title,
                    "Models": f"{model_title(better)} and {model_title(worse)}",
                    "Gap": f"{gap.gap:.2f}",
                    "Noise (95 %)": f"{Z * gap.std_error:.3f}",
                    "Gap / standard error": f"{gap.gap / gap.std_error:.1f}",
                    "The gap is": gap.verdict,
                    "Section": section,
                }
            )
    caption = "Comparisons that the paper makes: the gap and the 95 % noise of a difference between two means, unpaired"
    return html_table(pd.DataFrame(rows), caption, ("Gap", "Noise (95 %)", "Gap / standard error"))


def noise(published: pd.DataFrame, to_best: pd.DataFrame) -> str:
    """Return the table of what noise hides on each dataset; `published` as in `named`, `to_best` their gaps."""
    rows = []
    for dataset, group in to_best.groupby("dataset", sort=False):
        best = published[published["dataset"] == dataset].iloc[0]
        entry = study().datasets[str(dataset)]
        effective = float(group["effective_texts"].iloc[0])
        rows.append(
            {
                "Dataset": entry.title,
                "Drawn from": f"{entry.pool:,}" + ("" if entry.texts else " (assumed)"),
                "Independent texts": f"{effective:,.0f}",
                "Best": f"{model_title(best['model'])} ({best['accuracy']:.2f})",
                "Smallest detectable gap": f"{smallest_gap(best['accuracy'], effective):.3f}",
                "Within the noise of the best": _names(group, gaps.NOISE),
                "Undecided due to rounding": _names(group, gaps.ROUNDING),
            }
        )
    caption = (
        "Which models are as good as the best? Independent texts: how many would give the same noise as the mean over ten "
        "overlapping test sets"
    )
    return html_table(
        pd.DataFrame(rows), caption, ("Drawn from", "Independent texts", "Smallest detectable gap")
    )


def _names(rows: pd.DataFrame, verdict: str) -> str:
    return ", ".join(model_title(name) for name in rows.loc[rows["verdict"] == verdict, "worse"]) or "none"


def paired(split_results: pd.DataFrame, measured: pd.DataFrame) -> str:
    """Return the table of our paired comparisons; `measured` are all pairs of models."""
    if measured.empty:
        return '<p class="absent">Paired comparisons: not measured by us.</p>'
    rows = []
    for source, dataset in sets(split_results):
        pairs = measured[(measured["source"] == source) & (measured["dataset"] == dataset)]
        wide = gaps.by_split(split_results, source, dataset)
        if pairs.empty:
            continue
        verdicts = pairs["verdict"].value_counts()
        overlap = float(pairs["overlap"].iloc[0])
        mixed = (
            gaps.mixed_model(wide, str(pairs["better"].iloc[0]), overlap)
            if len(wide) >= gaps.MIXED_SPLITS
            else None
        )
        rows.append(
            {
                "Campaign": source,
                "Dataset": study().datasets[dataset].title,
                "Models": wide.shape[1],
                "Splits": len(wide),
                "Pairs": len(pairs),
                "Texts shared by two test sets": f"{overlap:.1%}",
                "Larger than the noise": verdicts.get(gaps.CLEAR, 0),
                "Within the noise": verdicts.get(gaps.NOISE, 0),
                "Variance over splits / that of test texts": _variance_ratio(wide, dataset, overlap),
                "Standard error of a gap, mixed model": None
                if mixed is None
                else f"{mixed.effects['std_error'].mean():.3f}",
                "Variance shared by splits": None
                if mixed is None or mixed.split_share is None
                else f"{mixed.split_share:.0%}",
            }
        )
    caption = (
        "Our runs, all pairs of models over the same splits, Holm-corrected: paired t-test whose variance allows for the "
        "texts that test sets share, and a mixed model with a random intercept per split. Where accuracies vary more over "
        "splits than the test texts explain, the training sets add noise, also to the published values"
    )
    numbers = (
        "Texts shared by two test sets",
        "Variance over splits / that of test texts",
        "Standard error of a gap, mixed model",
        "Variance shared by splits",
    )
    return html_table(pd.DataFrame(rows), caption, numbers)


def _variance_ratio(accuracies: pd.DataFrame, dataset: str, overlap: float) -> str | None:
    """Return the variance of accuracies over splits, by what the choice of test texts explains; mean over models.

    None where every model is always right, or always wrong: the choice of texts explains nothing then.
    """
    texts = study().datasets[dataset].split.test
    explained = sum(split_variance(accuracy, texts, overlap) for accuracy in accuracies.mean())
    return f"{accuracies.var().sum() / explained:.1f}" if explained else None
