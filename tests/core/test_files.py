"""Files that are replaced atomically."""

from pathlib import Path

import pytest

from helpers.core.files import replacing


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    for text in ("first", "second"):
        with replacing(file) as scratch:
            scratch.write_text(text, encoding="utf-8")
            assert not file.exists() or file.read_text(encoding="utf-8") == "first"
        assert file.read_text(encoding="utf-8") == text
    assert list(file.parent.iterdir()) == [file]


def test_after_an_error_the_old_file_stays_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old", encoding="utf-8")

    def interrupted() -> None:
        with replacing(file) as scratch:
            scratch.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]
