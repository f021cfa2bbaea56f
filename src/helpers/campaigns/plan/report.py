"""The plan of a campaign as lines to read, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from helpers.campaigns.plan.assignment import State
from helpers.campaigns.plan.campaign import S_PER_HOUR, CampaignPlan, PlannedRun, Total
from helpers.campaigns.plan.downloads import Download
from helpers.core import paths, units
from helpers.models.hub import cache_folder
from helpers.models.llm.server_log import SERVER_LOG
from helpers.study.carbon_intensity import grids
from helpers.study.datasets import FOLDER_VARIABLE

UNKNOWN = "unknown"
_STEPS = ((86_400.0, "d"), (S_PER_HOUR, "h"), (60.0, "min"), (0.0, "s"))
_MEANINGS = {
    "done": "done",
    "filed": "stored under data/measurements; run measures them again",
    "running": "being measured {target}",
    "to do": "to do {target}",
    "failed": "failed, to be retried {target}",
    "cannot run": "cannot run {target}",
    "refused": "refused: the record is invalid or another run's",
}


def lines(plan: CampaignPlan) -> Iterator[str]:
    """Yield the plan: a line per run, then the downloads, then a total per state."""
    cells = [_cells(run) for run in plan.runs]
    widths = [max(len(cell) for cell in column) for column in zip(_HEAD, *cells, strict=True)]
    for row, source in zip((_HEAD, *cells), ("expected from", *map(_source_text, plan.runs)), strict=True):
        yield f"{'  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True))}  {source}"
    yield from _download_lines(plan)
    yield ""
    for state, total in plan.totals.items():
        if total.runs:
            yield f"{_meaning(state, plan)}: {_sum(total)}"
    yield (
        f"machine {plan.machine}{'' if plan.here else ' (not this machine: its data, packages and access were not checked)'}; "
        f"CO2e with the electricity of {grids()[plan.grid].title}{_excluded_phases(plan)}"
    )


def _excluded_phases(plan: CampaignPlan) -> str:
    """Return which phases estimates exclude; runs that are done include all phases."""
    done = plan.totals["done"].runs
    if done == len(plan.runs):
        return ""
    return "; loading and training are not included" + (", except in runs that are done" if done else "")


def summary(plan: CampaignPlan) -> str:
    """Return what is still to be measured, in a few words."""
    return "; ".join(
        f"{_meaning(state, plan)}: {_sum(plan.totals[state])}"
        for state in _TO_MEASURE
        if plan.totals[state].runs
    )


_TO_MEASURE: tuple[State, ...] = ("running", "to do", "failed", "filed")


def _meaning(state: State, plan: CampaignPlan) -> str:
    return _MEANINGS[state].format(target=_target_text(plan))


def _target_text(plan: CampaignPlan) -> str:
    return "here" if plan.here else f"on {plan.machine}"


def _runs(count: int) -> str:
    return units.counted(count, "run")


def as_json(plan: CampaignPlan) -> dict[str, Any]:
    """Return the plan for scripts; what is unknown is null."""
    document = asdict(replace(plan, runs=()))
    return document | {"runs": [_run_as_json(run) for run in plan.runs]}


def _run_as_json(run: PlannedRun) -> dict[str, Any]:
    values = {field.name: getattr(run, field.name) for field in fields(run) if field.name != "plan"}
    return values | {"expected": asdict(run.expected)}


_HEAD = ("state", "run", "machine", "nodes x GPUs", "time", "energy", "CO2e", "GPU h")


def _cells(run: PlannedRun) -> tuple[str, ...]:
    return (
        run.state,
        run.run_id,
        run.machine,
        f"{run.nodes} x {run.gpus}",
        duration_text(run.duration_s),
        energy_text(run.energy_wh),
        _mass(run.co2e_g),
        UNKNOWN if run.gpu_hours is None else f"{run.gpu_hours:.2f}",
    )


def _source_text(run: PlannedRun) -> str:
    """Return where the estimate is from, and why the run cannot start."""
    expected = run.expected
    parts = [expected.duration_from]
    if expected.energy_from != expected.duration_from:
        parts.append(f"energy: {expected.energy_from}")
    if run.state == "done":
        parts = ["its record"]
    if run.reconstruction is not None:
        parts.append("a reconstruction")
    if run.reasons:
        parts = [f"{'; '.join(map(_without_log, run.reasons))} [{', '.join(parts)}]"]
    return "; ".join(parts)


def _without_log(reason: str) -> str:
    """Return a reason without the server's log behind it, and not longer than a line: the whole one is in the JSON."""
    message, log, _ = reason.partition(SERVER_LOG)
    shortened = message if len(message) <= _MAX_REASON else f"{message[:_MAX_REASON].rstrip()} ..."
    return f"{shortened} (whole reason: --json)" if log or shortened != message else message


