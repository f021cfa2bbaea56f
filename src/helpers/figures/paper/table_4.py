"""Table 4: the datasets (paper, Table 4 and section 3), what our catalogue has, and the best guess without reading."""

import pandas as pd

from helpers.core import paths
from helpers.figures.display import Figure, html_table
from helpers.figures.plots import tables as parts
from helpers.records.storage import read_record
from helpers.results.tables import Tables, select_real
from helpers.statistics import selection
from helpers.study.catalogue import DatasetEntry, model_title, paper_datasets, study


def table_4(tables: Tables) -> Figure:
    """Show Table 4 as printed, the datasets of our catalogue with the best guess without reading, and what was measured."""
    return draw(rows(tables), measured_datasets(tables.results), tables.printed["table_4_datasets"])


def draw(catalogue: pd.DataFrame, measured: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """Lay out the printed table, the `rows` of our catalogue and the `measured_datasets`."""
    heads = {"dataset": "Dataset", "classification_task": "Classification task", "hf_id": "Repository"}
    body = html_table(printed[list(heads)].rename(columns=heads), "As published")
    body += html_table(
        _with_best_guess(catalogue),
        "In our catalogue: the datasets of the paper, and others",
        _NUMBERS,
    )
    body += parts.block(measured, "Measured", "No dataset was measured by us.", _HEADINGS)
    return Figure(
        name="table_4_datasets",
        label="Table 4",
        finding=_finding(catalogue),
        note=(
            "Best guess is the accuracy of always naming the most frequent label; where the shares of the labels are not "
            "published, it is at least one divided by the number of labels. Each of the ten "
            "splits has as many texts to train on and to test as shown, and every model gets the same splits. "
            f"{_same_repositories(printed, catalogue)}"
        ),
        data=pd.concat([catalogue, measured], ignore_index=True),
        function="helpers.figures.paper.table_4.table_4",
        body=body,
        inputs=parts.inputs(catalogue["origin"], measured["origin"]),
    )


def rows(tables: Tables) -> pd.DataFrame:
    """Return the datasets of our catalogue, one row each.

    Columns, among others: `chance`, the accuracy of always naming the `most_frequent` label, and `best_accuracy`, the
    best published one, of `best_model` and `best_tied` models in all.
    """
    results, printed = tables.results, tables.printed["table_4_datasets"]
    catalogue = []
    for name, entry in study().datasets.items():
        published = results[
            (results["source"] == "published") & (results["dataset"] == name) & results["accuracy"].notna()
        ]
        linked_in = ["table_4_datasets"] if name in set(printed["dataset"]) else []
        tied = selection.tied_for_best(published) if len(published) else published
        best = tied.iloc[0] if len(tied) else None
        catalogue.append(
            {
                "source": "catalogue",
                "dataset": name,
                "language": entry.language,
                "labels": len(entry.labels),
                "most_frequent": None if entry.largest_class is None else entry.largest_class.label,
                "chance": entry.chance,
                "chance_from": "number of labels"
                if entry.largest_class is None
                else entry.largest_class.source,
                "train_texts": entry.split.train,
                "test_texts": entry.split.test,
                "synthetic": entry.synthetic,
                "data_from": _data_source(entry),
                "best_accuracy": None if best is None else best["accuracy"],
                "best_model": None if best is None else best["model"],
                "best_tied": len(tied),
                "origin": " ".join(
                    parts.inputs(["data/study/datasets.yaml"], linked_in, published["origin"])
                ),
            }
        )
    return pd.DataFrame(catalogue)


def _data_source(entry: DatasetEntry) -> str:
    if entry.hub is not None:
        return entry.hub.repository
    if entry.synthetic:
        return "shipped with this companion"
    return "not public as a file" if entry.in_paper or entry.csv is None else f"a file: {entry.csv.file}"


def _same_repositories(printed: pd.DataFrame, catalogue: pd.DataFrame) -> str:
    repository = printed["dataset"].map(catalogue.set_index("dataset")["data_from"])
    other = printed.loc[repository != printed["hf_id"], "dataset"]
    if other.empty:
        return f"Our catalogue names the same repository for all {len(printed)} of Table 4."
    return f"Our catalogue names another repository for {parts.listed(list(other))}."


def _finding(catalogue: pd.DataFrame) -> str:
    real = catalogue[catalogue["dataset"].isin(paper_datasets())]
    with_shares = real[real["most_frequent"].notna()].sort_values("chance")
    low, high = with_shares.iloc[0], with_shares.iloc[-1]
    rest = [
        f"; for {_title(row['dataset'])}, whose shares are not published, at least {row['chance']:.2f}"
        for _, row in real[real["most_frequent"].isna()].iterrows()
    ]
    return (
        f"The paper's {len(real)} datasets have {real['labels'].min()} to {real['labels'].max()} labels; always naming the most "
        f"frequent one gives an accuracy of {low['chance']:.2f} ({_title(low['dataset'])}) to {high['chance']:.2f} "
        f"({_title(high['dataset'])}){''.join(rest)}."
    )


def _title(dataset: str) -> str:
    return study().datasets[dataset].title


_NUMBERS = ("Labels", "Best guess", "Train", "Test", "Best published accuracy")
_LANGUAGES = {"de": "German", "en": "English"}


def _with_best_guess(catalogue: pd.DataFrame) -> pd.DataFrame:
    best = [
        None if pd.isna(model) else model_title(model) + (f" and {tied - 1} more" if tied > 1 else "")
        for model, tied in zip(catalogue["best_model"], catalogue["best_tied"], strict=True)
    ]
    accuracy = [None if pd.isna(value) else f"{value:.2f}" for value in catalogue["best_accuracy"]]
    return pd.DataFrame(
        {
            "Dataset": catalogue["dataset"].map(_title),
            "Language": catalogue["language"].map(_LANGUAGES),
            "Labels": catalogue["labels"],
            "Best guess": [
                f"{'' if exact else 'at least '}{value:.2f}"
                for value, exact in zip(catalogue["chance"], catalogue["most_frequent"].notna(), strict=True)
            ],
            "Train": catalogue["train_texts"],
            "Test": catalogue["test_texts"],
            "Best published accuracy": accuracy,
            "Best model": best,
        }
    )


_HEADINGS = {
    "dataset": "Dataset",
    "source": "Campaign",
    "runs": "Runs",
    "models": "Models",
    "splits": "Splits",
    "best_accuracy": "Best accuracy",
    "dataset_sha256": "sha256 of the data",
}
_COLUMNS = [*_HEADINGS, "origin"]


def measured_datasets(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per dataset, campaign and content of the data; `origin` names all records behind it."""
    runs = select_real(results[results["source"] != "published"])
    content = [read_record(paths.ROOT / str(origin)).run.dataset_sha256[:12] for origin in runs["origin"]]
    grouped = runs.assign(dataset_sha256=content).groupby(["dataset", "source", "dataset_sha256"])
    datasets = grouped.agg(
        runs=("origin", "count"),
        models=("model", "nunique"),
        splits=("splits", "max"),
        best_accuracy=("accuracy", "max"),
        origin=("origin", " ".join),
    ).reset_index()[_COLUMNS]
    order = list(study().datasets)
    return datasets.sort_values("dataset", key=lambda column: column.map(order.index), kind="stable")
