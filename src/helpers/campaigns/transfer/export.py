"""Export: the runs of a campaign in one ZIP file for an archive, checked, described and written atomically."""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from helpers.campaigns.plan.assignment import mismatch
from helpers.campaigns.run.schedule import ORDER, add_invocations, read_run_order
from helpers.campaigns.transfer.archive import write_zip
from helpers.campaigns.transfer.private import check_private, check_run, private_words
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.core.paths import is_folder
from helpers.measure.parameters import CampaignRun, campaign_runs
from helpers.publish.crates import describe_campaign
from helpers.publish.zenodo import Contents, licence_text, readme_text
from helpers.records import checksums
from helpers.records.environment import sha256_of
from helpers.records.hardware import detect
from helpers.records.storage import RAW_ANSWERS, RECORD, Record, read_record
from helpers.study.campaigns import filed_under
from helpers.study.catalogue import ENTRIES, entries_of, entry, study


@dataclass(frozen=True)
class Exported:
    """What was written."""

    campaign: str
    filed_under: str
    file: str
    size_bytes: int
    sha256: str
    runs: tuple[str, ...]
    """Names of the runs in it."""
    present: int | None
    """How many runs of the campaign have a record in it, on whichever machine; None for one of no catalogue."""
    of: int | None
    """How many runs the campaign has."""
    missing: tuple[str, ...]
    """Its runs without a record."""
    other: int
    """Records of no run of the campaign as it is now: part of the archive of a whole, left out of that of a part."""


@dataclass(frozen=True)
class _Chosen:
    """The runs that are exported, by name, and how they compare with the campaign."""

    folders: Mapping[str, Path]
    records: Mapping[str, Record]
    present: int | None
    of: int | None
    missing: tuple[str, ...]
    other: int


def export_campaign(name: str, file: Path | None = None) -> Exported:
    """Write the records of a campaign, the files they list and what describes them into a ZIP file.

    Taken are the records of `runs` and of `data/measurements`; those that are in both, once. Of a part of a
    campaign, those of its runs, on whichever machine. Runs that are missing are counted, not asked for.

    Args:
        name: the campaign: one of the catalogue, or another one that runs are stored under.
        file: the archive; `_build/NAME.zip` where None. An existing ZIP file is replaced.

    Raises:
        UserError: one line, with nothing written, for the first record that is not valid, in conflict with another
            one, or of another campaign; for a file that is missing, not what its record says, or names this
            machine or a person; and where there is no record, or the archive cannot be written, or would replace what
            is no ZIP file.
    """
    file = file or paths.BUILD / f"{name}.zip"
    if file.is_dir():
        raise UserError(f"export {name}: {paths.relative(file)} is a folder; expected a file: --to FILE.zip")
    if file.exists() and not zipfile.is_zipfile(file):
        raise UserError(
            f"export {name}: {paths.relative(file)} exists and is no ZIP file; remove it, or give another --to FILE.zip"
        )
    in_catalogue = name in study().campaigns
    stored = filed_under(name, study()) if in_catalogue else name
    records = _records(stored) if in_catalogue or _campaign_folders(stored) else {}
    if not records and not in_catalogue:
        entry("campaign", study().campaigns, name)
    chosen = _choose(records, name, stored) if in_catalogue else _choose_all(records)
    if not chosen.records:
        folders = " and ".join(paths.relative(base / stored) for base in (paths.RUNS, paths.MEASUREMENTS))
        raise UserError(f"export {name}: no run of it in {folders}; measure it: python -m helpers run {name}")
    beside = {f"{item}.yaml": paths.CAMPAIGNS / f"{item}.yaml" for item in (name, stored) if in_catalogue}
    orders = _orders(stored)
    words = private_words()
    for run, folder in chosen.folders.items():
        _check(folder, chosen.records[run], words)
    for source in (*beside.values(), *orders):
        check_private(source, words, "remove it")
    try:
        _write(name, stored, chosen, beside, orders, words, file)
    except OSError as error:
        raise UserError(
            f"export {name}: {paths.relative(file)} cannot be written: {error.strerror or error}; nothing was written"
        ) from None
    return Exported(
        campaign=name,
        filed_under=stored,
        file=paths.relative(file),
        size_bytes=file.stat().st_size,
        sha256=sha256_of(file),
        runs=tuple(chosen.records),
        present=chosen.present,
        of=chosen.of,
        missing=chosen.missing,
        other=chosen.other,
    )


def _campaign_folders(stored: str) -> list[Path]:
    """Return the folders of the runs of a campaign: the committed ones, and those of this machine."""
    if "/" in stored or stored.startswith("."):
        return []
    folders = [base / stored for base in (paths.MEASUREMENTS, paths.RUNS)]
    return [folder for folder in folders if folder.is_dir()]


def _records(stored: str) -> dict[Path, Record]:
    """Read the records of a campaign, by the folders of the runs; of two that are the same, the committed one.

    Raises:
        UserError: one line with file and field for the first fault.
    """
    records: dict[str, tuple[Path, Record]] = {}
    for campaign_folder in _campaign_folders(stored):
        for file in sorted(campaign_folder.glob(f"[!.]*/{RECORD}")):
            record, label = read_record(file), paths.relative(file)
            if record.run.campaign != stored:
                raise UserError(
                    f"{label}: run.campaign: {record.run.campaign!r} does not name its folder; move the run to "
                    f"{paths.relative(campaign_folder.with_name(record.run.campaign))}"
                )
            folder, other = records.setdefault(record.run.run_id, (file.parent, record))
            if other != record:
                raise UserError(
                    f"{label}: another record than {paths.relative(folder / RECORD)} of the same run: created "
                    f"{record.created} and {other.created}; delete one of the two folders"
                )
    return dict(records[run] for run in sorted(records))


