"""What an older record lacks against one that the present meter writes, in words and numbers for the pages that show it."""

from collections.abc import Sequence

from helpers.metering.timeline import FILE as POWER
from helpers.records.schema_run import Run
from helpers.records.storage import SCHEMA_VERSION, Record

PRESENT_METER_SINCE = 3
"""The first record version of the present meter: version 4 adds fields of language models alone."""
_EVERY_RUN = (
    "window_long_enough",
    "clocks_agree",
    "counters_moved",
    "sources_agree",
    "idle_stable",
    "repeats_agree",
    "energy_known",
    "dataset_as_expected",
    "gpus_metered",
    "clocks_steady",
    "machine_quiet",
    "one_tracker_per_machine",
    "alone_on_gpu",
    "timeline_agrees",
    "clocks_not_throttled",
    "temperature_settled",
)
_CLASSIFIER_ON_GPU = ("metered_the_right_gpu",)
_EMBEDDING = ("texts_read_whole",)
_LANGUAGE_MODEL = ("no_cache", "engine_counts_agree", "every_text_answered", "passes_agree", "engine_here")
_CONSTRAINED = ("constraint_applied",)
_SEVERAL_NODES = (
    "no_node_missing",
    "one_meter_per_machine",
    "same_methods_on_all_nodes",
    "meters_together",
    "nodes_measured_the_work",
)


def expected_checks(run: Run) -> tuple[str, ...]:
    """Return the names of the checks that the present meter makes of such a run, when its power time line is whole."""
    classifier = run.family == "Traditional"
    return (
        *_EVERY_RUN,
        *(_CLASSIFIER_ON_GPU if classifier and run.gpus else ()),
        *(_EMBEDDING if classifier and run.checkpoint is not None else ()),
        *(() if classifier else _LANGUAGE_MODEL),
        *(_CONSTRAINED if run.asked is not None and run.asked.output_mode == "constrained" else ()),
        *(_SEVERAL_NODES if run.nodes > 1 else ()),
    )


def is_older(record: Record) -> bool:
    """Say whether an earlier version of the meter took the run."""
    return record.schema_version < PRESENT_METER_SINCE


def lacking(record: Record) -> list[str]:
    """Return what the present meter takes of every run and this record does not hold, as nouns."""
    present = {
        "idle power after the run": any(phase.name == "idle-after" for phase in record.phases),
        "the energy of the idle machine by component": all(item.idle_energy for item in record.splits),
        "readings of each source by itself": any(item.sources for item in record.splits),
        "number of threads": record.environment.threads is not None,
        "power time line": POWER in record.files,
    }
    return [name for name, is_present in present.items() if not is_present]


def check_counts(record: Record) -> tuple[int, int]:
    """Return how many checks the record holds, and how many the present meter makes of such a run."""
    return len(record.checks), len(expected_checks(record.run))


def checks_in_words(records: Sequence[Record]) -> tuple[str, str]:
    """Return how many checks the records hold and how many the present meter makes: `5 or 6`, `16 or 17`."""
    made, present = zip(*map(check_counts, records), strict=True)
    return _either(made), _either(present)


def about_records(records: Sequence[Record]) -> str:
    """Say in one or two sentences what of these records is from an earlier version of the meter; nothing if none is."""
    older = [record for record in records if is_older(record)]
    if not older:
        return ""
    which = (
        "Our run here was"
        if len(records) == 1
        else f"{_part(len(older), len(records))} runs of ours here were"
    )
    lacks = [name for name in lacking(older[0]) if all(name in lacking(record) for record in older)]
    made, present = checks_in_words(older)
    versions = _either([record.schema_version for record in older])
    return (
        f"{which} measured with an earlier version of our meter, which made {made} of the {present} checks of the present one "
        f"(record schema {versions} instead of {SCHEMA_VERSION})"
        + (f". Not recorded then: {', '.join(lacks)}." if lacks else ".")
    )


def _part(count: int, total: int) -> str:
    return f"All {total}" if count == total else f"{count} of {total}"


def _either(numbers: Sequence[int]) -> str:
    return _or([str(number) for number in sorted(set(numbers))])


def _or(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
