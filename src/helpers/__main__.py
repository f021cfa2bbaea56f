"""Command line: `python -m helpers`, or `companion`, which installing the package adds."""

import signal
import sys
from types import FrameType

from helpers.cli import main
from helpers.core.errors import Terminated


def run() -> int:
    """Run one verb; a signal that asks to end is handled as Ctrl-C is."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, _end)
    return main()


def _end(number: int, _frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(run())
