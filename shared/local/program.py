"""Runs a program that is not Python's as one process of the stack.

    python -m shared.local.child NICENESS CORE shared.local.program PROGRAM [ARGUMENT …]

``shared.local.child`` needs a Python process that holds the lifeline; the program is a child in its process group,
and so ends with it in every case.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType


def main() -> int:
    """Start the program, hand on a request to end, and return its exit code as a shell would."""
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603  # the supervisor's choice

    def end(_number: int, _frame: FrameType | None) -> None:
        program.terminate()

    signal.signal(signal.SIGTERM, end)
    code = program.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
