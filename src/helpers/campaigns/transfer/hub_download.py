"""Get files of a hub repository into the client's cache: each goes on where it stopped, and is checked by its hash.

huggingface_hub itself restarts a file after an interruption: it writes to a temporary file with a name of its own,
which it removes on failure and leaves behind, unused, when it is killed; what comes by Xet is no different. A part of a
large checkpoint is some GB. So the content of a file is got here, over plain HTTP, which serves all files: into
`blobs/HASH.incomplete`, which becomes `blobs/HASH` once its hash is right. The links and the rest of the cache's
order are left to the client.
"""

import hashlib
import io
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from helpers.core.errors import UserError
from helpers.models import hub
from helpers.models.hub import HubFile
from helpers.models.hub_files import HubItem

WORKERS = 4
"""Files at a time: one connection alone does not fill a fast line."""
_SHA256_DIGITS, _SHA1_DIGITS = 64, 40
_BLOCK = 1 << 22
_PROBE_BYTES = 1 << 16


def list_files(item: HubItem) -> None:
    """Let the client write down the files of a repository; see `hub.listing`. Raises what the client raises."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415  (slow to import)

    snapshot_download(
        item.name,
        repo_type=_repo_type(item),
        revision=item.revision,
        cache_dir=hub.cache_folder(),
        ignore_patterns="*",
        endpoint=_endpoint(),
    )


def check_writable(item: HubItem) -> None:
    """Write something into the folder of a repository, and remove it. Raises the OSError where that is not possible."""
    folder = hub.snapshot_folder(item).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(bytes(_PROBE_BYTES))


def check_access(item: HubItem) -> None:
    """Ask the hub whether it gives this repository to us. Raises what the client raises."""
    from huggingface_hub import HfApi  # noqa: PLC0415

    HfApi(endpoint=_endpoint()).auth_check(item.name, repo_type=_repo_type(item))


def damaged_files(item: HubItem, files: Mapping[str, HubFile]) -> list[str]:
    """Return those cached files whose content does not match their hash; reads all of them.

    Raises:
        UserError: one line where a hash is unknown.
    """
    cached = {name: path for name in files if (path := _present(item, name, files[name])) is not None}
    for name in cached:
        if len(files[name].digest) not in (_SHA1_DIGITS, _SHA256_DIGITS):
            raise UserError(
                f"{name} cannot be verified without a network: it is not a link to a blob; fetch it again with HF_HUB_OFFLINE=0"
            )
    with ThreadPoolExecutor(WORKERS) as pool:
        sound = pool.map(lambda name: is_sound(cached[name], files[name]), cached)
        return [name for name, right in zip(cached, sound, strict=True) if not right]


def remove(item: HubItem, names: Iterable[str], files: Mapping[str, HubFile]) -> None:
    """Remove files from the cache, content and link."""
    for name in names:
        hub.blob(item, files[name]).unlink(missing_ok=True)
        (hub.snapshot_folder(item) / name).unlink(missing_ok=True)


def bytes_to_get(item: HubItem, files: Mapping[str, HubFile]) -> int:
    """Return what of these files has still to come over the network; what is incomplete counts in part."""
    absent = {file for name, file in files.items() if _present(item, name, file) is None}
    return sum(max(0, file.size_bytes - _size(_incomplete(item, file))) for file in absent)


def is_linked(item: HubItem, files: Iterable[str]) -> bool:
    """Return whether all of the files are in the snapshot."""
    return all((hub.snapshot_folder(item) / name).is_file() for name in files)


def get_files(item: HubItem, files: Mapping[str, HubFile]) -> None:
    """Get the files that are not in the cache, and link them into the snapshot.

    Raises:
        UserError: one line where what came does not have its hash, twice; else what the client raises.
    """
    contents = {file: name for name, file in files.items() if _present(item, name, file) is None}
    stopped = threading.Event()
    with ThreadPoolExecutor(WORKERS) as pool:
        running = [
            pool.submit(_get_content, item, name, file, stopped)
            for file, name in sorted(contents.items(), key=lambda pair: pair[1])
        ]
        try:
            for future in running:
                future.result()
        except BaseException:
            stopped.set()  # on Ctrl-C, too: the others would go on to the end of their files; what came is kept
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for name in files:
        _link(item, name)


def is_sound(path: Path, file: HubFile) -> bool:
    """Return whether a file has the expected size and hash."""
    if _size(path) != file.size_bytes:
        return False
    if len(file.digest) == _SHA256_DIGITS:
        digest = hashlib.sha256()
    else:  # as git names a blob
        digest = hashlib.sha1(f"blob {file.size_bytes}\0".encode(), usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == file.digest


def _get_content(item: HubItem, name: str, file: HubFile, stopped: threading.Event) -> None:
    blob, incomplete = hub.blob(item, file), _incomplete(item, file)
    blob.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(2):
        _go_on(item, name, file, incomplete, stopped)
        if is_sound(incomplete, file):
            incomplete.replace(blob)
            return
        incomplete.unlink()
    raise UserError(
        f"{name}: the downloaded file does not have the hash {file.digest}, twice; run the command again"
    )


def _go_on(item: HubItem, name: str, file: HubFile, incomplete: Path, stopped: threading.Event) -> None:
    """Get the rest of a file; goes on for as long as something comes."""
    from huggingface_hub import hf_hub_url  # noqa: PLC0415
    from huggingface_hub.file_download import http_get  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers  # noqa: PLC0415

    if _size(incomplete) > file.size_bytes:
        incomplete.unlink()
    url = hf_hub_url(
        item.name, name, repo_type=_repo_type(item), revision=item.revision, endpoint=_endpoint()
    )
    while True:
        start = _size(incomplete)
        try:
            with _Stoppable(incomplete, stopped) as content:
                http_get(
                    url,
                    content,
                    resume_size=start,
                    headers={**build_hf_headers(), "Accept-Encoding": "identity"},
                    expected_size=file.size_bytes,
                    displayed_filename=name,
                )
        except httpx.TransportError:
            if _size(incomplete) <= start:
                raise
        else:
            return


class _Stoppable(io.BufferedWriter):
    """A file that is written on from its end, until it shall stop.

    It is not opened for appending: two machines that fetch into one folder write the same bytes to the same places.
    """

    def __init__(self, file: Path, stopped: threading.Event) -> None:
        file.touch()
        super().__init__(io.FileIO(file, "r+"))
        self.seek(0, os.SEEK_END)
        self._stopped = stopped

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        if self._stopped.is_set():
            raise InterruptedError("stopped")
        return super().write(data)


def _link(item: HubItem, name: str) -> None:
    """Let the client link a content into the snapshot; it gets nothing that is there."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415

    hf_hub_download(
        item.name,
        name,
        repo_type=_repo_type(item),
        revision=item.revision,
        cache_dir=hub.cache_folder(),
        endpoint=_endpoint(),
    )


def quiet() -> None:
    """Of the client's progress bars show those of downloads, on a terminal, and none of its remarks."""
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars  # noqa: PLC0415

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    disable_progress_bars()
    if sys.stderr.isatty():
        enable_progress_bars("huggingface_hub.http_get")


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")


def _present(item: HubItem, name: str, file: HubFile) -> Path | None:
    candidates = (hub.snapshot_folder(item) / name, hub.blob(item, file))
    return next((path for path in candidates if path.is_file()), None)


def _incomplete(item: HubItem, file: HubFile) -> Path:
    blob = hub.blob(item, file)
    return blob.with_name(f"{blob.name}.incomplete")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _repo_type(item: HubItem) -> str:
    return "dataset" if item.kind == "dataset" else "model"
