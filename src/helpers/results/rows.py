"""One row of the results tables for each run, published or measured; what is absent is null."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from helpers.core import paths
from helpers.records.storage import Component, Record, Run, SplitResult
from helpers.study.carbon_intensity import HOME, co2e_g, grids

COLUMNS = (
    "source",
    "origin",
    "model",
    "family",
    "checkpoint",
    "weights",
    "dtype",
    "quantisation",
    "dataset",
    "synthetic",
    "machine",
    "gpu_model",
    "gpus",
    "gpus_origin",
    "nodes",
    "device",
    "engine",
    "prefix_caching",
    "concurrency",
    "protocol",
    "dspy_cache",
    "prompt",
    "output_mode",
    "temperature",
    "json_fallback",
    "splits",
    "texts",
    "accuracy",
    "accuracy_uncertainty",
    "accuracy_sd",
    "duration_s",
    "duration_uncertainty_s",
    "duration_sd_s",
    "energy_kind",
    "energy_wh",
    "energy_wh_below",
    "energy_uncertainty_wh",
    "energy_sd_wh",
    "cpu_wh",
    "gpu_wh",
    "ram_wh",
    "cpu_method",
    "gpu_method",
    "ram_method",
    "ram_codecarbon_wh",
    "idle_power_w",
    "net_wh",
    "train_s",
    "train_wh",
    "tokens_in",
    "tokens_out",
    "tokens_thinking",
    "requests_sent",
    "requests_cached",
    "requests_answered",
    "parse_failures",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "ttft_s",
    "prefix_hit_rate",
    "agreement",
    "texts_per_s",
    "j_per_output_token",
    "j_per_token",
    "g_co2e_per_million_tokens",
    "checks_failed",
)
"""Columns of `results`. `energy_wh` adds up CPU, GPU and RAM as the paper does (total_as_published).

`energy_kind`: printed, digitised or inferred for published values; for runs measured, partly-measured or estimated,
after how CPU and GPU were got (memory always counts by a rule). `net_wh` is `energy_wh` without what the idle
machine, everything loaded, would have taken in that time at `idle_power_w`. `train_s` and `train_wh`: training on one split,
the mean over the splits. `origin`: the published tables and figures, or the record. `protocol`: of asking a language
model, for our runs; what the paper's was is not known in full. `prompt`: language of the
instruction, and how many examples stood before a text. Tokens, requests, failures and latencies (per text) are
those of a pass over a test set, the mean over the splits; runs with dummy weights have no accuracy. The values per token
are null for models without tokens; `j_per_token` counts those that are read, too.
"""

KEY = ["model", "dataset", "machine", "gpus", "nodes"]
"""Columns that identify a published run."""


def measured_row(source: str, file: Path, record: Record) -> dict[str, Any]:
    """Return the row of a measured run."""
    run = record.run
    accuracy = [item.accuracy for item in record.splits]
    durations = [item.duration_s for item in record.splits]
    energies = [wh for item in record.splits if (wh := _complete_wh(record, item)) is not None]
    components = {name: [getattr(item.energy, name) for item in record.splits] for name in _COMPONENTS}
    # A sum with the CPU and one without it have no mean.
    alike = all(len({part.method for part in components[name]}) == 1 for name in ("cpu", "gpu", "ram"))
    complete = alike and len(energies) == len(record.splits)
    energy_wh = statistics.fmean(energies) if complete else None
    counted = {name: _mean([getattr(item, name) for item in record.splits]) for name in _COUNTED}
    return {
        "source": source,
        "origin": paths.relative(file),
        **{name: getattr(run, name) for name in _FROM_RUN},
        **_serving_columns(run),
        "gpu_model": record.environment.gpus[0].model if record.environment.gpus else None,
        "gpus_origin": "measured",
        "texts": record.splits[0].texts,
        "accuracy": _mean(accuracy),
        "accuracy_sd": _sd([value for value in accuracy if value is not None])
        if None not in accuracy
        else None,
        "duration_s": statistics.fmean(durations),
        "duration_sd_s": _sd(durations),
        "energy_kind": _kind(record),
        "energy_wh": energy_wh,
        "energy_sd_wh": _sd(energies) if complete else None,
        **{f"{name}_wh": _mean([part.energy_wh for part in parts]) for name, parts in components.items()},
        **{
            f"{name}_method": parts[0].method
            for name, parts in components.items()
            if name != "ram_codecarbon"
        },
        "idle_power_w": _mean([item.idle_power_w for item in record.splits]),
        "net_wh": _mean([item.net_wh for item in record.splits]) if complete else None,
        **_training(record),
        **counted,
        "texts_per_s": record.splits[0].texts / statistics.fmean(durations),
        **_per_token(energy_wh, counted["tokens_in"], counted["tokens_out"]),
        **{name: _mean([_response_value(item, name) for item in record.splits]) for name in _REPLIES},
        "checks_failed": " ".join(check.name for check in record.checks if not check.passed),
    }


def _per_token(
    energy_wh: float | None, tokens_in: float | None, tokens_out: float | None
) -> dict[str, float | None]:
    """Return energy and emissions of a pass by its tokens; null without an energy or tokens."""
    if energy_wh is None or tokens_in is None or not tokens_out:
        return {"j_per_output_token": None, "j_per_token": None, "g_co2e_per_million_tokens": None}
    total = tokens_in + tokens_out
    return {
        "j_per_output_token": energy_wh * _J_PER_WH / tokens_out,
        "j_per_token": energy_wh * _J_PER_WH / total,
        "g_co2e_per_million_tokens": _MILLION * co2e_g(energy_wh, grids()[HOME]) / total,
    }


_J_PER_WH, _MILLION = 3600.0, 1e6


def _training(record: Record) -> dict[str, float | None]:
    phase = next((item for item in record.phases if item.name == "train"), None)
    if phase is None:
        return {"train_s": None, "train_wh": None}
    count, energy_wh = len(record.splits), phase.energy.total_wh
    return {
        "train_s": phase.duration_s / count,
        "train_wh": None if energy_wh is None else energy_wh / count,
    }


_COMPONENTS = ("cpu", "gpu", "ram", "ram_codecarbon")
_FROM_RUN = (
    "model",
    "family",
    "checkpoint",
    "weights",
    "dtype",
    "dataset",
    "synthetic",
    "machine",
    "gpus",
    "nodes",
    "device",
    "concurrency",
    "splits",
)


_COUNTED = (
    "tokens_in",
    "tokens_out",
    "requests_sent",
    "requests_cached",
    "requests_answered",
    "parse_failures",
)
_REPLIES = (
    "tokens_thinking",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "ttft_s",
    "prefix_hit_rate",
    "agreement",
)


def _serving_columns(run: Run) -> dict[str, Any]:
    """Return the columns on the engine and the requests of a language model; null for other models."""
    served, asked = run.served, run.asked
    return {
        "engine": served and served.engine,
        "quantisation": served and served.quantisation,
        "prefix_caching": served and served.prefix_caching,
        "protocol": asked and asked.protocol,
        "dspy_cache": asked and asked.dspy_cache,
        "prompt": asked and (f"{asked.language}, {asked.shots} examples" if asked.shots else asked.language),
        "output_mode": asked and asked.output_mode,
        "temperature": asked and asked.temperature,
        "json_fallback": asked and asked.json_fallback,
    }


def _response_value(item: SplitResult, name: str) -> float | None:
    value: float | None = None if item.replies is None else getattr(item.replies, name)
    return value


def measured_observations(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the values of a measured run, one row each, from its row of `results`."""
    for quantity in ("accuracy", "duration_s", "energy_wh", "cpu_wh", "gpu_wh", "ram_wh"):
        yield {
            **{name: row[name] for name in ("source", "origin", "family", *KEY, "gpus_origin")},
            "kind": _quantity_kind(quantity, row),
            "quantity": quantity,
            "value": row[quantity],
        }


