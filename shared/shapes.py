"""Types that are decoded while requests are served, made ready before the first of them."""

from __future__ import annotations

import msgspec


def prepare(*shapes: type) -> None:
    """Have msgspec read the annotations of ``shapes`` now; call it while the module that decodes them is imported.

    msgspec reads them when it first meets a type, and two threads that both meet it for the first time
    crash the process (msgspec 0.22: the second one uses what the first has not filled in yet). An import is
    done by one thread, and before gunicorn forks.
    """
    for shape in shapes:
        msgspec.json.Decoder(shape)
