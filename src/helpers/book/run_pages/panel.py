"""What a record says, as the sections of its page: HTML that escapes everything that came from outside."""

import html
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.book.run_pages.power_chart import power_lines
from helpers.core import paths, units
from helpers.core.errors import UserError
from helpers.figures.display import html_table
from helpers.figures.html import ROOT_LINK, Markup, link
from helpers.metering.record_versions import check_counts, is_older, lacking
from helpers.metering.timeline import FILE as POWER
from helpers.records.environment import sha256_of
from helpers.records.storage import RECORD, SCHEMA_VERSION, Component, Energy, GpuInfo, Record
from helpers.results.rows import measured_row
from helpers.study.catalogue import study

SCHEMA_PAGE = "book/reference/record.html"
COMPONENTS = {
    "cpu": "CPU",
    "gpu": "GPU",
    "ram": "Memory",
    "ram_codecarbon": "Memory, CodeCarbon's rule (not added)",
}


_DIGITS = 3
"""Significant digits of the energies."""


def summary(file: Path, record: Record, command: str) -> str:
    """Return what the run gave, in words, and where to go from here."""
    failed = [check.name for check in record.checks if not check.passed]
    made, present = check_counts(record)
    of_how_many = f" ({made} of the {present} that the present meter makes)" if is_older(record) else ""
    held = f"All {made} checks passed{of_how_many}."
    checks = f"{len(failed)} of {made} checks{of_how_many} failed: {', '.join(failed)}." if failed else held
    committed = file.is_relative_to(paths.MEASUREMENTS)
    kind = "Committed with the study" if committed else "Measured on this machine and not committed"
    synthetic = " The texts are invented: this is a demo, not a result." if record.run.synthetic else ""
    again = f"<p>To measure it again:</p><pre><code>{html.escape(command)}</code></pre>" if command else ""
    return (
        f'<p class="finding">{html.escape(_gave(record))}</p>'
        f'<p class="{"warning-text" if failed else "note"}">{html.escape(checks)}</p>'
        f'<p class="note">{html.escape(_version(record))}</p>'
        f"<p>{kind}, in the campaign {html.escape(record.run.campaign)}; finished {record.created}.{synthetic} "
        f'<a href="{ROOT_LINK}notebooks/analysis/runs.html">All runs</a>. '
        f'<a href="{ROOT_LINK}{SCHEMA_PAGE}">What each field of a record means</a>.</p>{again}'
    )


def _version(record: Record) -> str:
    """Say which version of the meter took the run, and what an older one lacks."""
    if not is_older(record):
        return f"Measured with the present version of the meter (record of schema {record.schema_version})."
    lacks = lacking(record)
    return (
        f"Measured with an earlier version of the meter: this record is of schema {record.schema_version}, the present one "
        f"writes {SCHEMA_VERSION}." + (f" It lacks: {', '.join(lacks)}." if lacks else "")
    )


def energies(record: Record) -> str:
    """Return the energy of a pass by component, each with the method it was got by."""
    row = measured_row(record.run.campaign, paths.ROOT / RECORD, record)
    components = _components(record)
    means = [_mean_wh([part.energy_wh for part in parts]) for _, *both in components for parts in both]
    size, unit = units.table_unit([*means, row["energy_wh"]], _DIGITS)
    pass_column, idle_column = f"Per pass ({unit})", f"Idle machine in that time ({unit})"
    rows = [
        {
            "Component": title,
            pass_column: _mean([part.energy_wh for part in parts], size),
            idle_column: _mean([part.energy_wh for part in idle], size),
            "Method": ", ".join(sorted({part.method for part in parts})),
        }
        for title, parts, idle in components
    ]
    total = {"Component": "CPU, GPU and memory", pass_column: _mean([row["energy_wh"]], size)}
    table = pd.DataFrame([*rows, total])
    return html_table(
        table, "Energy of a pass over a test set, mean over the splits", [pass_column, idle_column]
    )


def phases(record: Record) -> str:
    """Return all phases with seconds and energy; inference alone enters the paper's figures."""
    energies_wh = [wh for phase in record.phases for wh in _parts(phase.energy).values()]
    size, unit = units.table_unit(energies_wh, _DIGITS)
    rows = [
        {
            "Phase": _PHASES[phase.name],
            "Seconds": units.significant(phase.duration_s, 3),
            **{f"{title} ({unit})": _mean([wh], size) for title, wh in _parts(phase.energy).items()},
        }
        for phase in record.phases
    ]
    return html_table(pd.DataFrame(rows), "Phases, all splits together", list(rows[0])[1:] if rows else [])


def checks(record: Record) -> str:
    """Return what was expected of the run, what failed first."""
    ordered = sorted(record.checks, key=lambda check: check.passed)
    rows = [
        {
            "Check": check.name,
            "Result": Markup(
                f'<span class="check" data-passed="{str(check.passed).lower()}">{_result(check.passed)}</span>'
            ),
            "Severity": check.severity,
            "What was found": check.message,
        }
        for check in ordered
    ]
    table = pd.DataFrame(rows, dtype=object)
    return html_table(table, "Checks") if rows else "<p>This record holds no checks.</p>"


