"""Copy the finished records of a campaign to `data/measurements`, to be committed."""

import shutil
from pathlib import Path

from helpers.campaigns.run.schedule import ORDER, add_invocations, read_run_order
from helpers.campaigns.transfer.private import check_run, private_words
from helpers.core import paths
from helpers.core.errors import UserError
from helpers.measure.parameters import campaign_plans
from helpers.records.environment import git_dirty, git_problem, sha256_of
from helpers.records.storage import RECORD, Record, publish, read_record


def promote(campaign: str) -> list[Path]:
    """Validate all runs of a campaign and copy them; returns the folders that were written.

    Raises:
        UserError: one line, with nothing copied, where the commit is unknown or the working tree is not clean, a run
            is missing or refused, was made from uncommitted code, names this machine or a person, or exists there already with
            other content.
    """
    if (problem := git_problem()) is not None:
        raise UserError(f"promote: the commit is unknown: {problem}")
    if git_dirty() is not False:
        raise UserError("promote: the working tree has changes (git status); commit or stash them first")
    sources = [plan.folder for plan in campaign_plans(campaign)]
    missing = [folder for folder in sources if not (folder / RECORD).is_file()]
    if missing:
        raise UserError(
            f"promote: {len(missing)} of {len(sources)} runs of {campaign} have no record, first "
            f"{paths.relative(missing[0])}; measure them: python -m helpers run {campaign}"
        )
    records = {folder: read_record(folder / RECORD) for folder in sources}
    new = [folder for folder, record in records.items() if _is_new(folder, record)]
    words = private_words()
    for folder in new:
        check_run(folder, (RECORD, *records[folder].files), words)
    for folder in new:
        with publish(_target(folder)) as scratch:
            for name in [RECORD, *records[folder].files]:
                shutil.copy2(folder / name, scratch / name)
    for folder in {folder.parent for folder in new}:
        if (folder / ORDER).is_file():
            add_invocations(paths.MEASUREMENTS / folder.name / ORDER, read_run_order(folder / ORDER))
    return [_target(folder) for folder in new]


def _target(folder: Path) -> Path:
    return paths.MEASUREMENTS / folder.parent.name / folder.name


def _is_new(folder: Path, record: Record) -> bool:
    label = paths.relative(folder / RECORD)
    if record.run.campaign != folder.parent.name:
        raise UserError(f"{label}: run.campaign: {record.run.campaign!r} does not name its folder")
    if record.environment.git_commit is None or record.environment.git_dirty is not False:
        raise UserError(f"{label}: environment.git_dirty: measured from uncommitted code; measure it again")
    for name, expected in record.files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != expected:
            raise UserError(f"{label}: files.{name}: missing or changed since the run; measure it again")
    committed = _target(folder) / RECORD
    if not committed.exists():
        return True
    if read_record(committed) != record:
        raise UserError(
            f"{paths.relative(committed)} is another run of the same name; remove it first to replace it"
        )
    return False