def _choose_all(records: Mapping[Path, Record]) -> _Chosen:
    """Take every record: the runs that a campaign outside the catalogue should have are unknown."""
    folders = {folder.name: folder for folder in records}
    return _Chosen(folders, {folder.name: record for folder, record in records.items()}, None, None, (), 0)


def _choose(records: Mapping[Path, Record], name: str, stored: str) -> _Chosen:
    """Compare the records with the runs of a campaign; of a part take those that are its runs."""
    runs = campaign_runs(name)
    matches = _matches(list(records.values()), runs)
    taken = [
        (folder, record)
        for (folder, record), match in zip(records.items(), matches, strict=True)
        if match is not None or name == stored
    ]
    present = {match for match in matches if match is not None}
    return _Chosen(
        folders={folder.name: folder for folder, _ in taken},
        records={folder.name: record for folder, record in taken},
        present=len(present),
        of=len(runs),
        missing=tuple(_title(run) for number, run in enumerate(runs) if number not in present),
        other=matches.count(None),
    )


def _matches(records: Sequence[Record], runs: Sequence[CampaignRun]) -> list[int | None]:
    """Return for each record the number of its run in the campaign; None where it is none of them.

    The name of a run holds all its settings. With a checkpoint in a folder it holds the path, too, which is another
    one on each machine: then the run is identified by the fields that planning compares.
    """
    hardware = detect()  # part of every plan, but of no run's name
    names = {
        machine: {
            run.on(machine, hardware).run_id: number
            for number, run in enumerate(runs)
            if run.parameters.machine in ("auto", machine)
        }
        for machine in {record.run.machine for record in records}
    }
    with_folder = [
        (number, run)
        for number, run in enumerate(runs)
        if is_folder(getattr(run.parameters, "checkpoint", ""))
    ]
    return [
        names[record.run.machine].get(
            record.run.run_id,
            next(
                (
                    number
                    for number, run in with_folder
                    if mismatch(record, run.on(record.run.machine, hardware)) is None
                ),
                None,
            ),
        )
        for record in records
    ]


def _title(run: CampaignRun) -> str:
    chosen = run.parameters
    given = chosen.model_dump(
        include={"gpus", "nodes", "concurrency", "protocol", "dspy_cache"}, exclude_defaults=True
    )
    return ", ".join(
        [
            f"{chosen.model} on {chosen.dataset}",
            *([] if chosen.machine == "auto" else [chosen.machine]),
            *(f"{key} {value}" for key, value in given.items()),
        ]
    )


def _orders(stored: str) -> list[Path]:
    """Return the orders in which the runs were taken: those that were committed, and those of this machine."""
    return [folder / ORDER for folder in _campaign_folders(stored) if (folder / ORDER).is_file()]


def _check(folder: Path, record: Record, words: Mapping[str, str]) -> None:
    """Check a run's files for privacy and integrity.

    Raises:
        UserError: one line with file and field for the first that is missing, changed, or not to be given away.
    """
    label = paths.relative(folder / RECORD)
    if RAW_ANSWERS in record.files:
        raise UserError(
            f"{label}: files.{RAW_ANSWERS}: raw answers may quote the texts and are never published; measure the run again"
        )
    for name, expected in record.files.items():
        _check_file(folder / name, expected, f"{label}: files.{name}")
    check_run(folder, (RECORD, *record.files), words)


def _check_file(file: Path, expected: str, label: str) -> None:
    if not file.is_file():
        raise UserError(f"{label}: missing; copy the whole folder of the run again, or measure it again")
    if (actual := sha256_of(file)) != expected:
        raise UserError(
            f"{label}: sha256 is {actual[:12]}..., the record says {expected[:12]}...; copy it again, or measure it again"
        )


def _write(
    name: str,
    stored: str,
    chosen: _Chosen,
    beside: Mapping[str, Path],
    orders: Sequence[Path],
    words: Mapping[str, str],
    file: Path,
) -> None:
    """Lay the archive out beside `file` and pack it; a scratch folder is left in no case."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as scratch:
        folder = Path(scratch) / name
        for run, source in chosen.folders.items():
            _copy_run(source, chosen.records[run], folder / run)
        for target, source in beside.items():
            shutil.copyfile(source, folder / target)
        for source in orders:
            add_invocations(folder / ORDER, read_run_order(source))
        runs = [record.run for record in chosen.records.values()]
        entries = entries_of((run.model for run in runs), (run.dataset for run in runs))
        if entries:
            text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
            (folder / ENTRIES).write_text(text, encoding="utf-8")
            check_private(folder / ENTRIES, words, "correct it in data/study")
        named = [*beside, *([ENTRIES] if entries else []), *([ORDER] if orders else [])]
        contents = Contents(name, stored, chosen.records, chosen.present, chosen.of, chosen.missing, named)
        texts = {
            "README.md": readme_text(contents),
            "LICENSE": licence_text(),
            "CITATION.cff": (paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"),
        }
        for target, text in texts.items():
            (folder / target).write_text(text, encoding="utf-8")
        describe_campaign(folder, name if name != stored else None)
        (folder / checksums.NAME).write_text(checksums.sums_text(folder), encoding="utf-8")
        write_zip(folder, file, name)


def _copy_run(source: Path, record: Record, target: Path) -> None:
    """Copy the record and what it lists, and nothing else; a file that changes meanwhile is noticed."""
    target.mkdir(parents=True)
    for name in (RECORD, *record.files):
        shutil.copyfile(source / name, target / name)
    label = paths.relative(source / RECORD)
    for name, expected in record.files.items():
        _check_file(target / name, expected, f"{label}: files.{name}")
    if read_record(target / RECORD) != record:
        raise UserError(f"{label}: changed while it was copied; try again")
