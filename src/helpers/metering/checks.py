"""Named expectations about the measuring of a run, as data: each with what was found and what was expected."""

import statistics
from collections.abc import Iterator, Sequence

from helpers.metering.meter import Reading, SourceReading, Window
from helpers.record import Check, Energy

CLOCKS_APART = 0.05
SOURCES_APART = 0.05
"""How far CodeCarbon and the counters may be apart, as a part of the counters' energy."""
TIMELINE_APART = 0.15
"""The same of the power time line, whose ten readings a second see less of quick changes."""
IDLE_DRIFT = 0.1
REPEATS_APART = 0.03
BUSY_PERCENT = 5.0


def clocks_agree(readings: Sequence[Reading]) -> Check:
    """CodeCarbon's durations and ours."""
    apart = max(abs(item.codecarbon_duration_s / item.duration_s - 1) for item in readings)
    return _check(
        "clocks_agree",
        apart <= CLOCKS_APART,
        f"CodeCarbon's durations and ours are at most {apart:.2%} apart, expected {CLOCKS_APART:.0%}",
    )


def window_long_enough(windows: Sequence[Window], least_s: float) -> Check:
    """Windows of at least five seconds and twenty updates of the slowest counter."""
    shortest = min(item.reading.duration_s for item in windows)
    return _check(
        "window_long_enough",
        shortest >= least_s,
        f"shortest window {shortest:.2f} s, expected at least {least_s:g} s",
    )


def counters_moved(readings: Sequence[Reading]) -> Check:
    """No counter that is there was lost, stood still or gave an energy with a problem; without any, the methods tell."""
    mine = [item for item in _counters(readings) if ":" in item.source]
    absent = sorted(
        {f"{item.source}: {item.problem}" for item in _counters(readings) if ":" not in item.source}
    )
    bad = sorted({f"{item.source}: {item.problem}" for item in mine if item.problem})
    moved = (
        f"{len({item.source for item in mine})} energy counters moved" if mine else "no energy counter here"
    )
    return _check("counters_moved", not bad, "; ".join(bad or [moved, *absent]))


def sources_agree(readings: Sequence[Reading]) -> Check:
    """CodeCarbon against the counters, component by component, where both measured."""
    worst, where = 0.0, ""
    for reading in readings:
        for component in ("cpu", "gpu"):
            mine = [item.energy_wh for item in _counters([reading]) if item.component == component]
            theirs = [
                item.energy_wh
                for item in reading.sources
                if item.component == component and item.source.startswith("codecarbon:measured")
            ]
            known = sum(value for value in mine if value)
            if theirs and None not in theirs and known > 0:
                apart = abs(sum(value for value in theirs if value) / known - 1)
                if apart > worst:
                    worst, where = apart, component
    if not where:
        return _check(
            "sources_agree", True, "no component was measured by two sources, or they agree exactly"
        )
    return _check(
        "sources_agree",
        worst <= SOURCES_APART,
        f"CodeCarbon and the counters are at most {worst:.1%} apart ({where}), expected {SOURCES_APART:.0%}",
    )


def timeline_agrees(pairs: Sequence[tuple[str, float, float]]) -> Check:
    """The integral of the power time line against the counters: (counter, its Wh, the integral's Wh)."""
    if not pairs:
        return _check("timeline_agrees", True, "no counter whose power the time line holds as well")
    name, counter, integral = max(pairs, key=lambda pair: abs(pair[2] / pair[1] - 1))
    apart = integral / counter - 1
    return _check(
        "timeline_agrees",
        abs(apart) <= TIMELINE_APART,
        f"the power time line gives {apart:+.1%} against {name}, expected within {TIMELINE_APART:.0%}",
    )


def idle_stable(before_w: float | None, after_w: float | None) -> Check:
    """Idle power before and after the run."""
    if before_w is None or after_w is None or before_w == 0:
        return _check("idle_stable", False, "the idle power before or after the run is unknown")
    drift = after_w / before_w - 1
    return _check(
        "idle_stable",
        abs(drift) <= IDLE_DRIFT,
        f"idle power {before_w:.3g} W before and {after_w:.3g} W after the run ({drift:+.1%}), expected {IDLE_DRIFT:.0%}",
    )


def repeats_agree(durations_s: Sequence[float]) -> Check:
    """Passes per split are as long as each other: the relative standard deviation of the durations over splits."""
    if len(durations_s) < 2:
        return _check("repeats_agree", False, "one split only, so there is no scatter to judge")
    apart = statistics.stdev(durations_s) / statistics.fmean(durations_s)
    return _check(
        "repeats_agree",
        apart <= REPEATS_APART,
        f"durations of the splits scatter by {apart:.1%} (other texts in each), expected {REPEATS_APART:.0%}",
    )


def machine_quiet(busy_percent: float, cores: int) -> Check:
    """Load of other processes while the run was idle; the share of all cores."""
    return _check(
        "machine_quiet",
        busy_percent <= BUSY_PERCENT,
        f"other processes kept the CPU {busy_percent:.1f} % busy while idle ({cores} cores), "
        f"expected at most {BUSY_PERCENT:g} %",
    )


def clocks_not_throttled(reasons: set[str] | None) -> Check:
    """No GPU was slowed down; None where none could tell."""
    if reasons is None:
        return _check("clocks_not_throttled", True, "no GPU in the power time line that could be throttled")
    said = ", ".join(sorted(reasons)) or "no GPU was slowed down"
    return _check("clocks_not_throttled", not reasons, said)


def temperature_settled(settled: bool | None) -> Check:
    """GPU temperatures did not drift during the windows; None where none is known."""
    if settled is None:
        return _check("temperature_settled", True, "no GPU temperature is known")
    said = "GPU temperatures settled" if settled else "a GPU's temperature drifted during the windows"
    return _check("temperature_settled", settled, said)


def alone_on_gpu(others: int | None) -> Check:
    """No other process on the GPUs of the run; None where no GPU is used or it cannot be told."""
    if others is None:
        return _check("alone_on_gpu", True, "no GPU used, or its processes cannot be listed")
    return _check("alone_on_gpu", others == 0, f"{others} other processes on the GPUs, expected none")


def energy_known(energies: Sequence[Energy]) -> Check:
    """Every split has an energy."""
    known = all((energy.total_wh or 0) > 0 for energy in energies)
    said = "every split has an energy above 0" if known else "a split has no energy above 0"
    return Check(name="energy_known", passed=known, message=said, severity="error")


def dataset_as_expected(warnings: Sequence[str]) -> Check:
    """The data is that of the catalogue."""
    said = "; ".join(warnings) or "number of texts and labels as in the catalogue"
    return _check("dataset_as_expected", not warnings, said)


def gpus_metered(metered: int, used: int) -> Check:
    """The energy of all GPUs of the run was counted, and of no others."""
    said = f"the energy of {metered} GPUs was counted, the run used {used}"
    return _check("gpus_metered", metered == used, said)


def timeline_complete(lost: str | None) -> Check:
    """There is a power time line; None where it is."""
    return _check("timeline_complete", lost is None, lost or "the power time line is complete")


def _counters(readings: Sequence[Reading]) -> Iterator[SourceReading]:
    return (
        item
        for reading in readings
        for item in reading.sources
        if item.source.partition(":")[0] in ("nvml", "rapl")
    )


def _check(name: str, passed: bool, message: str) -> Check:
    return Check(name=name, passed=passed, message=message, severity="warning")
