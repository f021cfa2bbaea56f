"""Named expectations about the measuring of a run, as data: each with what was found and what was expected."""

import statistics
from collections.abc import Iterator, Sequence

from helpers.metering.clocks import Moved
from helpers.metering.meter import Reading, SourceReading, Window
from helpers.records.storage import Check, Energy

CLOCKS_APART = 0.05
JUMP_S = 0.5
JUMP_SHARE = 0.001
"""How far the wall clock may go from the monotonic one: seconds, and a part of the duration, for it is kept right."""
SOURCES_APART = 0.05
"""How far CodeCarbon and the counters may be apart, as a part of the counters' energy."""
TIMELINE_APART = 0.15
"""The same of the power time line, whose ten readings a second see less of quick changes."""
IDLE_DRIFT = 0.1
REPEATS_APART = 0.03
BUSY_PERCENT = 5.0
BUSY_CORES = 1.0
"""On a machine of many cores five percent are too many."""


def clocks_agree(readings: Sequence[Reading]) -> Check:
    """CodeCarbon's durations and ours."""
    apart = max(abs(item.codecarbon_duration_s / item.duration_s - 1) for item in readings)
    return _check(
        "clocks_agree",
        apart <= CLOCKS_APART,
        f"CodeCarbon's durations and ours are at most {apart:.2%} apart, expected {CLOCKS_APART:.0%}",
    )


def clocks_steady(moves: Sequence[Moved | None]) -> Check:
    """Nobody set the clock, and the machine did not sleep, during any of these stretches; None of them is compared."""
    compared = [item for item in moves if item is not None]
    asleep_s = max((item.suspended_s or 0.0 for item in compared), default=0.0)
    if asleep_s > JUMP_S:
        message = f"the machine was suspended for {asleep_s:.3g} s during the run, expected never: its energy is not counted"
        return _check("clocks_steady", False, message)
    if not compared:
        return _check("clocks_steady", False, "no two clocks were compared")
    worst = max(compared, key=lambda item: abs(item.wall_s) - JUMP_SHARE * item.duration_s)
    return _check(
        "clocks_steady",
        abs(worst.wall_s) <= JUMP_S + JUMP_SHARE * worst.duration_s,
        f"the wall clock moved by {worst.wall_s:+.3g} s against the monotonic clock, which durations are taken from, "
        f"expected at most {JUMP_S:g} s and {JUMP_SHARE:.1%}",
    )


def window_long_enough(windows: Sequence[Window], min_s: float) -> Check:
    """Windows of at least five seconds and twenty updates of the slowest counter."""
    shortest = min(item.reading.duration_s for item in windows)
    return _check(
        "window_long_enough",
        shortest >= min_s,
        f"shortest window {shortest:.2f} s, expected at least {min_s:g} s",
    )


def counters_moved(readings: Sequence[Reading]) -> Check:
    """No existing counter was lost, stood still or gave an energy with a problem; without any, the methods show it."""
    counters = [item for item in _counters(readings) if ":" in item.source]
    absent = sorted(
        {f"{item.source}: {item.problem}" for item in _counters(readings) if ":" not in item.source}
    )
    bad = sorted({f"{item.source}: {item.problem}" for item in counters if item.problem})
    moved = (
        f"{len({item.source for item in counters})} energy counters moved"
        if counters
        else "no energy counter here"
    )
    return _check("counters_moved", not bad, "; ".join(bad or [moved, *absent]))


