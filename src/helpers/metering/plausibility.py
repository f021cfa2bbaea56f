"""What is expected of the measuring of every run, from the readings that it has; single checks: `checks`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from helpers.metering import checks
from helpers.metering.meter import Reading, Window
from helpers.metering.timeline import (
    integral_wh,
    power_column,
    read_timeline,
    temperature_settled,
    throttled,
)
from helpers.records.storage import Check

WINDOW_S = 5.0
"""A window below this is too short to be trusted, whatever a run asks for."""


def checks_for_windows(
    windows: Sequence[Window], idle: Sequence[Reading], min_window_s: float
) -> Iterator[Check]:
    """Judge the windows of all splits and the idle phases before and after them."""
    readings = [window.reading for window in windows]
    yield checks.window_long_enough(windows, max(WINDOW_S, min_window_s))
    yield checks.clocks_agree(readings)
    yield checks.counters_moved(readings)
    yield checks.sources_agree(readings)
    yield checks.idle_stable(*idle)
    yield checks.repeats_agree([window.duration_s for window in windows])


def checks_for_run(
    windows: Sequence[Window], warnings: Sequence[str], metered: int, used: int
) -> Iterator[Check]:
    """Judge whether there is an energy, the data is the expected one, and all GPUs were metered."""
    yield checks.energy_known([window.energy for window in windows], used)
    yield checks.dataset_as_expected(warnings)
    yield checks.gpus_metered(metered, used)


def checks_for_timeline(
    windows: Sequence[Window], power: Path | None, lost: str | None, gpus: int
) -> Iterator[Check]:
    """Compare the power time line with the counters, window by window, and ask it for throttling and heat."""
    if power is None:
        yield checks.timeline_complete(lost)
        return
    frame = read_timeline(power)
    spans, pairs, unseen = [], [], set()
    for reading in (window.reading for window in windows):
        if reading.started_s is None:
            continue
        start_s, end_s = reading.started_s, reading.started_s + reading.duration_s
        spans.append((start_s, end_s))
        for source in reading.sources:
            column = power_column(frame, source.source)
            integral = integral_wh(frame, start_s, end_s, column) if column else None
            if source.energy_wh and integral is not None:
                pairs.append((source.source, source.energy_wh, integral))
            elif source.energy_wh and source.source.startswith(("nvml:", "rapl:")):
                unseen.add(source.source)
    slowed = [reasons for span in spans if (reasons := throttled(frame, *span)) is not None]
    settled = [steady for span in spans if (steady := temperature_settled(frame, *span)) is not None]
    yield checks.timeline_agrees(pairs, sorted(unseen))
    yield checks.clocks_not_throttled(set().union(*slowed) if slowed else None, gpus)
    yield checks.temperature_settled(all(settled) if settled else None, gpus)


def power_w(reading: Reading) -> float | None:
    """Return the mean power of a reading, all known components."""
    total_wh = reading.energy.total_wh
    return None if total_wh is None else total_wh * 3600 / reading.duration_s
