"""The ``fluss`` program, which serves the tables of a directory: ``fluss serve --data-dir ./data``."""

import signal
import sys

from fluss._fluss import run_program


def main() -> None:
    """Runs the program with the arguments of this process."""
    # It waits for signals itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run_program(sys.argv))
