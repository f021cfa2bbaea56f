"""Numbers of the prose: every one computed from the data, none typed (see the role `number` of the book)."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from helpers.claims import counts, ledger
from helpers.claims.source import PUBLISHED
from helpers.core import paths, units
from helpers.figures.beyond.claims import plain
from helpers.measure.settings import LlmParameters
from helpers.metering import record_versions
from helpers.records.storage import SCHEMA_VERSION, read_record
from helpers.results.tables import Tables
from helpers.statistics import accuracy_noise, bandwidth_bound, power, proxy, regression, selection
from helpers.statistics.overlap import effective_texts_of_run
from helpers.study.catalogue import model_title, paper_datasets, paper_models, study
from helpers.study.datasets import SPLITS
from helpers.study.literature import load_other_studies
from helpers.study.protocols import DSPY_2025


@dataclass(frozen=True)
class Number:
    """A number as prose shows it, and the analysis notebook that shows where it comes from."""

    text: str
    see: str = ""
    """Without one the number comes from the catalogue (`data/study`), or is a setting of runs (`helpers.measure.settings`)."""


def numbers(tables: Tables) -> dict[str, Number]:
    """Return every number that prose may use, by name."""
    return {name: number for part in _PARTS for name, number in part(tables)}


Part = Callable[[Tables], Iterator[tuple[str, Number]]]


def _figure_1(tables: Tables) -> Iterator[tuple[str, Number]]:
    see = "figure_1_accuracy_energy"
    published = tables.results[tables.results["source"] == "published"]
    fktg = published[(published["dataset"] == "fktg") & published["accuracy"].notna()]
    best, least, most = (
        pick(fktg) for pick in (selection.most_accurate, selection.least_energy, selection.most_energy)
    )
    yield "best.model", Number(model_title(best["model"]), see)
    yield "best.accuracy", Number(f"{best['accuracy']:.2f}", see)
    yield "best.energy", Number(units.energy(best["energy_wh"]), see)
    yield "most-energy.energy", Number(units.energy(most["energy_wh"]), see)
    yield "least-energy.model", Number(model_title(least["model"]), see)
    yield "least-energy.energy", Number(units.energy(least["energy_wh"]), see)
    yield "least-energy.kind", Number(str(least["energy_kind"]), see)
    yield "decades", Number(f"{math.log10(most['energy_wh'] / least['energy_wh']):.1f}", see)


def _regression(tables: Tables) -> Iterator[tuple[str, Number]]:
    points = regression.points(tables.results, PUBLISHED, "capella", "fktg")
    yield "capella.points", Number(str(len(points)), "table_3_regression")
    printed = regression.printed_fit(tables.printed, machine="capella")
    yield "capella.printed-points", Number(str(printed.n), "table_3_regression")


def _cells(tables: Tables) -> Iterator[tuple[str, Number]]:
    """Accuracy, energy and duration of every model on one node of Capella: `news.llama-3.1-70b.energy`."""
    rows = tables.results
    rows = rows[(rows["source"] == PUBLISHED) & (rows["machine"] == "capella") & (rows["nodes"] == 1)]
    for row in rows[rows["accuracy"].notna()].to_dict("records"):
        name, see = f"{row['dataset']}.{row['model']}", _PAGES[row["dataset"]]
        yield f"{name}.accuracy", Number(f"{row['accuracy']:.2f}", see)
        if not math.isnan(row["energy_wh"]):
            yield f"{name}.energy", Number(units.energy(row["energy_wh"]), see)
        if not math.isnan(row["duration_s"]):
            yield f"{name}.duration", Number(units.duration(row["duration_s"]), see)


_PAGES = {
    "fktg": "table_b1",
    "news": "table_b4",
    "yelp": "table_b4",
    "tomatoes": "table_b5",
    "emotion": "table_b5",
}


def _best(tables: Tables) -> Iterator[tuple[str, Number]]:
    """The most accurate model of each dataset, `best.news.model`, and of the language models on FKTG, `best.llm.model`.

    Of models that are printed as equally accurate it is the one that takes the least energy.
    """
    rows = tables.results
    rows = rows[(rows["source"] == PUBLISHED) & (rows["machine"] == "capella") & (rows["nodes"] == 1)]
    rows = rows[rows["accuracy"].notna()]
    groups = {str(name): group for name, group in rows.groupby("dataset")}
    groups["llm"] = groups["fktg"][groups["fktg"]["family"] != "Traditional"]
    for name, group in groups.items():
        best, see = selection.most_accurate(group), _PAGES.get(name, _PAGES["fktg"])
        yield f"best.{name}.model", Number(model_title(best["model"]), see)
        yield f"best.{name}.accuracy", Number(f"{best['accuracy']:.2f}", see)
        yield f"best.{name}.energy", Number(units.energy(best["energy_wh"]), see)


def _families(tables: Tables) -> Iterator[tuple[str, Number]]:
    """Median energy on FKTG of each family, and how many models the paper has of it."""
    rows = tables.results
    rows = rows[(rows["source"] == PUBLISHED) & (rows["dataset"] == "fktg") & rows["accuracy"].notna()]
    medians = rows[rows["nodes"] == 1].groupby("family")["energy_wh"].median()
    for key, family in (
        ("traditional", "Traditional"),
        ("other-llm", "Other LLM"),
        ("reasoning", "Deepseek"),
    ):
        yield f"{key}.median-energy", Number(units.energy(medians[family]), "figure_1_accuracy_energy")
        models = [name for name in paper_models() if study().models[name].family == family]
        yield f"{key}.models", Number(str(len(models)), "table_b1")


def _noise(_tables: Tables) -> Iterator[tuple[str, Number]]:
    """95 % noise of the difference of two accuracies near one half, means over the published splits."""
    for name in paper_datasets():
        dataset = study().datasets[name]
        texts = effective_texts_of_run(name, dataset.split.test, SPLITS)
        half_width = accuracy_noise.Z * accuracy_noise.gap_error(0.5, 0.5, texts)
        yield f"noise.{name}", Number(f"{half_width:.3f}", "accuracy_differences")


def _power(tables: Tables) -> Iterator[tuple[str, Number]]:
    """The constants behind the CPU and memory of Figure 2."""
    constants, see = power.constants(tables.observations, tables.results), "power_decomposition"
    for name, constant in (("cpu", constants.cpu), ("llm-ram", constants.ram_llm)):
        yield f"power.{name}", Number(f"{units.significant(constant.mean_w, 2)}{units.THIN}W", see)
    memory = units.significant(power.implied_gb(constants.ram_llm.mean_w), 2)
    yield "power.llm-ram-gb", Number(f"{memory}{units.THIN}GB", see)


def _other_studies(_tables: Tables) -> Iterator[tuple[str, Number]]:
    """The constants that CodeCarbon wrote in another study, and the range of zero-shot energies on the shared dataset."""
    studies = load_other_studies()
    constants, see = studies.constants[0], "power_decomposition"
    yield "elsewhere.cpu", Number(f"{constants.cpu_power_w:g}{units.THIN}W", see)
    yield "elsewhere.ram", Number(f"{constants.ram_power_w:.1f}{units.THIN}W", see)
    yield "elsewhere.ram-gb", Number(f"{constants.ram_gb:,.0f}{units.THIN}GB", see)
    yield "elsewhere.w-per-gb", Number(f"{constants.ram_power_w / constants.ram_gb:.3f}", see)
    yield "elsewhere.codecarbon", Number(constants.codecarbon, see)


def _bound(tables: Tables) -> Iterator[tuple[str, Number]]:
    """How many published durations leave too little time for a full answer in DSPy's template, one text at a time.

    Of these, `bound.impossible` leave none for any answer that DSPy reads, `bound.shortened` for one without its end.
    """
    runs = bandwidth_bound.bounds(bandwidth_bound.published_runs(tables.results))
    for name, verdicts in (
        ("lacking", (bandwidth_bound.IMPOSSIBLE, bandwidth_bound.SHORTENED)),
        ("impossible", (bandwidth_bound.IMPOSSIBLE,)),
        ("shortened", (bandwidth_bound.SHORTENED,)),
    ):
        yield f"bound.{name}", Number(str(runs["verdict"].isin(verdicts).sum()), "one_text_at_a_time")


def _proxy(tables: Tables) -> Iterator[tuple[str, Number]]:
    """Energy estimated from duration on Capella, by three estimators (`helpers.statistics.proxy`), for language models.

    `equation-2` is the printed formula on the runs it has seen, `proxy.line` the regression with its constant for a
    model left out, and `proxy` without more Eq. 1 by relative error, for a model left out. `proxy.traditional` are the
    runs of traditional models, which no other number mixes in.
    """
    points = regression.points(tables.results, PUBLISHED, "capella", "fktg")
    runs = proxy.basis(points)
    errors = proxy.compare(points, runs, proxy.EQUATION_2)
    fits = (("equation-2", proxy.EQUATION_2, 1), ("proxy", proxy.fit_relative(runs), 2))
    for name, fitted, digits in fits:
        yield f"{name}.a", Number(units.significant(fitted.a, digits), _PROXY)
        yield f"{name}.c", Number(units.significant(fitted.c, digits), _PROXY)
    yield "proxy.long-from", Number(units.duration(proxy.LONG_S, 3), _PROXY)
    yield "proxy.measured-from", Number(units.duration(proxy.MEASURED_FROM_S, 1), _PROXY)
    yield "proxy.runs", Number(str(len(runs)), _PROXY)
    others = points.drop(index=runs.index)
    yield "proxy.traditional.runs", Number(str(len(others)), _PROXY)
    yield "proxy.traditional.longest", Number(units.duration(others["duration_s"].max(), 2), _PROXY)
    of_llms = errors[errors.index.isin(runs.index)]
    printed = proxy.size_percent(of_llms, proxy.APPROXIMATION, proxy.IN_SAMPLE)
    line = proxy.size_percent(of_llms, proxy.LINE, proxy.LEFT_OUT)
    own = proxy.size_percent(of_llms, proxy.RELATIVE, proxy.LEFT_OUT)
    short = runs["duration_s"] < proxy.LONG_S
    yield "proxy.short-runs", Number(str(short.sum()), _PROXY)
    for name, value in (
        ("equation-2.median-long", printed[~short].median()),
        ("equation-2.worst-long", printed[~short].max()),
        ("equation-2.median-short", printed[short].median()),
        ("proxy.line.median-short", line[short].median()),
        ("proxy.median", own.median()),
        ("proxy.worst", own.max()),
        ("proxy.median-short", own[short].median()),
    ):
        yield name, Number(f"{value:.0f}{units.THIN}%", _PROXY)


_PROXY = "duration_proxy"


def _ledger(tables: Tables) -> Iterator[tuple[str, Number]]:
    assessments = ledger.evaluate(tables)
    yield from _recomputed(assessments)
    own = counts.count(assessments)
    yield "claims.all", Number(str(own.statements), "claims")
    yield from _counts("claims", own)
    yield "claims.rounded", Number(str(own.rounded), "claims")
    yield "claims.untested", Number(str(own.untested), "claims")
    campaigns = ledger.evaluate_campaigns(tables)
    yield from _counts("claims.new", counts.count_new(campaigns))
    yield "claims.new.undecided", Number(str(counts.count_new(campaigns).undecided), "claims")
    yield "claims.new.counterparts", Number(str(counts.count_counterparts(campaigns)), "claims")
    yield "claims.new.by-campaign", Number(counts.by_campaign(campaigns), "claims")
    yield "claims.new.opened", Number(str(counts.count_opened(assessments, campaigns)), "claims")
    yield "claims.inferences", Number(str(len(counts.inferences(assessments))), "claims")
    yield "models.rerun-llms", Number(str(counts.count_rerun_llms(tables) or "none"), "runs")


def _recomputed(assessments: Sequence[ledger.Assessment]) -> Iterator[tuple[str, Number]]:
    """What a claim says, `claim.ID.paper`, and what it comes to, `claim.ID`; Wh with its unit, a share in percent."""
    for item in assessments:
        name, asked, see = f"claim.{item.claim.id}", item.main.criterion, item.claim.see
        yield f"{name}.paper", Number(_in_unit(asked.published, asked.unit), see)
        if item.recomputed is not None:
            yield name, Number(_in_unit(item.recomputed, asked.unit), see)


def _in_unit(value: float, unit: str) -> str:
    if unit == "Wh":
        return units.energy(value)
    if unit == "share":
        return f"{value:.0%}".replace("%", f"{units.THIN}%")
    if unit.startswith("accuracy"):
        return f"{value:.2f}"
    return plain(value, 2)


def _counts(name: str, verdicts: counts.Counts) -> Iterator[tuple[str, Number]]:
    for part, count in (
        ("tested", verdicts.tested),
        ("holding", verdicts.holding),
        ("depending", verdicts.depending),
        ("failing", verdicts.failing),
    ):
        yield f"{name}.{part}", Number(str(count), "claims")


def _runs(tables: Tables) -> Iterator[tuple[str, Number]]:
    for source in ("published", *study().campaigns):
        yield f"runs.{source}", Number(str((tables.results["source"] == source).sum()), "runs")


def _records(tables: Tables) -> Iterator[tuple[str, Number]]:
    """Which version of the meter took the committed runs, and how many checks it made of those of the present one."""
    origins = tables.results.loc[tables.results["source"].isin(study().campaigns), "origin"]
    files = [
        file for origin in origins if (file := paths.ROOT / str(origin)).is_relative_to(paths.MEASUREMENTS)
    ]
    records = [read_record(file) for file in files]
    older = [record for record in records if record_versions.is_older(record)]
    yield "records.all", Number(str(len(records)), "runs")
    yield "records.older", Number(str(len(older)), "runs")
    yield "records.schema", Number(str(SCHEMA_VERSION), "runs")
    if older:
        made, present = record_versions.checks_in_words(older)
        yield "records.older-schema", Number(str(max(record.schema_version for record in older)), "runs")
        yield "records.older-checks", Number(made, "runs")
        yield "records.checks", Number(present, "runs")


def _study(_tables: Tables) -> Iterator[tuple[str, Number]]:
    models = [study().models[name] for name in paper_models()]
    yield "models.all", Number(str(len(models)))
    yield "models.llm", Number(str(sum(model.family != "Traditional" for model in models)))
    for name in paper_models():
        yield f"{name}.title", Number(model_title(name))  # its digits are no result, but typing errors happen
    for name, dataset in study().datasets.items():
        yield f"{name}.labels", Number(str(len(dataset.labels)))
        yield f"{name}.train", Number(str(dataset.split.train))
        yield f"{name}.test", Number(str(dataset.split.test))
        if dataset.texts is not None:
            yield f"{name}.texts", Number(str(dataset.texts))
        if dataset.csv is not None:
            yield f"{name}.min-per-label", Number(str(dataset.csv.min_per_label))


def _settings(_tables: Tables) -> Iterator[tuple[str, Number]]:
    for name in ("max_tokens", "thinking_tokens", "temperature"):
        value = LlmParameters.model_fields[name].default
        yield f"asking.{name.replace('_', '-')}", Number(f"{value:,g}")
    for name in ("max_tokens", "temperature"):
        yield f"asking.dspy-2025.{name.replace('_', '-')}", Number(f"{DSPY_2025[name]:,g}")


_PARTS: tuple[Part, ...] = (
    *(_figure_1, _cells, _best, _families, _noise, _power, _other_studies, _regression, _bound, _proxy),
    *(_ledger, _runs, _settings, _records, _study),
)
