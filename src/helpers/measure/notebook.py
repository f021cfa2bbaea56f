"""Execute a notebook with papermill: strict, written once, without paths of the machine in the result."""

import json
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from helpers.core import paths
from helpers.core.errors import TransientError, UserError, is_out_of_memory
from helpers.core.files import last_line
from helpers.records.storage import writing


def execute_notebook(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    engine: str | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Execute `source` into `target`; papermill's own writes go to `target`, use a scratch folder.

    Without an `engine` the notebook gets a kernel, a process of its own. `on_line` gets what its cells print, which goes to
    standard error as progress.

    The executed copy keeps papermill's times, but no path of the machine. The notebook is written once,
    at the end: a write after every cell would fall between what is measured.

    Raises:
        TransientError: the notebook raised it, or its kernel was killed or could not start; the next attempt may succeed.
        UserError: one line with the error of the notebook; `target` then holds the failed notebook.
    """
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # its errors come as exceptions
    name, killed_before = paths.relative(source), _killed_for_memory()
    with tempfile.TemporaryFile() as kernel_errors, writing(target):
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters=dict(parameters),
                kernel_name="python3",
                engine_name=engine,
                cwd=paths.ROOT,
                progress_bar=False,
                stdout_file=_Progress(on_line),
                request_save_on_cell_execute=False,
                extra_arguments=["--IPKernelApp.log_level=50"],  # nothing on sockets of this machine
                kernel_manager_class=_kernel(kernel_errors),
            )
        except PapermillExecutionError as error:
            _shorten_paths(target, [source, target, *_paths_in(parameters)])
            raise _fault(name, error.ename, error.evalue) from None
        except DeadKernelError:
            if _killed_for_memory() > killed_before:
                raise UserError(
                    f"{name}: out of memory: the Linux kernel killed the notebook's kernel, expected it to fit; end other "
                    "programs, or measure on a machine with more memory"
                ) from None
            raise TransientError(
                f"{name}: the notebook's kernel was killed{_last_error_line(kernel_errors)}, expected it to end by itself; start "
                "the run again"
            ) from None
        except RuntimeError as error:
            if "kernel" not in str(error).lower():
                raise
            raise TransientError(
                f"{name}: the notebook's kernel did not start ({error}){_last_error_line(kernel_errors)}, expected an answer; "
                "start the run again"
            ) from None
        except KeyboardInterrupt:
            # The cell's task goes on while the kernel is shut down, and nobody asks for its error then.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            raise
        _shorten_paths(target, [source, target, *_paths_in(parameters)])


class _Progress:
    """The file to which papermill writes what cells print."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line

    def write(self, text: str) -> None:
        sys.stderr.write(text)
        if self._on_line is not None and (line := last_line(text)):
            self._on_line(line)

    def flush(self) -> None:
        sys.stderr.flush()


def _kernel(kernel_errors: IO[bytes]) -> type[AsyncKernelManager]:
    """Return a kernel manager whose kernel writes its errors to a file: one that cannot start prints pages."""

    class Quiet(AsyncKernelManager):  # type: ignore[misc]
        async def _async_start_kernel(self, **options: Any) -> None:
            await super()._async_start_kernel(stderr=kernel_errors, **options)

        start_kernel = _async_start_kernel

    return Quiet


def _killed_for_memory(counters: Path = Path("/proc/vmstat")) -> int:
    """Return how many processes Linux has killed on this machine for want of memory; 0 where it does not count them."""
    try:
        match = re.search(r"^oom_kill (\d+)$", counters.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0


def _last_error_line(kernel_errors: IO[bytes]) -> str:
    kernel_errors.seek(0)
    line = last_line(kernel_errors.read().decode(errors="replace"))
    return f", its last line: {line}" if line else ""


def _fault(source: str, name: str, message: str) -> UserError:
    """Return the error for an exception in a notebook, of whose class only the name is known."""
    text = " ".join(str(message).split())
    if name in _NOTEBOOK_ERRORS:
        return _NOTEBOOK_ERRORS[name](f"{source}: {text}")
    if is_out_of_memory(f"{name}: {text}"):
        return UserError(
            f"{source}: out of memory ({name}: {text}), expected it to fit; end other programs, or measure on a "
            "machine with more memory"
        )
    return UserError(f"{source}: {name}: {text}")


_NOTEBOOK_ERRORS = {kind.__name__: kind for kind in (UserError, TransientError)}
"""By the name of their class."""


def _paths_in(parameters: Mapping[str, Any]) -> list[Path]:
    return [
        Path(value) for value in parameters.values() if isinstance(value, str) and Path(value).is_absolute()
    ]


def _shorten_paths(notebook: Path, files: list[Path]) -> None:
    """Write the paths of this machine in an executed notebook as seen from the project, or as a bare name.

    Warnings name files of installed packages: those are written as seen from where Python finds packages.
    What cells display (tables, figures) is left as it is.
    """
    short = {
        f"{folder.rstrip('/')}/": ""
        for folder in (str(paths.ROOT), tempfile.gettempdir(), *sys.path)
        if folder
    }
    for path in files:
        name = paths.relative(path)
        short[str(path)] = path.name if Path(name).is_absolute() else name
    order = sorted(short, key=len, reverse=True)

    def shortened(value: Any) -> Any:
        if isinstance(value, str):
            for path in order:
                value = value.replace(path, short[path])
        elif isinstance(value, list):
            value = [shortened(item) for item in value]
        elif isinstance(value, dict):
            value = {key: item if key == "data" else shortened(item) for key, item in value.items()}
        return value

    document = json.loads(notebook.read_text(encoding="utf-8"))
    notebook.write_text(
        json.dumps(shortened(document), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
