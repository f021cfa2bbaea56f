"""Messages of the command line: how much of them, where they go, and what happens when nobody reads them."""

import json
import logging
import os
import subprocess
import sys

import pytest

from helpers import verbs
from helpers.cli import main
from tests.conftest import ROOT

LOGGER = logging.getLogger("helpers.tried")


@pytest.fixture(autouse=True)
def doctor_that_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that reports at three levels and prints a line of its own."""

    def report(options: object) -> int:
        LOGGER.debug("detail")
        LOGGER.info("progress")
        LOGGER.warning("trouble")
        if getattr(options, "json", False):
            print(json.dumps({"done": True}))
        return 0

    monkeypatch.setattr(verbs, "doctor", report)


def test_progress_and_warnings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr() == ("progress\ntrouble\n", "")


def test_quiet_leaves_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-q"]) == 0
    assert capsys.readouterr() == ("trouble\n", "")


def test_verbose_adds_time_level_module_and_details(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-v"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" helpers.tried: ")[1] for line in lines] == ["detail", "progress", "trouble"]
    assert " WARNING " in lines[2]


def test_with_json_messages_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"done": True}
    assert printed.err == "progress\ntrouble\n"


def test_quiet_and_verbose_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["doctor", "-q", "-v"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    program = (
        "import logging, sys; from helpers import cli, verbs\n"
        "def many(options):\n"
        "    for number in range(100000): logging.getLogger('helpers.x').info('line %d', number)\n"
        "    return 0\n"
        "verbs.doctor = many\n"
        "sys.exit(cli.main(['doctor']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert "Logging error" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("verb", ["claims", "study"])
def test_json_is_utf_8_whatever_the_language_of_the_system(verb: str, encoding: str) -> None:
    document = json.loads(in_encoding(encoding, verb, "--json"))
    assert any(ord(sign) > 127 for sign in json.dumps(document, ensure_ascii=False))


def test_what_a_terminal_cannot_show_is_escaped() -> None:
    assert "\\u202f" in in_encoding("ascii", "claims").decode("ascii")


def in_encoding(encoding: str, *arguments: str) -> bytes:
    """What a verb prints where the system's encoding is another one."""
    return subprocess.run(
        [sys.executable, "-m", "helpers", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_can_complete_the_verbs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("companion", "measure", "traditional", "audit", "status"):
        assert word in script


def test_a_package_that_is_not_there_is_one_line_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def needs_one(options: object) -> int:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn.linear_model")

    monkeypatch.setattr(verbs, "doctor", needs_one)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "error: doctor needs the package of the module sklearn, which is not installed; install all that measuring needs: "
        "make install, or python -m pip install -r requirements.txt\n"
    )


def test_a_module_of_ours_that_is_not_there_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(options: object) -> int:
        raise ModuleNotFoundError("No module named 'helpers.x'", name="helpers.x")

    monkeypatch.setattr(verbs, "doctor", broken)
    with pytest.raises(ModuleNotFoundError):
        main(["doctor"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["x" * 200_000],
        ["doctor", "\x1b[2J" + "x" * 200_000],
        ["results", "--source", "\x1b[2J" + "x" * 200_000],
        ["plan", "\x07" * 200_000],
        ["export", "demo", "--to", "a\0b"],
        ["import", ""],
    ],
    ids=["verb", "argument", "source", "campaign", "NUL", "empty"],
)
def test_a_name_is_refused_in_short_and_steers_no_terminal(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as end:
        status = int(str(end.code))
    printed = capsys.readouterr()
    assert status == 2
    assert len(printed.out + printed.err) < 10_000
    assert all(sign.isprintable() or sign == "\n" for sign in printed.out + printed.err)
