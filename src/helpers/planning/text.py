"""The plan of a campaign as lines to read, and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from helpers import units
from helpers.grids import grids
from helpers.planning.campaign import S_PER_HOUR, CampaignPlan, Download, PlannedRun, Total
from helpers.planning.hub import cache_folder

UNKNOWN = "unknown"
_STEPS = ((86_400.0, "d"), (S_PER_HOUR, "h"), (60.0, "min"), (0.0, "s"))
_MEANINGS = {
    "done": "done",
    "filed": "filed under data/measurements; run measures them again",
    "to do": "to do here",
    "failed": "failed, to be tried again here",
    "cannot run": "cannot run here",
    "refused": "a record is in the way",
}


def lines(plan: CampaignPlan) -> Iterator[str]:
    """Yield the plan: a line per run, then the downloads, then a total per state."""
    cells = [_cells(run) for run in plan.runs]
    widths = [max(len(cell) for cell in column) for column in zip(_HEAD, *cells, strict=True)]
    for row, said in zip((_HEAD, *cells), ("expected from", *map(_said, plan.runs)), strict=True):
        yield f"{'  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True))}  {said}"
    yield from _of_downloads(plan)
    yield ""
    for state, total in plan.totals.items():
        if total.runs:
            yield f"{_MEANINGS[state]}: {_sum(total)}"
    yield (
        f"machine {plan.machine}{'' if plan.here else ' (not at hand: its data, packages and access were not looked at)'}; "
        f"CO2e with the electricity of {grids()[plan.grid].title}{_on_top(plan)}"
    )


def _on_top(plan: CampaignPlan) -> str:
    """Say what an expectation leaves out; what is done tells all that it took."""
    done = plan.totals["done"].runs
    if done == len(plan.runs):
        return ""
    return "; loading and training come on top" + (", but are in what is done" if done else "")


def summary(plan: CampaignPlan) -> str:
    """Return what is still to be measured, in a few words."""
    return "; ".join(
        f"{_MEANINGS[state]}: {_sum(plan.totals[state])}"
        for state in ("to do", "failed", "filed")
        if plan.totals[state].runs
    )


def as_json(plan: CampaignPlan) -> dict[str, Any]:
    """Return the plan for scripts; what is unknown is null."""
    return asdict(plan)


_HEAD = ("state", "run", "machine", "nodes x GPUs", "time", "energy", "CO2e", "GPU h")


def _cells(run: PlannedRun) -> tuple[str, ...]:
    return (
        run.state,
        run.run_id,
        run.machine,
        f"{run.nodes} x {run.gpus}",
        time_of(run.duration_s),
        energy(run.energy_wh),
        _mass(run.co2e_g),
        UNKNOWN if run.gpu_hours is None else f"{run.gpu_hours:.2f}",
    )


def _said(run: PlannedRun) -> str:
    """Say where the expectation is from, and what stands in the way."""
    expected = run.expected
    parts = [expected.duration_from]
    if expected.energy_from != expected.duration_from:
        parts.append(f"energy: {expected.energy_from}")
    if run.state == "done":
        parts = ["its record"]
    if run.reconstruction is not None:
        parts.append("a reconstruction")
    if run.reasons:
        parts = [f"{'; '.join(run.reasons)} [{', '.join(parts)}]"]
    return "; ".join(parts)


def _of_downloads(plan: CampaignPlan) -> Iterator[str]:
    if not plan.downloads:
        return
    yield ""
    for item in plan.downloads:
        yield f"{item.kind} {item.name}: {_size(item)}, {_where(item, plan.here)} ({item.runs} runs)"
    absent = [item for item in plan.downloads if not (item.present and plan.here)]
    sizes = [item.size_bytes for item in absent if item.size_bytes is not None]
    free = f"; {plan.free_bytes / 1e9:.0f} GB free in {cache_folder()}" if plan.free_bytes is not None else ""
    yield f"to download: {sum(sizes) / 1e9:.1f} GB{_without(len(absent) - len(sizes))}{free}"


def _size(item: Download) -> str:
    return f"size {UNKNOWN}" if item.size_bytes is None else f"{item.size_bytes / 1e9:.1f} GB"


def _where(item: Download, here: bool) -> str:
    gated = {True: ", gated", None: ", gated or not is unknown", False: ""}[item.gated]
    return ("in the cache" if item.present else "to download") + gated if here else f"from the hub{gated}"


def _sum(total: Total) -> str:
    parts = [
        f"{total.runs} run{'s' if total.runs != 1 else ''}",
        f"{_known(time_of(total.duration_s), total.runs, total.unknown_durations)}",
        f"{_known(energy(total.energy_wh), total.runs, total.unknown_energies)}",
        f"{_known(_mass(total.co2e_g), total.runs, total.unknown_energies)} CO2e",
        f"{_known(f'{total.gpu_hours:.2f}', total.runs, total.unknown_gpu_hours)} GPU hours",
    ]
    return ", ".join(parts)


def _known(text: str, runs: int, unknown: int) -> str:
    """Give a sum with the number of runs that are not in it; where none is, it is unknown and not 0."""
    return UNKNOWN if unknown == runs else f"{text}{_without(unknown)}"


def _without(count: int) -> str:
    return f" + {count} unknown" if count else ""


def time_of(seconds: float | None) -> str:
    """Return a duration in the unit that is read most easily."""
    if seconds is None:
        return UNKNOWN
    size, unit = next((max(size, 1.0), unit) for size, unit in _STEPS if seconds >= size)
    return f"{units.significant(seconds / size, 2)} {unit}"


def energy(wh: float | None) -> str:
    """Return an energy in the unit that is read most easily."""
    return UNKNOWN if wh is None else units.energy(wh).replace(units.THIN, " ")


def _mass(grams: float | None) -> str:
    if grams is None:
        return UNKNOWN
    return f"{units.significant(grams / 1000, 2)} kg" if grams >= 1000 else f"{units.significant(grams, 2)} g"