def sources_agree(readings: Sequence[Reading]) -> Check:
    """CodeCarbon against the counters, component by component, where both measured; one that lost its energy disagrees."""
    worst, worst_component = 0.0, ""
    lost = sorted({f"{item.source}: {item.problem}" for item in _lost_by_codecarbon(readings)})
    if lost:
        return _check(
            "sources_agree", False, f"a counter has an energy and CodeCarbon none: {'; '.join(lost)}"
        )
    for reading in readings:
        for component in ("cpu", "gpu"):
            counted_wh = [item.energy_wh for item in _counters([reading]) if item.component == component]
            codecarbon_wh = [
                item.energy_wh
                for item in reading.sources
                if item.component == component and item.source.startswith("codecarbon:measured")
            ]
            counter_wh = sum(value for value in counted_wh if value)
            if codecarbon_wh and None not in codecarbon_wh and counter_wh > 0:
                apart = abs(sum(value for value in codecarbon_wh if value) / counter_wh - 1)
                if apart > worst:
                    worst, worst_component = apart, component
    if not worst_component:
        return _check(
            "sources_agree", True, "no component was measured by two sources, or they agree exactly"
        )
    return _check(
        "sources_agree",
        worst <= SOURCES_APART,
        f"CodeCarbon and the counters are at most {worst:.1%} apart ({worst_component}), expected {SOURCES_APART:.0%}",
    )


def timeline_agrees(pairs: Sequence[tuple[str, float, float]], unseen: Sequence[str] = ()) -> Check:
    """The integral of the power time line against the counters: (counter, its Wh, the integral's Wh).

    `unseen` are counters whose power the time line does not hold over a whole window.
    """
    if unseen:
        message = f"the power time line does not hold the power of {', '.join(unseen)} over every window"
        return _check("timeline_agrees", False, message)
    if not pairs:
        return _check("timeline_agrees", True, "no energy counter to compare the power time line with")
    name, counter, integral = max(pairs, key=lambda pair: abs(pair[2] / pair[1] - 1))
    apart = integral / counter - 1
    return _check(
        "timeline_agrees",
        abs(apart) <= TIMELINE_APART,
        f"the power time line gives {apart:+.1%} against {name}, expected within {TIMELINE_APART:.0%}",
    )


def idle_stable(before: Reading, after: Reading) -> Check:
    """Idle power before and after the run, of each component that was measured: an estimate follows the load."""
    drifts = {}
    for component in ("cpu", "gpu"):
        parts = [getattr(reading.energy, component) for reading in (before, after)]
        if all(part.method.startswith("measured") and part.energy_wh for part in parts):
            before_w, after_w = (
                part.energy_wh * 3600 / reading.duration_s
                for part, reading in zip(parts, (before, after), strict=True)
            )
            drifts[component] = (after_w / before_w - 1, before_w, after_w)
    if not drifts:
        return _check("idle_stable", True, "no component's idle power was measured before and after the run")
    component, (drift, before_w, after_w) = max(drifts.items(), key=lambda item: abs(item[1][0]))
    return _check(
        "idle_stable",
        abs(drift) <= IDLE_DRIFT,
        f"idle power of the {component} {before_w:.3g} W before and {after_w:.3g} W after the run ({drift:+.1%}), "
        f"expected {IDLE_DRIFT:.0%}",
    )


def repeats_agree(durations_s: Sequence[float]) -> Check:
    """Passes per split are as long as each other: the relative standard deviation of the durations over splits."""
    if len(durations_s) < 2:
        return _check("repeats_agree", False, "one split only, so there is no dispersion to check")
    apart = statistics.stdev(durations_s) / statistics.fmean(durations_s)
    return _check(
        "repeats_agree",
        apart <= REPEATS_APART,
        f"durations of the splits have a dispersion of {apart:.1%} (other texts in each), expected {REPEATS_APART:.0%}",
    )


def machine_quiet(busy_percent: float, cores: int) -> Check:
    """Load of other processes while the run was idle: the share of all cores, and not a whole one."""
    busy_cores = busy_percent * cores / 100
    return _check(
        "machine_quiet",
        busy_percent <= BUSY_PERCENT and busy_cores <= BUSY_CORES,
        f"other processes kept the CPU {busy_percent:.1f} % busy while idle ({busy_cores:.2g} of {cores} cores), "
        f"expected at most {BUSY_PERCENT:g} % and {BUSY_CORES:g} core",
    )


