"""``wardgate audit open``: read the sealed prompt and answer of one request, which the trail is told of."""

from __future__ import annotations

import argparse
import sys

from shared.audit.content import ContentGone
from shared.audit.opening import open_content
from shared.audit.wrapping import ContentUnreadable
from shared.cli.operators import operator
from shared.cli.output import Commands, add_json_option, print_json
from shared.cli.sealed import sealed_archive


def register(actions: Commands) -> None:
    """Add the action to ``wardgate audit``."""
    opening = actions.add_parser("open", help="read the sealed prompt and answer of a request; the trail is told")
    opening.add_argument("request", metavar="REQUEST_ID", help="as in the header x-request-id")
    add_json_option(opening)
    opening.set_defaults(run=_open)


def _open(options: argparse.Namespace) -> int:
    with sealed_archive() as archive:
        try:
            content = open_content(archive.objects, archive.sealer, archive.trail, operator(), options.request)
        except (ContentGone, ContentUnreadable) as error:
            print(f"wardgate: {error}", file=sys.stderr)
            return 1
    if content is None:
        print("wardgate: nothing is sealed of such a request in the archive", file=sys.stderr)
        return 1
    if options.json:
        print_json({"request": options.request, "prompt": content.prompt, "answer": content.answer})
    else:
        for name, text in (("prompt", content.prompt), ("answer", content.answer)):
            print(f"{name}: {'-' if text is None else _shown(text)}")
    return 0


def _shown(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(each if each.isprintable() or each in "\n\t" else "?" for each in text)
