"""The command line program, as `pip install` leaves it on PATH."""

import signal
import sys

from sllmr import _core


def main() -> int:
    # Ctrl-C is the program's.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _core.run_program(sys.argv)
