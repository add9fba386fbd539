"""Runs a module as one process of the stack that never outlives the supervisor.

    python -m shared.local.child NICENESS CORE MODULE [ARGUMENT …]

CORE is the number of the processor that all of its threads keep to, or ``any``.

Standard input is a lifeline: a pipe whose other end only the supervisor holds. Its end means that the
supervisor is gone, however it died, and with it goes this process's whole group. A pipe, since
Linux's parent-death signal does not exist elsewhere and reaches only the direct child.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from contextlib import suppress


def main() -> None:
    """Lower the priority, keep to a core, tie this process to its supervisor and become the module."""
    niceness, core, module, *arguments = sys.argv[1:]
    os.nice(int(niceness))
    if core != "any":
        with suppress(OSError):  # some sandboxes refuse, and all works without
            os.sched_setaffinity(0, {int(core)})
    threading.Thread(target=_end_with_supervisor, name="lifeline", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_supervisor() -> None:
    # Nothing is ever written to the lifeline, so the read returns at its end only.
    os.read(0, 1)
    # The group that this process leads; an error, not a disaster, where it leads none.
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
