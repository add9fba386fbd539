"""``wardgate scan``: what the policy's guards say of a text, a file or many lines of JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from shared.cli.output import Commands, add_json_option, print_json, print_table
from shared.cli.rows import read_rows
from shared.errors import BadRequest
from shared.guards.inspection import Inspection
from shared.guards.tenants import Pipelines
from shared.policy import load_policy
from shared.settings import load_settings

_MOST_CHARACTERS = 8_000_000


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "scan",
        help="inspect text with the policy's guards",
        description=__doc__,
        epilog="Exit code 0: nothing is blocked; 1: something is.",
    )
    parser.add_argument("text", nargs="?", help="the text; default: standard input")
    parser.add_argument("--file", type=Path, help="read the text from a file instead")
    parser.add_argument(
        "--jsonl", type=Path, metavar="FILE", help='lines of {"id", "text"}; answers a line of JSON for each, in order'
    )
    parser.add_argument("--tenant", default="", help="with the guards of this tenant (default: the usual ones)")
    parser.add_argument("--direction", choices=("input", "output"), default="input", help="default: %(default)s")
    parser.add_argument("--channel", choices=("user", "document", "tool"), default="user", help="default: %(default)s")
    add_json_option(parser)
    parser.set_defaults(run=_scan)


def _scan(options: argparse.Namespace) -> int:
    if sum(given is not None for given in (options.text, options.file, options.jsonl)) > 1:
        raise BadRequest("Give one of a text, --file and --jsonl.")
    pipeline = Pipelines(load_policy(load_settings(needs=()).policy).file).of(options.tenant)

    def inspect(text: str) -> Inspection:
        return pipeline.inspect_text(text, direction=options.direction, channel=options.channel)

    if options.jsonl is not None:
        blocked = False
        for row in read_rows(options.jsonl):
            found = inspect(row.text)
            blocked |= found.verdict == "block"
            print_json({"id": row.id, **_result(found)})
        return int(blocked)

    found = inspect(options.text if options.text is not None else _read(options.file))
    if options.json:
        print_json(_result(found))
    else:
        print(f"{found.verdict} (score {found.score:.2f})")
        rows = [{**finding, "span": "{}-{}".format(*finding["span"])} for finding in _result(found)["findings"]]
        print_table(rows, ("guard", "kind", "owasp", "span", "score", "action"), empty="No findings.")
    return int(found.verdict == "block")


def _result(found: Inspection) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "score": found.score,
        "findings": [
            {
                "guard": finding.guard,
                "kind": finding.kind,
                "owasp": finding.owasp,
                "span": finding.span,
                "score": finding.score,
                "action": finding.action,
                "enforced": finding.enforced,
            }
            for finding in found.findings
        ],
    }


def _read(file: Path | None) -> str:
    try:
        text = sys.stdin.read(_MOST_CHARACTERS + 1) if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file or 'standard input'} cannot be read as UTF-8 text: {error}.") from None
    if len(text) > _MOST_CHARACTERS:
        raise BadRequest(f"The text has more than {_MOST_CHARACTERS} characters.")
    return text
