"""A papermill engine without a kernel process: the cells run in this process, where the packages are loaded already."""

import platform
from tempfile import TemporaryDirectory
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
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


class _Shell(InteractiveShell):  # type: ignore[misc]
    """IPython that keeps what a cell shows, as a kernel would send it."""

    failure: NotebookNode | None = None

    def outputs_of(self, source: str) -> list[NotebookNode]:
        """Run a cell and return its outputs; an exception stands last, and in `failure`."""
        with capture_output() as captured:
            self.run_cell(source, store_history=True)
        streams = (("stdout", captured.stdout), ("stderr", captured.stderr))
        outputs = [new_output("stream", name=name, text=text) for name, text in streams if text]
        outputs += map(_rich_output, captured.outputs)
        return outputs + ([self.failure] if self.failure is not None else [])

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        self.failure = new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=list(stb))


def _rich_output(output: RichOutput) -> NotebookNode:
    return new_output("display_data", data=output.data, metadata=output.metadata or {})


papermill_engines.register(NAME, WarmEngine)
