"""Processor time of a function's processes: what an answer costs, also on a machine that is busy with other things."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def processor_seconds(function: str, processes: Iterable[int]) -> float:
    """What those of ``processes`` that serve the function have used so far; 0 where there is no ``/proc``."""
    ticks = 0
    for process in processes:
        folder = Path(f"/proc/{process}")
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if function.encode() in arguments:
            ticks += int(fields[11]) + int(fields[12])  # utime and stime, see proc_pid_stat(5)
    return ticks / os.sysconf("SC_CLK_TCK")
