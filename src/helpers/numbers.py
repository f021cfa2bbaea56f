"""Numbers of the prose: every one computed from the data, none typed (see the role `number` of the book)."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from helpers import units
from helpers.artefacts.claims import plain
from helpers.claims import counts, ledger
from helpers.claims.source import PUBLISHED
from helpers.results import Tables
from helpers.statistics import accuracy_gaps, diagnostics, power, regression
from helpers.study import model_title, paper_models, study


@dataclass(frozen=True)
class Number:
    """A number as prose shows it, and the analysis notebook that shows where it comes from."""

    text: str
    see: str = ""
    """Without one the number comes from the catalogue (`data/study`)."""


def numbers(tables: Tables) -> dict[str, Number]:
    """Return every number that prose may use, by name."""
    return {name: number for part in _PARTS for name, number in part(tables)}


Part = Callable[[Tables], Iterator[tuple[str, Number]]]


def _figure_1(tables: Tables) -> Iterator[tuple[str, Number]]:
    see = "figure_1_accuracy_energy"
    published = tables.results[tables.results["source"] == "published"]
    fktg = published[(published["dataset"] == "fktg") & published["accuracy"].notna()]
    best = fktg.sort_values("accuracy").iloc[-1]
    cheapest, dearest = (fktg.sort_values("energy_wh").iloc[place] for place in (0, -1))
    yield "best.model", Number(model_title(best["model"]), see)
    yield "best.accuracy", Number(f"{best['accuracy']:.2f}", see)
    yield "best.energy", Number(units.energy(best["energy_wh"]), see)
    yield "dearest.model", Number(model_title(dearest["model"]), see)
    yield "dearest.energy", Number(units.energy(dearest["energy_wh"]), see)
    yield "cheapest.model", Number(model_title(cheapest["model"]), see)
    yield "cheapest.energy", Number(units.energy(cheapest["energy_wh"]), see)
    yield "decades", Number(f"{math.log10(dearest['energy_wh'] / cheapest['energy_wh']):.1f}", see)


def _regression(tables: Tables) -> Iterator[tuple[str, Number]]:
    points = regression.points(tables.results, "published", "capella", "fktg")
    errors = diagnostics.left_out_errors(points)
    sizes = errors["error_percent"].abs()
    long = errors["duration_s"] >= diagnostics.LONG_S
    see = "duration_proxy"
    yield "proxy.long-from", Number(units.duration(diagnostics.LONG_S, 3), see)
    yield "proxy.median-long", Number(f"{sizes[long].median():.0f}{units.THIN}%", see)
    yield "proxy.median-short", Number(f"{sizes[~long].median():.0f}{units.THIN}%", see)
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

    Of models that are printed as equally accurate it is the one that takes less energy.
    """
    rows = tables.results
    rows = rows[(rows["source"] == PUBLISHED) & (rows["machine"] == "capella") & (rows["nodes"] == 1)]
    rows = rows[rows["accuracy"].notna()].sort_values(["accuracy", "energy_wh"], ascending=[False, True])
    groups = {str(name): group for name, group in rows.groupby("dataset")}
    groups["llm"] = groups["fktg"][groups["fktg"]["family"] != "Traditional"]
    for name, group in groups.items():
        best, see = group.iloc[0], _PAGES.get(name, _PAGES["fktg"])
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
    """Standard error of an accuracy of one half, on one test set."""
    for name in ("fktg", "news"):
        error = accuracy_gaps.standard_error(0.5, study().datasets[name].split.test)
        yield f"noise.{name}", Number(f"{error:.3f}", "accuracy_differences")


def _power(tables: Tables) -> Iterator[tuple[str, Number]]:
    """The constants behind the CPU and memory of Figure 2."""
    found, see = power.constants(tables.observations, tables.results), "power_decomposition"
    for name, constant in (("cpu", found.cpu), ("llm-ram", found.ram_llm)):
        yield f"power.{name}", Number(f"{units.significant(constant.mean_w, 2)}{units.THIN}W", see)
    memory = units.significant(power.implied_gb(found.ram_llm.mean_w), 2)
    yield "power.llm-ram-gb", Number(f"{memory}{units.THIN}GB", see)


def _equation_2(tables: Tables) -> Iterator[tuple[str, Number]]:
    points = regression.points(tables.results, PUBLISHED, "capella", "fktg")
    errors = diagnostics.equation_2(points)["error_percent"].abs()
    for name, value in zip(("a", "c"), diagnostics.EQUATION_2, strict=True):
        yield f"equation-2.{name}", Number(plain(value), "table_3_regression")
    yield "equation-2.median-error", Number(f"{errors.median():.0f}{units.THIN}%", "duration_proxy")


def _ledger(tables: Tables) -> Iterator[tuple[str, Number]]:
    found = ledger.evaluate(tables)
    yield from _recomputed(found)
    yield from _counts("claims", counts.count(found))
    yield from _counts("claims.new", counts.count_new(ledger.evaluate_campaigns(tables)))
    yield "claims.inferences", Number(str(len(counts.inferences(found))), "claims")
    yield "models.rerun-llms", Number(str(counts.count_rerun_llms(tables)), "runs")


def _recomputed(found: Sequence[ledger.Assessment]) -> Iterator[tuple[str, Number]]:
    """What a claim says, `claim.ID.paper`, and what it comes to, `claim.ID`; Wh with its unit, a share in percent."""
    for item in found:
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


def _counts(name: str, found: counts.Counts) -> Iterator[tuple[str, Number]]:
    for part, count in (
        ("all", found.statements),
        ("tested", found.tested),
        ("holding", found.holding),
        ("rounded", found.rounded),
        ("depending", found.depending),
        ("failing", found.failing),
        ("untested", found.untested),
    ):
        yield f"{name}.{part}", Number(str(count), "claims")


def _runs(tables: Tables) -> Iterator[tuple[str, Number]]:
    for source in ("published", *study().campaigns):
        yield f"runs.{source}", Number(str((tables.results["source"] == source).sum()), "runs")


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


_PARTS: tuple[Part, ...] = (
    _figure_1,
    _cells,
    _best,
    _families,
    _noise,
    _power,
    _regression,
    _equation_2,
    _ledger,
    _runs,
    _study,
)
