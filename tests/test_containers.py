"""The container's definition follows the Makefile and the locks: its sections run, with stand-ins where it takes a network."""

import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from setuptools import build_meta

from tests.conftest import ROOT

DEFINITION = ROOT / "containers" / "gpu.def"
PLACE = "/opt/companion"
LOCKS = ("requirements.txt", "requirements-llm-gpu.txt")
(TORCH,) = re.findall(r"^torch==\S+", (ROOT / LOCKS[0]).read_text(encoding="utf-8"), re.MULTILINE)
SCRIPTS = ("post", "environment", "runscript", "test")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def sections() -> dict[str, str]:
    """Return the sections without what begins each of their lines; `header` is what stands before them."""
    _, *parts = re.split(
        r"^%(\w+)$", "%header\n" + DEFINITION.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    assert len(found) * 2 == len(parts), "a section twice"
    return found


def code(section: str) -> str:
    """Return a section without comments and indents."""
    return "\n".join(
        line.strip() for line in sections()[section].splitlines() if not line.strip().startswith("#")
    ).strip()


def copied() -> list[tuple[str, str]]:
    return [tuple(line.split()) for line in code("files").splitlines()]


@dataclass
class Image:
    """A folder that stands for the root of the image, and programs that note how they are called."""

    root: Path
    calls: list[list[str]] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Where the definition puts the environments."""
        return self.root / PLACE.lstrip("/")

    def here(self, text: str) -> str:
        """Return a script of the image as it is run here: no absolute path leads out of the folder."""
        moved = re.sub(r"(?<![\w.$}/])/(?=(opt|var)/)", f"{self.root}/", text)
        rest = moved.replace(str(self.root), "IMAGE").replace(">/dev/null", "")
        assert not re.search(r"(?:^|[\s=\"':])/\w", rest), rest
        return moved

    def program(self, file: Path, then: str = "") -> None:
        """Write a program that notes its name and arguments, one call a line."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f'#!/bin/sh\n{{ printf "%s" "$0"; printf "\\t%s" "$@"; echo; }} >> {self.root}/calls\n{then}\n'
        )
        file.chmod(0o755)

    def run(self, script: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script as Apptainer does: with /bin/sh, that stops at the first fault."""
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", self.here(script), "sh", *arguments],
            cwd=cwd,
            env={"PATH": f"{self.root}/stubs:/usr/bin:/bin", "PWD": str(cwd)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        noted = self.root / "calls"
        lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
        self.calls = [line.rstrip("\t").split("\t") for line in lines]
        return done


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """What the image holds before %post: the files that are copied, and stand-ins for apt-get and Python."""
    made = Image(tmp_path / "image")
    for source, target in copied():
        place = made.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", ROOT / source, place], check=True)
    stubs = made.root / "stubs"
    for name in ("apt-get", "pip", "pip3", "python", "python3", "curl", "wget"):
        made.program(stubs / name)
    # `-m venv FOLDER` makes a folder with a Python, which notes its calls, too.
    venv = f'mkdir -p "$3/bin" && cp {stubs}/python3.11 "$3/bin/python"'
    made.program(stubs / "python3.11", f'if [ "$2" = venv ]; then {venv}; fi')
    return made


# What it says


def test_it_has_the_sections_that_apptainer_knows_once_each():
    assert set(sections()) == {"header", "labels", "files", "help", *SCRIPTS}
    assert [file.name for file in DEFINITION.parent.glob("*.def")] == [DEFINITION.name]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("section", SCRIPTS)
def test_every_script_is_one_for_a_shell(section, shell):
    done = subprocess.run(
        [shell, "-n"], input=sections()[section], text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_python_is_that_of_the_package_and_of_the_makefile():
    header = dict(re.findall(r"^(\w+): (\S+)$", sections()["header"], re.MULTILINE))
    assert header["Bootstrap"] == "docker"
    version = re.fullmatch(r"python:(3\.\d+\.\d+)-slim-bookworm", header["From"])[1]
    assert Version(version) in SpecifierSet(PROJECT["requires-python"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    of_makefile = re.search(r"^PYTHON \?= .*foreach name,python(\S+)", makefile, re.MULTILINE)
    assert version.startswith(f"{of_makefile[1]}.")


def test_a_comment_tells_how_to_pin_the_tag_that_it_names():
    header = sections()["header"]
    tag = re.search(r"^From: (\S+)$", header, re.MULTILINE)[1]
    assert f"skopeo inspect --format '{{{{.Digest}}}}' docker://{tag}" in header
    assert "@sha256:..." in header
    assert not re.search(r"sha256:[0-9a-f]", DEFINITION.read_text(encoding="utf-8"))  # none was looked up


def test_its_labels_are_the_projects():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    labels = dict(line.split(" ", 1) for line in code("labels").splitlines())
    assert labels == {
        "org.opencontainers.image.title": citation["title"],
        "org.opencontainers.image.version": PROJECT["version"],
        "org.opencontainers.image.licenses": PROJECT["license"],
    }
    assert citation["version"] == PROJECT["version"]


def test_it_holds_no_secret_no_cache_and_no_path_of_a_machine():
    text = DEFINITION.read_text(encoding="utf-8")
    everything = "\n".join(code(section) for section in SCRIPTS)
    assert not re.search(r"TOKEN|SECRET|PASSWORD|HF_|--index-url|--extra-index", everything)
    paths = set(re.findall(r"(?<![\w.$}~\"/:-])/[\w./*-]+", text))
    assert {path for path in paths if not path.startswith(PLACE)} <= {"/var/lib/apt/lists/*", "/tmp"}  # noqa: S108


def test_an_image_is_no_file_of_the_repository():
    done = subprocess.run(
        ["git", "check-ignore", "containers/gpu.sif"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0


# What it does


def test_what_is_copied_is_there_and_enough_for_the_makefile(image, monkeypatch):
    assert all(target == f"{PLACE}/{source}" for source, target in copied())
    assert all((ROOT / source).exists() for source, _ in copied())
    assert set(LOCKS) < {source for source, _ in copied()}
    monkeypatch.chdir(
        image.place
    )  # as pip asks it of the package, which it installs without its dependencies
    (image.root / "metadata").mkdir()
    name = build_meta.prepare_metadata_for_build_editable(str(image.root / "metadata"))
    about = (image.root / "metadata" / name / "METADATA").read_text(encoding="utf-8")
    assert f"Version: {PROJECT['version']}" in about


def test_it_installs_the_locks_as_the_makefile_does_and_nothing_beside_them(image):
    done = image.run(sections()["post"], cwd=image.root)
    assert done.returncode == 0, done.stderr
    called = [[call[0].removeprefix(f"{image.root}/"), *call[1:]] for call in image.calls]
    assert [call[1:] for call in called if call[0] == "stubs/apt-get"] == [
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", "bash", "g++", "git", "make"],
    ]
    venvs = [call[3] for call in called if call[1:3] == ["-m", "venv"]]
    assert venvs == [".venv", ".venv-llm"]
    pip = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    installed = {
        venv: [call[6:] for call in called if call[0] == f"{venv}/bin/python" and call[1:6] == pip]
        for venv in venvs
    }
    assert installed == {
        ".venv": [
            ["--no-deps", TORCH],
            ["--no-deps", "-r", ".venv/requirements.txt"],
            ["--no-deps", "--no-build-isolation", "-e", "."],
        ],
        ".venv-llm": [["--no-deps", "-r", LOCKS[1]]],
    }
    assert {call[0] for call in called} == {
        *("stubs/apt-get", "stubs/python3.11"),
        *(f"{venv}/bin/python" for venv in venvs),
    }
    assert all(call[1:6] == pip for call in called if "pip" in call and "freeze" not in call)
    assert ["-c", 'import vllm; print("vLLM", vllm.__version__)'] in [call[1:] for call in called]
    assert (image.place / ".venv-llm" / "bin" / "python").is_file()


def test_a_step_that_fails_ends_the_build(image):
    image.program(image.root / "stubs" / "apt-get", "exit 100")
    done = image.run(sections()["post"], cwd=image.root)
    assert done.returncode == 100
    assert len(image.calls) == 1


@pytest.fixture
def checkout(image: Image, tmp_path: Path) -> Path:
    """The root of a checkout beside an image whose Python notes how it is called."""
    root = tmp_path / "checkout"
    (root / "src" / "helpers").mkdir(parents=True)
    (root / "src" / "helpers" / "__main__.py").touch()
    for lock in LOCKS:
        (root / lock).write_bytes((ROOT / lock).read_bytes())
    image.program(image.place / ".venv" / "bin" / "python", 'echo "$PYTHONPATH $COMPANION_LLM_PYTHON"')
    return root


def started(image: Image, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return image.run(sections()["environment"] + sections()["runscript"], cwd, *arguments)


def test_a_verb_is_run_with_the_code_of_the_checkout_and_the_packages_of_the_image(image, checkout):
    done = started(image, checkout, "run", "one-gpu", "-p", "note=two words")
    assert done.returncode == 0, done.stderr
    python = str(image.place / ".venv" / "bin" / "python")
    assert image.calls == [[python, "-m", "helpers", "run", "one-gpu", "-p", "note=two words"]]
    assert done.stdout.split() == [f"{checkout}/src", f"{image.place}/.venv-llm/bin/python"]


def test_elsewhere_it_says_what_to_do(image, tmp_path):
    done = started(image, tmp_path, "doctor")
    assert done.returncode == 2
    assert done.stderr == (
        f'error: {tmp_path} is not the root of a checkout; go there, and add --bind "$PWD" --pwd "$PWD"\n'
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_an_image_of_other_packages_than_the_lock_says_is_refused(image, checkout, lock):
    """The record holds the hash of the checkout's lock."""
    (checkout / lock).write_text("numpy==0.0.1\n", encoding="utf-8")
    done = started(image, checkout, "doctor")
    assert done.returncode == 2
    assert (
        done.stderr == f"error: {lock} of the checkout is not the one of this image; build the image again\n"
    )
    assert image.calls == []


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 0), (2, 2)])
def test_the_test_takes_a_machine_with_nothing_to_measure_with_for_no_fault(image, status, expected):
    image.program(image.place / ".venv" / "bin" / "python", f"exit {status}")
    image.program(image.place / ".venv-llm" / "bin" / "python")
    done = image.run(sections()["test"], cwd=image.root)
    assert (done.returncode != 0) == (expected != 0)
    assert image.calls[0][1:] == ["-m", "helpers", "doctor"]
    assert [call[0] for call in image.calls[1:]] == ([".venv-llm/bin/python"] if expected == 0 else [])
