"""The command line's entry: options, exit codes, and errors in one line.

Exit codes: 0 done, 1 done and something was found (a blocked prompt, a fault in the trail), 2 not done.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.cli import alerts, audit, keys, kill, limits, policy, receipt, rotate, scan
from shared.cli.deployment import read_deployment
from shared.errors import ApiError, ConfigurationError, WardgateError
from shared.local.home import stores_of_running_stack

_COMMANDS = (scan, keys, limits, audit, alerts, receipt, policy, rotate, kill)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = make_parser().parse_args(arguments)
    try:
        if options.config is None:
            # Whoever types a command works on the local stack unless the environment says otherwise.
            os.environ.setdefault("WARDGATE_ENV", "development")
            _join_local_stack()
            options.deployment = None
        else:
            options.deployment = read_deployment(options.config)
            options.deployment.settle(os.environ)
        return int(options.run(options))
    except ConfigurationError as error:
        for fault in error.faults:
            print(f"wardgate: {fault}", file=sys.stderr)
    except ApiError as error:
        where = f" ({error.param})" if error.param else ""
        print(f"wardgate: {error.message}{where}", file=sys.stderr)
    except WardgateError as error:
        print(f"wardgate: {error}", file=sys.stderr)
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return 2


def _join_local_stack() -> None:
    """Where the stack on this home keeps its stores elsewhere, as in emulators, a command must not work on the home's
    own: a kill switch that is turned on there would stop nobody."""
    if os.environ["WARDGATE_ENV"] == "development":
        for name, value in stores_of_running_stack(Path(os.environ.get("WARDGATE_HOME") or ".wardgate")).items():
            os.environ.setdefault(name, value)


class _Parser(argparse.ArgumentParser):
    """Shows the modules' docstrings as people write commands: `so`, not ``so``. Commands' parsers are of it too."""

    def format_help(self) -> str:
        """The help."""
        return super().format_help().replace("``", "`")


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = _Parser(
        prog="wardgate",
        description="Operate a guarded LLM endpoint: keys, policy, guards, audit trail, receipts, secrets, emergency.",
        epilog="State is found through WARDGATE_HOME (default .wardgate) and the other WARDGATE_… variables.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="work on the deployment whose `terraform output -json` is in this file, with your own credentials",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.register(commands)
    return parser
