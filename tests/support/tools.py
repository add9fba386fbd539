"""Programs that a test needs beside Python: absent ones skip it, except in CI, where nothing may be absent."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

ABSENT = "needs what is not installed: "
"""How the reason of such a skip begins, for the summary at the end of a run."""


def absent(what: str) -> NoReturn:
    """Skip the running test since ``what`` is not installed; where the environment has ``CI=true``, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{ABSENT}{what}", pytrace=False)
    pytest.skip(f"{ABSENT}{what}")


def need(*names: str) -> list[str]:
    """The paths of programs, as in ``(node, npm) = need("node", "npm")``; ``absent`` where one is missing."""
    return [shutil.which(name) or absent(name) for name in names]
