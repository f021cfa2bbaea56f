"""The functions that draw a figure or a table of the book from the results tables."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType

from helpers.figures import beyond, paper
from helpers.figures.display import Figure
from helpers.results.tables import Tables


def figure_functions() -> list[Callable[[Tables], Figure]]:
    """Return every public function of `figures.paper` and `figures.beyond` that takes the tables and returns a figure.

    All analyses but those that draw no runs: of benches of the meter, and of plans.
    """
    return [
        function
        for module in _modules()
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_") and _draws(function)
    ]


def _modules() -> Iterator[ModuleType]:
    for package in (paper, beyond):
        for module in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{package.__name__}.{module.name}")


def _draws(function: Callable[..., object]) -> bool:
    signature = inspect.signature(function)
    types = [parameter.annotation for parameter in signature.parameters.values()]
    return types == [Tables] and signature.return_annotation is Figure
