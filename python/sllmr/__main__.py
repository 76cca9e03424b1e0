"""The command line program: `sllmr`, or `python -m sllmr`."""

import signal
import sys

from sllmr import _core


def main() -> int:
    # Ctrl-C is the program's.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _core.run_program(["sllmr", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