def power(file: Path, record: Record) -> str:
    """Return the power time line, or why there is none."""
    if POWER not in record.files:
        why = ": the version of the meter that measured it had none" if is_older(record) else ""
        return f"<p>This run has no power time line{why}.</p>"
    try:
        return power_lines(file.parent / POWER)
    except UserError as error:
        return f'<p class="warning-text">{html.escape(str(error))}</p>'


def settings(record: Record) -> str:
    """Return what was run."""
    run = record.run
    model, dataset = study().models.get(run.model), study().datasets.get(run.dataset)
    titles = {"model": model and model.title, "dataset": dataset and dataset.title}
    shown = {
        name: f"{value} ({titles[name]})" if titles.get(name) else value
        for name, value in run.model_dump(exclude={"served", "asked"}).items()
    }
    return "".join(
        _facts(title, values)
        for title, values in (
            ("The run", shown),
            ("How the model was served", run.served.model_dump() if run.served else {}),
            ("How it was asked", run.asked.model_dump() if run.asked else {}),
        )
        if values
    )


def environment(record: Record) -> str:
    """Return where it was run."""
    values = record.environment.model_dump(exclude={"packages", "gpus"})
    gpus = [_gpu(gpu) for gpu in record.environment.gpus]
    packages = [f"{name} {version}" for name, version in sorted(record.environment.packages.items())]
    return _facts("Machine and software", {**values, "gpus": gpus, "packages": packages})


def files(file: Path, record: Record) -> str:
    """Return the files of the run with their hashes, and whether those are still the record's."""
    rows = [_file_row(file, None)] + [
        _file_row(file.parent / name, expected) for name, expected in sorted(record.files.items())
    ]
    return html_table(pd.DataFrame(rows, dtype=object), "Files of the run", ["Bytes"])


_PHASES = {
    "load": "load",
    "idle": "idle, before",
    "train": "train",
    "warm-up": "warm-up",
    "inference": "inference",
    "idle-after": "idle, after",
}


def _gave(record: Record) -> str:
    row = measured_row(record.run.campaign, paths.ROOT / RECORD, record)
    accuracy = "No accuracy"
    if row["accuracy"] is not None:
        sd = "" if row["accuracy_sd"] is None else f" ± {row['accuracy_sd']:.3f}"
        accuracy = f"Accuracy {row['accuracy']:.3f}{sd}"
    kind = "" if row["energy_wh"] is None else f" ({str(row['energy_kind']).replace('-', ' ')})"
    splits = f"{record.run.splits} split{'s' if record.run.splits > 1 else ''}"
    return (
        f"{accuracy} over {splits}; a pass over {row['texts']} texts took {units.duration(row['duration_s'])} "
        f"and {units.energy(row['energy_wh'])}{kind}."
    )


def _components(record: Record) -> list[tuple[str, list[Component], list[Component]]]:
    """Return each component's title, its energies per pass, and those of the idle machine in that time."""
    passes = [item.energy for item in record.splits]
    idle = [item.idle_energy for item in record.splits if item.idle_energy is not None]
    return [
        (title, [getattr(energy, name) for energy in passes], [getattr(energy, name) for energy in idle])
        for name, title in COMPONENTS.items()
    ]


def _result(passed: bool) -> str:
    return "passed" if passed else "failed"


def _mean(values: Sequence[float | None], size: float) -> str | None:
    """Return the mean in a unit; None where a split has no value."""
    mean_wh = _mean_wh(values)
    return None if mean_wh is None else units.significant(mean_wh / size, _DIGITS)


def _mean_wh(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.fmean(present) if present and len(present) == len(values) else None


def _parts(energy: Energy) -> dict[str, float | None]:
    parts = {
        title: getattr(energy, name).energy_wh
        for name, title in COMPONENTS.items()
        if name != "ram_codecarbon"
    }
    return {**parts, "Sum": energy.total_wh}


def _facts(title: str, values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{html.escape(name.replace('_', ' '))}</dt><dd>{_fact(value)}</dd>"
        for name, value in values.items()
    )
    return f'<p class="table-title">{title}</p><dl class="facts">{rows}</dl>'


def _fact(value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return '<span class="absent">-</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = [f"{name}: {item}" for name, item in value.items()]
    return html.escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _file_row(file: Path, expected: str | None) -> dict[str, object]:
    if not file.is_file():
        return {
            "File": file.name,
            "Bytes": None,
            "sha256": expected,
            "As recorded": "no: the file is missing",
        }
    digest = sha256_of(file)
    same = "the record itself" if expected is None else "yes" if digest == expected else f"no: {expected}"
    return {
        "File": link(paths.relative(file), file.name),
        "Bytes": file.stat().st_size,
        "sha256": Markup(f'<code class="sha256">{digest}</code>'),
        "As recorded": same,
    }


def _gpu(gpu: GpuInfo) -> str:
    """Return what is known of a GPU, and how it was set up."""
    limit = [] if gpu.power_limit_w is None else [f"power limit {gpu.power_limit_w:g} W"]
    switches = {"persistence": gpu.persistence, "MIG": gpu.mig, "ECC": gpu.ecc}
    states = [f"{name} {'on' if on else 'off'}" for name, on in switches.items() if on is not None]
    return ", ".join([gpu.model, f"{gpu.memory_gb:g} GB", *limit, *states, gpu.uuid])
