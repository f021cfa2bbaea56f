"""Files that are replaced atomically, and texts that are read if they can be."""

from pathlib import Path

import pytest

from helpers.core.files import atomic_write, last_line, read_text


def test_a_file_appears_only_when_its_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "a.json"
    with atomic_write(file) as scratch:
        scratch.write_text("new")
        assert not file.exists()
        assert scratch.suffix == ".json"
    assert file.read_text() == "new"
    assert [item.name for item in file.parent.iterdir()] == ["a.json"]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    with pytest.raises(OSError, match="disk"):
        _write_half(file)
    assert file.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def _write_half(file: Path) -> None:
    with atomic_write(file) as scratch:
        scratch.write_text("half")
        raise OSError("disk")


def test_a_file_that_cannot_be_read_is_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b" caf\xe9\n")
    assert read_text(tmp_path / "a") == "caf\N{REPLACEMENT CHARACTER}"
    assert read_text(tmp_path / "missing") == ""
    (tmp_path / "folder").mkdir()
    assert read_text(tmp_path / "folder") == ""


@pytest.mark.parametrize(("text", "line"), [("a\n b \n\n", "b"), ("", ""), (" \n", ""), ("one", "one")])
def test_the_last_line_that_is_not_blank(text: str, line: str) -> None:
    assert last_line(text) == line
