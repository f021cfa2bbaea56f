"""Fixtures: the shared folder, a real browser, a checkout of its own; and REQUIRE_ALL, under which nothing is skipped."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Whoever else measures on this machine does not wait for the tests, nor they for him; workers of xdist inherit it.
os.environ.setdefault("COMPANION_MACHINE_LOCK", f"{tempfile.gettempdir()}/companion-tests-{os.getpid()}.lock")

from helpers.core.errors import UserError
from helpers.core.lock import LOCK_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"
hypothesis.settings.register_profile("project", deadline=None)  # a busy machine is slow, not wrong
hypothesis.settings.load_profile("project")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # workers share the cores; threads that spin would starve them
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as of `make test &` in a script; what is started would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give xdist 3.8 its groups back: it writes them to an attribute that pytest 9.2 no longer reads."""
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item.id).parse(grouped)
            assert item.nodeid == grouped, "tests of a group go to several workers, and build the book twice"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Under REQUIRE_ALL=1 a skipped test has failed, and so has one that is expected to fail."""
    report = yield
    if REQUIRE_ALL and (report.skipped or hasattr(report, "wasxfail")):
        expected = getattr(report, "wasxfail", None)
        reason = _skip_reason(report.longrepr) if expected is None else f"xfail: {expected}"
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: not allowed under REQUIRE_ALL=1: {reason}"
        if expected is not None:
            del report.wasxfail
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    """Under REQUIRE_ALL=1 a module that skips itself is an error."""
    report = yield
    if REQUIRE_ALL and report.skipped:
        reason = _skip_reason(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: not allowed under REQUIRE_ALL=1: {reason}"
    return report


def _skip_reason(longrepr: Any) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


@dataclass(frozen=True)
class Checkout:
    """A copy of the project that is a git repository of its own; its machine lock is its own, too, and its idle phase short."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process in the copy gets: the copy's package, and no data from outside."""
        kept = {key: value for key, value in os.environ.items() if key != "COMPANION_DATASETS"}
        return {**kept, "PYTHONPATH": str(self.root / "src"), LOCK_VARIABLE: str(self.machine_lock)}

    @property
    def machine_lock(self) -> Path:
        """The copy's own lock, in place of that of the machine."""
        return self.root.parent / f"{self.root.name}.machine.lock"

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start `python -m COMMAND` in the copy, in a session of its own."""
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env={**self.environment, **given.pop("env", {})},
            start_new_session=True,
            **given,
        )

    def python(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `python -m COMMAND` in the copy and wait for it."""
        process = self.start(*command, **options)
        try:
            out, err = process.communicate(timeout=1200)
        finally:
            process.kill()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def helpers(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb of the command line."""
        return self.python("helpers", *arguments, **options)

    def measure(self, **parameters: Any) -> subprocess.CompletedProcess[str]:
        """Measure one run."""
        return self.helpers("measure", "traditional", *_assignments(parameters))

    def start_measure(self, **parameters: Any) -> subprocess.Popen[str]:
        """Start to measure one run."""
        return self.start("helpers", "measure", "traditional", *_assignments(parameters))

    def campaign(self, name: str, *grid: dict[str, Any]) -> None:
        """Write a campaign into the copy's catalogue."""
        campaign = {"title": name, "description": name, "notebook": "traditional", "grid": list(grid)}
        file = self.root / "data" / "study" / "campaigns" / f"{name}.yaml"
        file.write_text(json.dumps(campaign), encoding="utf-8")  # JSON is YAML

    def records(self) -> list[Path]:
        """Every record under runs/ that a reader would find."""
        return sorted(self.root.glob("runs/[!.]*/[!.]*/record.json"))

    def written(self) -> list[str]:
        """Every file under runs/, also hidden ones."""
        return sorted(
            str(file.relative_to(self.root)) for file in self.root.glob("runs/**/*") if file.is_file()
        )


def _assignments(parameters: dict[str, Any]) -> list[str]:
    return [part for name, value in parameters.items() for part in ("-p", f"{name}={value}")]


def make_checkout(folder: Path) -> Checkout:
    """Copy the working tree, tracked and new files, and commit it there."""
    copy = Checkout(folder / "companion")
    listed = git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        file = ROOT / name
        if (
            file.is_file() and file.stat().st_size < 10e6
        ):  # a deleted file is still listed; big ones are not ours
            (copy.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy.root / name)
    _replace(copy.root / "src" / "helpers" / "measure" / "run.py", "IDLE_S = 2.0", "IDLE_S = 0.2")
    settings = copy.root / "src" / "helpers" / "measure" / "settings.py"
    _replace(settings, "cool_down_s: float = Field(default=10.0", "cool_down_s: float = Field(default=0.0")
    git(copy.root, "init", "-q")
    git(copy.root, "add", "-A")
    git(copy.root, "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "copy")
    return copy


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name}: {old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A copy of the project for one test."""
    return make_checkout(tmp_path)


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose book is built."""
    from tests.support.browsing import make_book

    return make_book(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the repository with the paper and the datasets."""
    folder = Path(os.environ.get("COMPANION_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set COMPANION_SHARED to the folder with paper/ and datasets/")
    return folder


@contextmanager
def _chromium(arguments: Sequence[str] = (), preferences: dict[str, Any] | None = None) -> Iterator[Any]:
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.skip(f"{' and '.join(missing)} not found: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for argument in (*_ARGUMENTS, *arguments):
        options.add_argument(argument)
    options.add_experimental_option("prefs", preferences or {})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(programs["chromedriver"])))
    try:
        yield driver
    finally:
        driver.quit()


_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # the network is off
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real Chromium, headless, without network."""
    with _chromium() as driver:
        yield driver


@pytest.fixture
def browser_without_javascript() -> Iterator[Any]:
    """The same with JavaScript switched off in its settings."""
    with _chromium(preferences={"profile.managed_default_content_settings.javascript": 2}) as driver:
        yield driver


@pytest.fixture
def hold() -> Iterator[Callable[[Path], Callable[[], None]]]:
    """Take a lock file as another process would; gives the function that lets it go."""
    held: list[int] = []

    def take(file: Path) -> Callable[[], None]:
        descriptor = os.open(file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        held.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return lambda: fcntl.flock(descriptor, fcntl.LOCK_UN)

    yield take
    for descriptor in held:
        os.close(descriptor)


def refusal(call: Callable[..., object], *arguments: object) -> str:
    """Return the one line with which a call refuses its input."""
    with pytest.raises(UserError) as error:
        call(*arguments)
    line = str(error.value)
    assert len(line.splitlines()) == 1
    return line


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real SLURM of two nodes on this machine."""
    from tests.support import slurm_cluster

    if (why := slurm_cluster.lacking()) is not None:
        pytest.skip(why)
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="session")
def llm_python() -> Path:
    """The Python of the engine's own environment."""
    file = Path(os.environ.get("COMPANION_LLM_PYTHON", ROOT / ".venv-llm" / "bin" / "python"))
    if not file.is_file():
        pytest.skip(f"{file} is not there: make llm")
    return file


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model that is trained here; its folder holds the dataset `tiny`, too."""
    from helpers.models.llm.tiny_model import build_tiny

    return build_tiny(tmp_path_factory.mktemp("checkpoints") / "tiny").folder


@pytest.fixture(scope="session")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model untrained."""
    from helpers.models.llm.tiny_model import build_random

    return build_random(tmp_path_factory.mktemp("checkpoints") / "random").folder
