"""The command line ``wardgate``: one module per command, each imported only when it is asked for."""

from shared.cli.main import main

__all__ = ["main"]