def one_tracker(others: Sequence[str]) -> Check:
    """No other meter runs on the machine: `others` are the processes that look like one."""
    message = f"other meters run: {', '.join(others)}" if others else "no other meter runs on this machine"
    return _check("one_tracker_per_machine", not others, message)


def clocks_not_throttled(reasons: set[str] | None, gpus: int) -> Check:
    """No GPU of the run was slowed down; None where none reports it."""
    if reasons is None:
        return _check("clocks_not_throttled", gpus == 0, _unknown(gpus, "whether it was slowed down"))
    message = ", ".join(sorted(reasons)) or "no GPU was slowed down"
    return _check("clocks_not_throttled", not reasons, message)


def temperature_settled(settled: bool | None, gpus: int) -> Check:
    """GPU temperatures did not drift during the windows; None where none is known."""
    if settled is None:
        return _check("temperature_settled", gpus == 0, _unknown(gpus, "its temperature"))
    message = "GPU temperatures settled" if settled else "a GPU's temperature drifted during the windows"
    return _check("temperature_settled", settled, message)


def alone_on_gpu(others: int | None, gpus: int) -> Check:
    """No other process on the GPUs of the run, before and after; None where they cannot be listed."""
    if others is None:
        return _check("alone_on_gpu", gpus == 0, _unknown(gpus, "its processes"))
    return _check("alone_on_gpu", others == 0, f"{others} other processes on the GPUs, expected none")


def _unknown(gpus: int, what: str) -> str:
    return f"a GPU is used, and {what} is not known" if gpus else "no GPU is used"


def energy_known(energies: Sequence[Energy], gpus: int) -> Check:
    """Every split has an energy above 0 of every component that the run used."""
    lacking = sorted({name for energy in energies for name in energy.lacks(gpus)})
    zero = any(energy.total_wh == 0 for energy in energies)
    fault = f"no energy of: {', '.join(lacking)}" if lacking else "a split has an energy of 0"
    fine = "every split has an energy of all components used"
    passed = not (lacking or zero)
    return Check(name="energy_known", passed=passed, message=fine if passed else fault, severity="error")


def dataset_as_expected(warnings: Sequence[str]) -> Check:
    """The data is that of the catalogue."""
    message = "; ".join(warnings) or "number of texts and labels as in the catalogue"
    return _check("dataset_as_expected", not warnings, message)


def gpus_metered(metered: int, used: int) -> Check:
    """The energy of all GPUs of the run was counted, and of no others."""
    message = f"the energy of {metered} GPUs was counted, the run used {used}"
    return _check("gpus_metered", metered == used, message)


def metered_the_right_gpu(used: str, readings: Sequence[Reading]) -> Check:
    """The GPU that computed is the one whose counter was read; CUDA and NVML can count them differently."""
    counted = {item.source.removeprefix("nvml:") for item in _counters(readings) if item.component == "gpu"}
    text = f"the run computed on {used}; counters were read of: {', '.join(sorted(counted)) or 'no GPU'}"
    return Check(name="metered_the_right_gpu", passed=counted == {used}, message=text, severity="error")


def timeline_complete(lost: str | None) -> Check:
    """There is a power time line; None where it is."""
    return _check("timeline_complete", lost is None, lost or "the power time line is complete")


def _lost_by_codecarbon(readings: Sequence[Reading]) -> Iterator[SourceReading]:
    """Yield what CodeCarbon measured and has no energy of, where a counter has one."""
    for reading in readings:
        counted = {item.component for item in _counters([reading]) if item.energy_wh}
        for item in reading.sources:
            measured = item.source.startswith("codecarbon:measured")
            if measured and item.energy_wh is None and item.component in counted:
                yield item


def _counters(readings: Sequence[Reading]) -> Iterator[SourceReading]:
    return (
        item
        for reading in readings
        for item in reading.sources
        if item.source.partition(":")[0] in ("nvml", "rapl")
    )


def _check(name: str, passed: bool, message: str) -> Check:
    return Check(name=name, passed=passed, message=message, severity="warning")
