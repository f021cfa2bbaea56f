"""Which accuracy gaps are larger than the noise of the test texts: published, and paired in our runs."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import plotly.graph_objects as go

from helpers.figures import style
from helpers.figures.beyond import accuracy_tables
from helpers.figures.display import Figure, Panel
from helpers.figures.plots import tables as parts
from helpers.figures.plots.scatter import other_embeddings
from helpers.results.tables import Tables, select_real
from helpers.statistics import accuracy_gaps as gaps
from helpers.statistics.accuracy_noise import Z
from helpers.statistics.overlap import overlap_of_run
from helpers.study.catalogue import model_title, study

_OFFSET = 0.17
"""Published above, measured below the line of a model."""


def accuracy_differences(tables: Tables) -> Figure:
    """Compare every accuracy gap with its noise.

    Published accuracies are means over 10 splits without a spread: the standard error of a difference follows from
    the texts that ten overlapping test sets stand for, unpaired (`accuracy_noise.effective_texts`). Our runs are
    compared over the same splits: paired t that allows for the overlap of the test sets, Holm, and a mixed model.
    """
    runs = rows(tables.results)
    return draw(runs, published_gaps(runs), measured_gaps(tables.split_results), tables)


def draw(runs: pd.DataFrame, published: pd.DataFrame, measured: pd.DataFrame, tables: Tables) -> Figure:
    """Draw the `published_gaps` of `rows` and the `measured_gaps`; `tables` has the accuracies of our runs by split."""
    verdicts = published["verdict"].value_counts()
    return Figure(
        name="accuracy_differences",
        label="Accuracy gaps and their noise",
        finding=(
            f"Of {len(published)} published gaps to the best model of a dataset, {verdicts.get(gaps.CLEAR, 0)} are larger than "
            f"the noise of the test texts, {verdicts.get(gaps.NOISE, 0)} are within it, and "
            f"{verdicts.get(gaps.ROUNDING, 0)} are undecided due to rounding."
        ),
        note=(
            "How far the accuracy of each model is below that of the best model of the dataset. Hollow: published. The thick "
            "whisker is the 95 % noise of a difference between two means over ten test sets; the thin one adds rounding. The "
            "comparison is unpaired, because no values per split are published; on the same texts the noise is usually "
            "smaller. The paper does not say from which part of a public dataset it drew its texts; we assume the smallest. "
            f"{_larger_pool(published)} Filled: our runs, paired over the splits. Each whisker is for one comparison."
            + _other_embedding(tables.split_results)
        ),
        data=pd.concat(
            [published.assign(source="published"), measured],
            ignore_index=True,
        ),
        function="helpers.figures.beyond.accuracy_differences.accuracy_differences",
        panels=[
            _panel(name, published[published["dataset"] == name], measured[measured["dataset"] == name])
            for name in study().datasets
            if name in {*published["dataset"], *measured["dataset"]}
        ],
        body=(
            accuracy_tables.named(runs)
            + accuracy_tables.noise(runs, published)
            + accuracy_tables.paired(tables.split_results, measured)
        ),
        inputs=parts.inputs(published["origin"], _records(tables.split_results)),
    )


def _larger_pool(published: pd.DataFrame) -> str:
    """Return how many verdicts another part of a dataset could change: the larger the pool, the smaller the noise."""
    assumed = published[published["dataset"].map(lambda name: study().datasets[name].texts is None)]
    least = assumed["std_error"] * (assumed["effective_texts"] / assumed["effective_texts_at_most"]) ** 0.5
    values = zip(assumed["gap"], assumed["rounding"], least, strict=True)
    moved = sum(gaps.verdict(*item) != now for item, now in zip(values, assumed["verdict"], strict=True))
    return (
        "With a larger part the noise would be smaller: gaps that are larger than the noise would remain so, and at most "
        f"{moved} of {len(assumed)} verdicts would change."
    )


def _other_embedding(split_results: pd.DataFrame) -> str:
    if split_results.empty:
        return ""
    other = other_embeddings(select_real(split_results))
    return (
        f" Our embeddings come from {parts.listed(other)}, not from the paper's checkpoint." if other else ""
    )


def _records(split_results: pd.DataFrame) -> list[str]:
    return [] if split_results.empty else sorted(set(select_real(split_results)["origin"]))


def rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the published rows of `results` that have an accuracy, by dataset; the best model of each first."""
    return pd.concat(
        [gaps.published_accuracies(results, dataset) for dataset in study().datasets], ignore_index=True
    )


