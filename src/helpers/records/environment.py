"""Where a run happens: commit, lock, versions, hardware; no host name, user name or path."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from helpers.core import paths
from helpers.core.files import last_line, read_text
from helpers.records.hardware import Hardware
from helpers.records.storage import Environment

_PACKAGES = (
    "codecarbon",
    "dspy",
    "numpy",
    "pandas",
    "papermill",
    "scikit-learn",
    "sentence-transformers",
    "torch",
    "transformers",
    "xgboost",
)


def environment(hardware: Hardware) -> Environment:
    """Describe the environment of this process on `hardware`."""
    return Environment(
        git_commit=git_commit(),
        git_dirty=git_dirty(),
        lock_sha256=sha256_of(paths.LOCK_FILE) if paths.LOCK_FILE.is_file() else None,
        python=platform.python_version(),
        packages={name: version for name in _PACKAGES if (version := package_version(name))},
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu_model=hardware.cpu_model,
        cpu_cores=hardware.cpu_cores,
        ram_gb=hardware.ram_gb,
        gpus=list(hardware.gpus),
        driver=hardware.driver,
        container=container(Path("/"), os.environ),
    )


@contextmanager
def fixed_threads(cores: int) -> Iterator[None]:
    """Let the libraries that are loaded by now use OMP_NUM_THREADS threads, or one for each core where it is not set."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  (comes with scikit-learn; only runs need it)

    given = (
        os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    )  # OpenMP takes a list, by nesting level
    count = int(given) if given.isdigit() and int(given) > 0 else cores
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    with threadpool_limits(limits=count):
        if torch:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def threads() -> dict[str, int]:
    """Return the threads of the numerical libraries that are loaded by now, and of torch, by name."""
    from threadpoolctl import threadpool_info  # noqa: PLC0415  (comes with scikit-learn; only runs need it)

    counts = {str(pool["user_api"]): int(pool["num_threads"]) for pool in threadpool_info()}
    torch = sys.modules.get("torch")
    return counts | ({"torch": torch.get_num_threads()} if torch else {})


def container(root: Path, environment: Mapping[str, str]) -> str | None:
    """Return what kind of container this process runs in; None where none shows.

    Args:
        root: folder that holds `proc` and `run` of the machine.
        environment: variables of this process.
    """
    init_groups = read_text(root / "proc/1/cgroup")
    marks = {
        "apptainer": "APPTAINER_CONTAINER" in environment or "SINGULARITY_CONTAINER" in environment,
        "podman": (root / "run/.containerenv").exists(),
        "kubernetes": "KUBERNETES_SERVICE_HOST" in environment or "kubepods" in init_groups,
        "docker": (root / ".dockerenv").exists() or "docker" in init_groups,
    }
    return next((name for name, applies in marks.items() if applies), None)


def git_commit() -> str | None:
    """Return the commit that is checked out; None outside a repository or without git."""
    commit = _git("rev-parse", "HEAD")
    return commit.strip() if commit else None


def git_commit_of(name: str) -> str | None:
    """Return the commit that changed a file of the project last; None where there is none."""
    commit = _git("log", "-1", "--format=%H", "--", name)
    return (commit or "").strip() or None


def git_date() -> str | None:
    """Return when the commit that is checked out was made, as ISO 8601; None where there is none."""
    date = _git("show", "--no-patch", "--format=%cI", "HEAD")
    return date.strip() if date else None


def git_dirty() -> bool | None:
    """Say whether anything differs from the commit; None where there is none."""
    status = _git("status", "--porcelain")
    return None if status is None else bool(status.strip())


def utc_now() -> str:
    """Return the time as records write it, for example `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def sha256_of_weights(folder: Path) -> str:
    """Return the sha256 of a checkpoint's weights, all files in the order of their names."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as data:
            while block := data.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def git_problem() -> str | None:
    """Return why the commit is unknown, and what to do; None where it is known."""
    if not (paths.ROOT / ".git").exists():
        return "this folder is no git repository, as a ZIP of its files is none; measure in a clone"
    try:
        _ask_git("rev-parse", "HEAD")
    except FileNotFoundError:
        return "git is not installed; install it"
    except subprocess.CalledProcessError as error:
        if "dubious ownership" in error.stderr:
            return f"it belongs to another user; git config --global --add safe.directory '{paths.ROOT}'"
        return f"git fails: {last_line(error.stderr)}; see git status"
    except (OSError, subprocess.SubprocessError) as error:
        return f"git fails: {error}; see git status"
    return None


def _git(*arguments: str) -> str | None:
    """Ask git about this project; None without git, or where the project is no repository of its own."""
    if not (paths.ROOT / ".git").exists():
        return None
    try:
        return _ask_git(*arguments)
    except (OSError, subprocess.SubprocessError):
        return None


def _ask_git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(paths.ROOT), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "LC_ALL": "C.UTF-8"},  # its messages are read
    ).stdout


def package_version(package: str) -> str | None:
    """Return the version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
