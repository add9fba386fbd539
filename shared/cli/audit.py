"""``wardgate audit``: show the trail, check that it is whole, open and erase what is sealed in it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import get_args

from shared.audit.port import Decision
from shared.audit.show import Filter, UserTest, json_line, read_entries, table_lines
from shared.audit.users import HashedUser, NamedUser
from shared.cli import audit_verify, dead_letters, erase, open_content
from shared.cli.output import Commands, add_json_option, need_home, whole_number
from shared.cli.times import past
from shared.settings import Settings, load_settings
from shared.stores.connect import connect_documents, connect_objects, connect_secrets
from shared.stores.secret_reader import SecretReader


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("audit", help="show, check, seal and open the audit trail", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("show", help="list events; prompts and answers are there as keyed hashes only")
    show.add_argument("--key", metavar="ID", help="of this API key or token subject")
    show.add_argument("--tenant", help="of this tenant")
    user = show.add_mutually_exclusive_group()
    user.add_argument("--user", metavar="TEXT", help="of this end user; needs the pepper to hash the text")
    user.add_argument("--user-hmac", metavar="HEX", help="of the end user with this hash")
    show.add_argument("--decision", choices=get_args(Decision), help="that ended so")
    show.add_argument("--guard", help="with a finding of this guard")
    show.add_argument("--kind", help="with a finding of this kind")
    show.add_argument("--request", metavar="ID", help="with this request id")
    show.add_argument("--since", type=past, metavar="WHEN", help="not older than 15m, 6h or 7d, or an RFC 3339 time")
    show.add_argument("--until", type=past, metavar="WHEN", help="older than that")
    show.add_argument(
        "--limit", type=whole_number, default=50, metavar="COUNT", help="at most so many (default: %(default)s; 0: all)"
    )
    show.add_argument("--oldest-first", action="store_true", help="default: newest first")
    add_json_option(show)
    show.set_defaults(run=_show)

    audit_verify.register(actions)
    dead_letters.register(actions)
    open_content.register(actions)
    erase.register(actions)


def _show(options: argparse.Namespace) -> int:
    settings = load_settings(needs={"objects", "documents", "secrets"} if options.user else {"objects"})
    need_home(settings, settings.objects)
    user = _user(options, settings)
    wanted = Filter(
        user=user,
        since=options.since,
        until=options.until,
        key_id=options.key,
        tenant=options.tenant,
        decision=options.decision,
        guard=options.guard,
        kind=options.kind,
        request_id=options.request,
    )
    objects = connect_objects(settings.objects)
    entries = read_entries(objects, wanted, newest_first=not options.oldest_first, limit=options.limit or None)
    lines: Iterator[str] = map(json_line, entries) if options.json else table_lines(entries)
    for line in lines:
        print(line)
    if isinstance(user, NamedUser) and user.unknown_versions:
        gone = ", ".join(map(str, sorted(user.unknown_versions)))
        print(f"wardgate: events under version {gone} of the pepper cannot be told apart any more", file=sys.stderr)
    return 0


def _user(options: argparse.Namespace, settings: Settings) -> UserTest | None:
    if options.user_hmac:
        return HashedUser(options.user_hmac)
    if options.user:
        documents = connect_documents(settings.documents)
        return NamedUser(options.user, SecretReader(connect_secrets(settings.secrets), documents, settings.environment))
    return None