def _quantity_kind(quantity: str, row: dict[str, Any]) -> str:
    if quantity == "energy_wh":
        return str(row["energy_kind"])
    if row[quantity] is None:
        return "missing"
    if not quantity.endswith("_wh"):
        return "measured"
    return str(row[quantity.replace("_wh", "_method")]).partition(":")[0]


def split_rows(source: str, file: Path, record: Record) -> Iterator[dict[str, Any]]:
    """Yield one row for each split of a measured run."""
    of_run = {
        "source": source,
        "origin": paths.relative(file),
        **{name: getattr(record.run, name) for name in _FROM_RUN if name != "splits"},
        **_serving_columns(record.run),
    }
    for item in record.splits:
        failures = item.replies.failures if item.replies is not None else None
        yield {
            **of_run,
            **item.model_dump(exclude={"energy", "idle_energy", "sources", "replies"}),
            **{name: _response_value(item, name) for name in _REPLIES},
            "failures": None
            if failures is None
            else " ".join(f"{kind}:{count}" for kind, count in sorted(failures.items())),
            "accuracy": item.accuracy,
            "energy_wh": _complete_wh(record, item),
            "net_wh": item.net_wh,
            **{f"{name}_wh": getattr(item.energy, name).energy_wh for name in _COMPONENTS},
            **{f"{name}_method": getattr(item.energy, name).method for name in _COMPONENTS},
        }


def _complete_wh(record: Record, item: SplitResult) -> float | None:
    """Return the energy of a pass; None where it lacks a component that the run used, or is 0 (the check `energy_known`).

    A counter that did not move says nothing.
    """
    return None if item.energy.lacks(record.run.gpus) else item.energy.total_wh or None


def _kind(record: Record) -> str:
    if any(item.energy.lacks(record.run.gpus) for item in record.splits):
        return "missing"
    # Memory always counts by a rule; the kind follows from how CPU and GPU were measured.
    parts: list[Component] = [part for s in record.splits for part in (s.energy.cpu, s.energy.gpu)]
    kinds = {part.method.partition(":")[0] for part in parts} - {"missing"}
    if kinds == {"measured"}:
        return "measured"
    return "partly-measured" if "measured" in kinds else "estimated" if kinds else "missing"


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.fmean(present) if len(present) == len(values) else None


def _sd(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