def published_gaps(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the gaps to the best model of each dataset in `runs`, a row for each other model (`gaps.Gap`)."""
    to_best = [
        gaps.gap_between(group.iloc[0], row)
        for dataset, group in runs.groupby("dataset", sort=False)
        for _, row in group.iloc[1:].iterrows()
    ]
    return pd.DataFrame([asdict(gap) for gap in to_best], columns=list(gaps.Gap.__annotations__))


def measured_gaps(split_results: pd.DataFrame) -> pd.DataFrame:
    """Return all pairs of models of each campaign and dataset, with `source`, `dataset`, `overlap` and `origin`."""
    parts = []
    for source, dataset in accuracy_tables.sets(split_results):
        rows = split_results[(split_results["source"] == source) & (split_results["dataset"] == dataset)]
        files = rows.groupby("model")["origin"].first()
        overlap = overlap_of_run(str(files.iloc[0]), dataset)
        pairs = gaps.paired_gaps(gaps.by_split(split_results, source, dataset), overlap)
        origins = pairs["better"].map(files).astype(object)
        parts.append(pairs.assign(source=source, dataset=dataset, overlap=overlap, origin=origins))
    return pd.concat(parts, ignore_index=True) if parts else _NO_PAIRS


_WIDE = "fktg"
"""The panel that takes the whole width, and has the legend for all."""
_NO_PAIRS = pd.DataFrame(columns=[*gaps.PAIR_COLUMNS, "source", "dataset", "overlap", "origin"])


def _panel(dataset: str, published: pd.DataFrame, measured: pd.DataFrame) -> Panel:
    to_best = measured[measured["better"].isin(_best_measured(measured))]
    to_best = to_best[
        to_best["better"] == to_best.groupby("source")["better"].transform("first")
    ].drop_duplicates(["source", "worse"])
    shown = {*published["better"], *published["worse"], *to_best["better"], *to_best["worse"]}
    models = [name for name in study().models if name in shown]
    lines = {name: i for i, name in enumerate(models[::-1])}
    figure = go.Figure()
    style.layout(figure, height=110 + 27 * len(models))
    if len(published):
        noise = Z * published["std_error"]
        whiskers = (noise + published["rounding"], noise)
        _add(figure, published, whiskers, lines, _OFFSET if len(to_best) else 0.0, True)
    for i, (_, rows) in enumerate(to_best.groupby("source", sort=False)):
        half = rows["high"] - rows["gap"]
        _add(figure, rows, (half, half), lines, -_OFFSET * (1 + i), False)
    best = [(str(name), _OFFSET if len(to_best) else 0.0, True) for name in published["better"].unique()]
    best += [(name, -_OFFSET * (1 + i), False) for i, name in enumerate(_best_measured(to_best))]
    for name, offset, is_published in best:
        label = "best" if abs(offset) <= _OFFSET else ""  # once for campaigns that lie on each other
        _add_best(figure, name, lines[name] + offset, is_published, label)
    figure.add_vline(x=0, line={"color": "#8a9099", "width": 1, "dash": "dot"})
    figure.update_yaxes(
        tickvals=list(lines.values()),
        ticktext=[model_title(name) for name in lines],
        range=[-0.7, len(models) - 0.3],
    )
    figure.update_xaxes(title="Below the best", zeroline=False)
    figure.update_layout(showlegend=dataset == _WIDE)
    entry = study().datasets[dataset]
    counts = _counts(published, "Published") + _counts(to_best, "Our runs")
    return Panel(
        name=dataset,
        title=entry.title,
        note=counts + ("" if len(measured) else " Not measured by us."),
        figure=figure,
        alt=f"{entry.title}, accuracy below the best model. {counts}",
        wide=dataset == _WIDE,
    )


def _best_measured(measured: pd.DataFrame) -> list[str]:
    return list(measured.groupby("source", sort=False)["better"].first())


def _counts(rows: pd.DataFrame, runs: str) -> str:
    if rows.empty:
        return ""
    verdicts = rows["verdict"].value_counts()
    names = ", ".join(dict.fromkeys(model_title(name) for name in rows["better"]))
    return (
        f"{runs}: best {names}; {verdicts.get(gaps.CLEAR, 0)} gaps larger than the noise, {verdicts.get(gaps.NOISE, 0)} within it"
        f"{f', {rounding} undecided due to rounding' if (rounding := verdicts.get(gaps.ROUNDING, 0)) else ''}. "
    )


def _add(
    figure: go.Figure,
    rows: pd.DataFrame,
    whiskers: tuple[pd.Series, pd.Series],
    lines: dict[str, int],
    offset: float,
    published: bool,
) -> None:
    """Add marks by family, once with the thin and once with the thick whiskers (half widths, in accuracy)."""
    family = rows["worse"].map({name: model.family for name, model in study().models.items()})
    for name, look in style.FAMILIES.items():
        part = rows[family == name]
        for width, half in zip((1, 4), whiskers, strict=True):
            if len(part):
                thick = width > 1
                title = f"{look.title}, {'published' if published else 'measured'}"
                figure.add_trace(
                    go.Scatter(
                        x=part["gap"],
                        y=part["worse"].map(lines) + offset,
                        mode="markers",
                        name=title,
                        showlegend=thick
                        and title not in {trace.name for trace in figure.data if trace.showlegend},
                        marker=_marker(look, published),
                        error_x={
                            "array": half[part.index],
                            "thickness": width,
                            "width": 0,
                            "color": look.light,
                        },
                        hovertext=_hover(part, published, whiskers) if thick else None,
                        hoverinfo="text" if thick else "skip",
                        meta=style.themed(look.light, look.dark, not published),
                    )
                )


def _add_best(figure: go.Figure, model: str, y: float, published: bool, label: str) -> None:
    look = style.FAMILIES[study().models[model].family]
    figure.add_trace(
        go.Scatter(
            x=[0],
            y=[y],
            mode="markers+text",
            text=[label],
            textposition="middle right",
            textfont={"color": look.light, "size": style.FONT_SIZE - 2},
            marker=_marker(look, published),
            showlegend=False,
            hovertext=f"<b>{model_title(model)}</b><br>the best {'published' if published else 'of our runs'}",
            hoverinfo="text",
            meta=style.themed(look.light, look.dark, not published),
        )
    )


def _marker(look: style.FamilyStyle, published: bool) -> dict[str, object]:
    return {
        "symbol": f"{look.symbol}{'-open' if published else ''}",
        "size": 8,
        "color": look.light,
        "line": {"width": 1.5 if published else 1, "color": look.light if published else style.PAPER},
    }


def _hover(rows: pd.DataFrame, published: bool, whiskers: tuple[pd.Series, pd.Series]) -> Sequence[str]:
    with_rounding, noise = (half[rows.index] for half in whiskers)
    sources = ["published"] * len(rows) if published else list(rows["source"])
    return [
        f"<b>{model_title(worse)}</b> ({source})<br>{gap:.3f} below {model_title(better)}<br>"
        f"95 %: ± {own:.3f}{f', with rounding ± {wide:.3f}' if published else ''}<br>{verdict}"
        for worse, source, gap, better, own, wide, verdict in zip(
            rows["worse"],
            sources,
            rows["gap"],
            rows["better"],
            noise,
            with_rounding,
            rows["verdict"],
            strict=True,
        )
    ]
