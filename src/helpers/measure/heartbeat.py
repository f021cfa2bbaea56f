"""A line now and then while something takes long: that the engine starts, how many texts of a split are answered."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 30.0
"""Between two lines; a window that is shorter has none. A line takes about a tenth of a millisecond."""


@contextmanager
def heartbeat(text: Callable[[], str], every_s: float = EVERY_S) -> Iterator[None]:
    """Print `text()` and the seconds since the start, every `every_s` seconds until the block ends.

    The thread that prints waits meanwhile, and computes nothing: it is started before the block and ends after it.

    Args:
        text: what goes on; called in that thread.
        every_s: seconds between two lines; the first comes after as many.
    """
    start_s, end = time.monotonic(), threading.Event()

    def beat() -> None:
        while not end.wait(every_s):
            print(f"{text()}, {time.monotonic() - start_s:.0f} s", flush=True)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
