"""A measured run as an action of an RO-Crate: what was run, with which settings, where, on what, and what came of it."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from helpers.figures.notebooks import papermill_of, read_executed
from helpers.publish.run_crate import Crate
from helpers.records.storage import RECORD, Environment, Record
from helpers.study.catalogue import study

_SETTINGS = {
    "model": "Text",
    "dataset": "Text",
    "machine": "Text",
    "gpus": "Integer",
    "nodes": "Integer",
    "concurrency": "Integer",
    "splits": "Integer",
    "window_s": "Number",
    "device": "Text",
}
"""What a run is asked for, with its type: the inputs of the workflow."""
_TITLES = {RECORD: "Record", "notebook.ipynb": "Executed notebook", "predictions.parquet": "Predictions"}
_KINDS = {"duration_s": ("Time", "SEC"), "energy_wh": ("Energy", "W-HR")}
_QUDT = "http://qudt.org/vocab"
_COMPLETED = "http://schema.org/CompletedActionStatus"


def parameters(crate: Crate) -> list[Any]:
    """Describe what a run can be asked for."""
    return [
        crate.entity(
            f"#parameter-{name}",
            "FormalParameter",
            {"name": name, "additionalType": kind, "valueRequired": False},
        )
        for name, kind in _SETTINGS.items()
    ]


def tool(crate: Crate, notebook: str, commit: str | None) -> Any:
    """Describe a notebook as it was at a commit."""
    at = commit or "of an unknown commit"
    properties = {
        "name": f"{notebook}, commit {at[:12]}" if commit else f"{notebook}, {at}",
        "version": commit or "unknown",
        "programmingLanguage": crate.entity(
            "#jupyter-notebook",
            "ComputerLanguage",
            {"name": "Jupyter Notebook", "url": "https://jupyter.org"},
        ),
        "license": crate.code_licence,
    }
    return crate.entity(f"#{notebook}@{at[:12].replace(' ', '-')}", "SoftwareSourceCode", properties)


def add_run(crate: Crate, folder: str, record: Record, by_contributors: bool) -> Any:
    """Describe a run whose files lie in `folder` of the crate; returns its folder's entity.

    `by_contributors`: whether it is one of the committed campaigns, which the contributors measured; who measured others is
    not known.
    """
    run = record.run
    names = [name for name in (RECORD, *sorted(record.files)) if (crate.folder / folder / name).is_file()]
    files = [crate.file(f"{folder}/{name}", f"{_title(name)} of {run.run_id}") for name in names]
    started = _started(crate, folder)
    failed = [check.name for check in record.checks if not check.passed]
    crate.action(
        f"#run-{folder.replace('/', '-')}",
        {
            "name": f"{run.model} on {run.dataset}, {run.machine}",
            "description": f"{run.splits} splits of {record.splits[0].texts} texts. "
            + (f"Checks that failed: {', '.join(failed)}." if failed else "All checks passed."),
            "instrument": tool(
                crate, f"notebooks/measure/{run.notebook}.ipynb", record.environment.git_commit
            ),
            "agent": crate.makers if by_contributors else None,
            "startTime": started,
            "endTime": record.created.replace("Z", "+00:00"),
            "actionStatus": _COMPLETED,
            "object": [*_settings(crate, record), data_of(crate, record)],
            "result": files,
            "environment": list(_environment(crate, record.environment)),
            "resourceUsage": list(_usage(crate, folder, record)),
        },
    )
    return crate.dataset(folder, run.run_id, files)


def _title(name: str) -> str:
    return _TITLES.get(name, PurePosixPath(name).stem.replace("_", " ").capitalize())


def _started(crate: Crate, folder: str) -> str | None:
    """Return when papermill began to execute the run's notebook; None where that is not beside the record."""
    started = papermill_of(read_executed(crate.folder / folder / "notebook.ipynb")).get("start_time")
    return f"{started[:19]}+00:00" if isinstance(started, str) else None  # without microseconds, as `endTime`


def _settings(crate: Crate, record: Record) -> Iterator[Any]:
    for name in _SETTINGS:
        value = getattr(record.run, name)
        properties = {
            "name": name,
            "value": value,
            "exampleOfWork": crate.entity(f"#parameter-{name}", "FormalParameter", {}),
        }
        yield crate.entity(f"#{name}-{value}", "PropertyValue", properties)


def data_of(crate: Crate, record: Record) -> Any:
    """Describe the texts, which no crate contains."""
    run, catalogue = record.run, study().datasets
    dataset = catalogue.get(run.dataset)
    properties = {
        "name": f"Texts of {dataset.title if dataset else run.dataset}",
        "description": f"Not contained. sha256 of the data: {run.dataset_sha256}",
        "identifier": f"sha256:{run.dataset_sha256}",
    }
    return crate.entity(f"#texts-{run.dataset}-{run.dataset_sha256[:12]}", "CreativeWork", properties)


def _environment(crate: Crate, environment: Environment) -> Iterator[Any]:
    facts = {
        "commit": environment.git_commit,
        "uncommitted changes": None
        if environment.git_dirty is None
        else "yes"
        if environment.git_dirty
        else "no",
        "lock sha256": environment.lock_sha256,
        "python": environment.python,
        "operating system": environment.os,
        "cpu": f"{environment.cpu_model}, {environment.cpu_cores} cores",
        "memory in GB": environment.ram_gb,
        "gpus": ", ".join(f"{gpu.model} ({gpu.uuid})" for gpu in environment.gpus) or None,
        "driver": environment.driver,
        "container": environment.container,
        "packages": ", ".join(f"{name} {version}" for name, version in sorted(environment.packages.items())),
    }
    for name, value in facts.items():
        if value is not None:
            yield _value(crate, name, value)


def _usage(crate: Crate, folder: str, record: Record) -> Iterator[Any]:
    """Yield duration and energy of every phase."""
    for number, phase in enumerate(record.phases):
        values = {"duration_s": phase.duration_s, "energy_wh": phase.energy.total_wh}
        for quantity, value in values.items():
            if value is not None:
                kind, unit = _KINDS[quantity]
                yield crate.entity(
                    f"#usage-{folder.replace('/', '-')}-{number}-{quantity}",
                    "PropertyValue",
                    {
                        "name": f"{phase.name}: {quantity}",
                        "value": value,
                        "propertyID": f"{_QUDT}/quantitykind/{kind}",
                        "unitCode": f"{_QUDT}/unit/{unit}",
                    },
                )


def _value(crate: Crate, name: str, value: Any) -> Any:
    """Return a fact of an environment; runs of one environment share it."""
    digest = hashlib.sha256(str(value).encode()).hexdigest()[:12]
    identifier = f"#environment-{name.replace(' ', '-')}-{digest}"
    return crate.entity(identifier, "PropertyValue", {"name": name, "value": value})
