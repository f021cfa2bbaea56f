"""NVML, the library of NVIDIA's driver, through nvidia-ml-py."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def nvml_module() -> Any:
    """Return NVML's Python module.

    Raises:
        ImportError: nvidia-ml-py is not installed.
    """
    import pynvml  # noqa: PLC0415  (absent where only the book is built)

    return pynvml


@contextmanager
def nvml_session(pynvml: Any | None = None) -> Iterator[Any | None]:
    """Initialise NVML for a block; gives its module, or None without a driver or without nvidia-ml-py.

    Args:
        pynvml: NVML's Python module; nvidia-ml-py by default.
    """
    try:
        nvml = pynvml or nvml_module()
        nvml.nvmlInit()
    except Exception:  # a broken driver fails in many ways
        yield None
        return
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()
