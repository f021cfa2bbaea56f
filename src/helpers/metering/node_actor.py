"""What lives on a node while several are measured: its meter, in two halves, and its clock."""

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from helpers.metering.meter import Reading, open_meter
from helpers.records.hardware import detect

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class NodeMeter(Protocol):
    """A meter in two halves, for work that happens elsewhere."""

    def start(self) -> None:
        """Begin to count."""

    def stop(self) -> Reading:
        """Stop to count; what it took since `start`."""


MakeMeter = Callable[[], AbstractContextManager[NodeMeter]]
"""Opens the meter on the node that it is called on; travels there by pickle."""


class NodeActor:
    """Lives on a node and holds its meter."""

    def __init__(self) -> None:
        self._exit = ExitStack()
        self._meter: NodeMeter | None = None

    def open(self, make_meter: MakeMeter) -> str:
        """Open the meter; not in `__init__`, whose errors Ray reports as the death of the actor."""
        self._meter = self._exit.enter_context(make_meter())
        return machine_id()

    def clock(self) -> float:
        """Return seconds on this node's monotonic clock."""
        return time.perf_counter()

    def start(self) -> float:
        """Start the meter; returns when it had started."""
        self._opened().start()
        return time.perf_counter()

    def stop(self) -> tuple[float, Reading]:
        """Stop the meter; returns when that began, and the reading."""
        stopped_s = time.perf_counter()
        return stopped_s, self._opened().stop()

    def close(self) -> None:
        """Close the meter."""
        self._exit.close()

    def _opened(self) -> NodeMeter:
        if self._meter is None:
            raise RuntimeError("the meter is not open")
        return self._meter


class Halves:
    """Gives a meter that measures a callable the two halves `start` and `stop`."""

    def __init__(self, measure: Callable[[Callable[[], object]], tuple[object, Reading]]) -> None:
        self._measure = measure
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._end: Future[None] | None = None
        self._measured: Future[tuple[object, Reading]] | None = None

    def start(self) -> None:
        """Begin to count; returns once the meter does."""
        if self._end is not None:
            raise RuntimeError("the meter is started already")
        begun: Future[None] = Future()
        end: Future[None] = Future()

        def until_stopped() -> None:
            begun.set_result(None)
            end.result()

        self._end, self._measured = end, self._thread.submit(self._measure, until_stopped)
        either: list[Future[Any]] = [begun, self._measured]
        wait(either, return_when=FIRST_COMPLETED)
        if not begun.done():
            self._end = None
            self._measured.result()  # raises what went wrong

    def stop(self) -> Reading:
        """Stop to count; what it took since `start`."""
        if self._end is None or self._measured is None:
            raise RuntimeError("the meter is not started")
        end, self._end = self._end, None
        end.set_result(None)
        return self._measured.result()[1]

    def close(self) -> None:
        """End the thread, also after a `start` without `stop`."""
        if self._end is not None:
            self._end.set_result(None)
        self._thread.shutdown()


@contextmanager
def this_machine() -> Iterator[NodeMeter]:
    """Open the meter of the machine that this is called on; RAM is what this process may use there."""
    with open_meter(detect().ram_gb) as meter, closing(Halves(meter.measure)) as halves:
        yield halves


def machine_id() -> str:
    """Return what all processes on this machine share, those in containers included, and no others."""
    boot_id = _BOOT.read_text() if _BOOT.is_file() else socket.gethostname()
    return hashlib.sha256(boot_id.encode()).hexdigest()[:16]