_MAX_REASON = 240
"""Characters of a reason in a row."""


def _download_lines(plan: CampaignPlan) -> Iterator[str]:
    if plan.downloads or plan.provisions:
        yield ""
    for provision in plan.provisions:
        yield (
            f"dataset {provision.dataset}: not on the hub; put {provision.file} into a folder and name it in "
            f"{FOLDER_VARIABLE} or data_dir, see book/get_the_data.md ({_runs(provision.runs)})"
        )
    for item in plan.downloads:
        size_text = f"size {UNKNOWN}" if item.size_bytes is None else units.size(item.size_bytes)
        runs = f"{_runs(item.runs)}{_runnable_text(item, plan)}"
        yield f"{item.kind} {item.name}: {size_text}, {_download_status(item, plan.here)} ({runs})"
    if plan.downloads:
        yield _to_download(plan)


def _runnable_text(item: Download, plan: CampaignPlan) -> str:
    """Return how many of the runs that require an item can run; empty where all can."""
    if item.runnable == item.runs:
        return ""
    some = f", {item.runnable or 'none'} of which can run"
    return f"{some if item.runs > 1 else ', which cannot run'} {_target_text(plan)}"


def _to_download(plan: CampaignPlan) -> str:
    """Return what comes over the network for the runs that can run, what for the others, and whether it fits."""
    absent = [item for item in plan.downloads if not (item.present and plan.here)]
    required = [item for item in absent if item.runnable]
    others = [item for item in absent if not item.runnable]
    rest = f"; {_amount(others)} for runs that cannot run {_target_text(plan)}" if others else ""
    free = ""
    if plan.free_bytes is not None:
        fits = ": not enough" if _hub_bytes(required) > plan.free_bytes else ""
        if not fits and _hub_bytes(absent) > plan.free_bytes:
            fits = ": not enough for all"
        free = f"; {units.size(plan.free_bytes)} free in {cache_folder()}{fits}"
    return f"to download: {_amount(required)}{rest}{free}"


def _amount(items: Sequence[Download]) -> str:
    if not items:
        return "nothing"
    unknown = sum(item.size_bytes is None for item in items)
    if unknown == len(items):
        return f"{UNKNOWN} ({unknown} without a size)"
    return f"{units.size(_total_bytes(items))}{_without(unknown)}"


def _total_bytes(items: Sequence[Download]) -> int:
    return sum(item.size_bytes or 0 for item in items)


def _hub_bytes(items: Sequence[Download]) -> int:
    """Return the size of what goes into the hub's cache."""
    return _total_bytes([item for item in items if item.revision is not None])


def _download_status(item: Download, here: bool) -> str:
    if item.revision is None:
        present = f"in {paths.relative(paths.MODELS)}" if item.present else "to download"
        return f"{present}, from packages" if here else "from packages"
    gated = {True: ", gated", None: ", gated or not is unknown", False: ""}[item.gated]
    return ("in the cache" if item.present else "to download") + gated if here else f"from the hub{gated}"


def _sum(total: Total) -> str:
    parts = [
        _runs(total.runs),
        f"{_sum_text(duration_text(total.duration_s), total.runs, total.unknown_durations)}",
        f"{_sum_text(energy_text(total.energy_wh), total.runs, total.unknown_energies)}",
        f"{_sum_text(_mass(total.co2e_g), total.runs, total.unknown_energies)} CO2e",
        f"{_sum_text(f'{total.gpu_hours:.2f}', total.runs, total.unknown_gpu_hours)} GPU hours",
    ]
    return ", ".join(parts)


def _sum_text(text: str, runs: int, unknown: int) -> str:
    """Give a sum with the number of runs that are not in it; where none is, it is unknown and not 0."""
    return UNKNOWN if unknown == runs else f"{text}{_without(unknown)}"


def _without(count: int) -> str:
    return f" + {count} unknown" if count else ""


def duration_text(seconds: float | None) -> str:
    """Return a duration in the unit that is read most easily."""
    if seconds is None:
        return UNKNOWN
    size, unit = next((max(size, 1.0), unit) for size, unit in _STEPS if seconds >= size)
    return f"{units.significant(seconds / size, 2)} {unit}"


def energy_text(wh: float | None) -> str:
    """Return an energy in the unit that is read most easily."""
    return UNKNOWN if wh is None else units.energy(wh).replace(units.THIN, " ")


def _mass(grams: float | None) -> str:
    if grams is None:
        return UNKNOWN
    return f"{units.significant(grams / 1000, 2)} kg" if grams >= 1000 else f"{units.significant(grams, 2)} g"
