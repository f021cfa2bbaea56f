"""The processor cores that this process may use."""

import os


def usable_cores() -> list[int]:
    """Return their numbers; all of the machine where the system does not say, as macOS."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
