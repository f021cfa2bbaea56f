"""Command line: `python -m helpers`."""

import signal
import sys
from types import FrameType

from helpers.cli import main
from helpers.core.errors import Terminated


def _end(number: int, _frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, _end)
    sys.exit(main())
