"""``wardgate policy``: check a policy file, show it whole, try it on prompts, print its JSON Schema."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from shared.cli import backtest
from shared.cli.output import Commands, add_json_option, print_json
from shared.guards.tenants import Pipelines
from shared.policy.load import load_policy
from shared.policy.schema import policy_schema
from shared.settings import load_settings


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("policy", help="check, show or try a policy", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    check = actions.add_parser("check", help="say whether a policy file is sound (exit code 0 or 2)")
    check.add_argument("file", nargs="?", type=Path, help="default: the one that WARDGATE_POLICY names")
    add_json_option(check)
    check.set_defaults(run=_check)

    show = actions.add_parser("show", help="print the policy with every default filled in, and its digest")
    show.add_argument("file", nargs="?", type=Path, help="default: the one that WARDGATE_POLICY names")
    add_json_option(show)
    show.set_defaults(run=_show)

    backtest.register(actions)

    schema = actions.add_parser("schema", help="print the JSON Schema of policy.yaml")
    add_json_option(schema, always=True)
    schema.set_defaults(run=_schema)


def _file(options: argparse.Namespace) -> Path | None:
    chosen: Path | None = options.file or load_settings(needs=()).policy
    return chosen


def _check(options: argparse.Namespace) -> int:
    policy = load_policy(_file(options))
    Pipelines(policy.file)  # stops at what its guards cannot use
    if options.json:
        print_json({"source": str(policy.source), "digest": policy.digest, "sound": True})
    else:
        print(f"{policy.source}: sound (digest {policy.digest})")
    return 0


def _show(options: argparse.Namespace) -> int:
    policy = load_policy(_file(options))
    whole = msgspec.to_builtins(policy.file)
    if options.json:
        print_json({"source": str(policy.source), "digest": policy.digest, "policy": whole})
    else:
        print(f"# {policy.source}\n# digest {policy.digest}")
        print(msgspec.yaml.encode(whole).decode(), end="")
    return 0


def _schema(_options: argparse.Namespace) -> int:
    print_json(policy_schema())
    return 0
