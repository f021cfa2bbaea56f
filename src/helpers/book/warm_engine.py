"""A papermill engine without a kernel process: the cells run in this process, where the packages are loaded already."""

import io
import platform
from contextlib import redirect_stderr, redirect_stdout
from tempfile import TemporaryDirectory
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from traitlets import Type
from traitlets.config import Config

NAME = "warm"


class WarmEngine(Engine):  # type: ignore[misc]
    """Run a notebook in a fresh namespace of this process; one notebook for each process.

    A kernel takes a second to start and more to import. A fork of a process that has imported everything is ready at
    once, and what a notebook does to its modules ends with the fork.
    """

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **_settings: Any
    ) -> None:
        """Execute the cells in order up to the first that fails, as papermill asks of an engine."""
        with TemporaryDirectory() as folder:
            shell = _Shell.instance(ipython_dir=folder, config=Config(HistoryManager={"enabled": False}))
            for index, cell in enumerate(nb_man.nb.cells):
                nb_man.cell_start(cell, index)
                if cell.cell_type == "code":
                    cell.outputs = shell.outputs_of(cell.source)
                    cell.execution_count = shell.execution_count - 1
                    if shell.failure is not None:
                        nb_man.cell_exception(cell, cell_index=index)
                nb_man.cell_complete(cell, cell_index=index)
                if shell.failure is not None:
                    break
            _Shell.clear_instance()
        nb_man.nb.metadata["language_info"] = {
            "name": "python",
            "version": platform.python_version(),
            "mimetype": "text/x-python",
            "file_extension": ".py",
            "pygments_lexer": "ipython3",
        }


class _Values(DisplayHook):  # type: ignore[misc]
    """Keep the value of a cell's last line in place of writing it to the terminal."""

    def write_output_prompt(self) -> None:
        """Write nothing before the value."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        """Take the value in all its formats."""
        count = self.prompt_count
        self.shell.outputs.append(
            new_output("execute_result", data=format_dict, metadata=md_dict or {}, execution_count=count)
        )

    def finish_displayhook(self) -> None:
        """Write nothing behind the value."""


class _Displays(DisplayPublisher):  # type: ignore[misc]
    """Keep what a cell displays."""

    def publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **_: Any) -> None:
        """Take one display in all its formats."""
        self.shell.outputs.append(new_output("display_data", data=data, metadata=metadata or {}))


class _Shell(InteractiveShell):  # type: ignore[misc]
    """IPython that keeps what a cell shows, as a kernel would send it."""

    displayhook_class = Type(_Values)
    display_pub_class = Type(_Displays)
    outputs: list[NotebookNode]
    failure: NotebookNode | None = None

    def outputs_of(self, source: str) -> list[NotebookNode]:
        """Run a cell and return its outputs: what it prints, what it shows, and an exception, which is in `failure`, too."""
        self.outputs = []
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            self.run_cell(source, store_history=True)
        texts = (("stdout", out.getvalue()), ("stderr", err.getvalue()))
        printed = [new_output("stream", name=name, text=text) for name, text in texts if text]
        return printed + self.outputs + ([self.failure] if self.failure is not None else [])

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        self.failure = new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=list(stb))


papermill_engines.register(NAME, WarmEngine)
