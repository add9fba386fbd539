"""``wardgate keys``: make, list and revoke API keys."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from shared.cli.output import MAKES_SECRETS, Commands, add_json_option, need_home, print_json, print_table
from shared.cli.times import future
from shared.clock import SystemClock, utc
from shared.errors import ConfigurationError, Fault, ServiceUnavailable
from shared.identity.api_keys import ApiKeys, KeyRecord
from shared.identity.caller import DEFAULT_SCOPES, SCOPES
from shared.settings import load_settings
from shared.stores.connect import connect_documents, connect_secrets
from shared.stores.secret_reader import SecretReader

_COLUMNS = ("id", "tenant", "name", "scopes", "status", "created_at", "not_after")


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("keys", help="make, list and revoke API keys", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    create = actions.add_parser("create", help="make a key; it is shown once and stored only as a keyed hash")
    create.add_argument("--name", default="key", help="what to call it in lists (default: %(default)s)")
    create.add_argument("--tenant", default="default", help="whom its callers belong to (default: %(default)s)")
    create.add_argument(
        "--scopes",
        default=",".join(DEFAULT_SCOPES),
        help=f"what it may do, of {','.join(SCOPES)} (default: %(default)s)",
    )
    create.add_argument(
        "--expires",
        type=future,
        metavar="WHEN",
        help="after a time such as 12h or 90d, or at an RFC 3339 time with zone (default: never)",
    )
    add_json_option(create)
    create.set_defaults(run=_create)

    listing = actions.add_parser("list", help="list all keys, also expired and revoked ones")
    add_json_option(listing)
    listing.set_defaults(run=_list)

    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", help="the key's id, as `wardgate keys list` shows it")
    add_json_option(revoke)
    revoke.set_defaults(run=_revoke)


def _keys() -> ApiKeys:
    settings = load_settings(needs={"documents", "secrets"})
    # To make a key needs a home as well: one in a home that was made for it opens nothing that is running.
    need_home(settings, settings.documents, settings.secrets)
    documents = connect_documents(settings.documents)
    reader = SecretReader(connect_secrets(settings.secrets), documents, settings.environment)
    return ApiKeys(documents, reader, SystemClock())


def _create(options: argparse.Namespace) -> int:
    scopes = [scope.strip() for scope in options.scopes.split(",") if scope.strip()]
    if options.deployment is not None:
        return _create_by_guard(options, scopes)
    try:
        made = _keys().create(options.tenant, options.name, scopes, options.expires)
    except ServiceUnavailable as error:
        if error.code != "not_ready":
            raise
        problem = f"they have not been made yet; {MAKES_SECRETS} makes them."
        raise ConfigurationError([Fault("secrets", problem)]) from error
    if options.json:
        print_json({**_row(made.record), "key": made.key})
    else:
        print(f"id   {made.record.id}\nkey  {made.key}\nThe key is shown this once; keep it now.")
    return 0


def _create_by_guard(options: argparse.Namespace, scopes: list[str]) -> int:
    """Have guard make the key: the pepper's value is for guard alone."""
    from shared.cli.guard_admin import IAM_CREDENTIALS, GuardAdmin

    asked = {"tenant": options.tenant, "name": options.name, "scopes": scopes, "not_after": options.expires}
    made = GuardAdmin(options.deployment, IAM_CREDENTIALS).create_key(asked)
    if options.json:
        print_json({**made, "scopes": ",".join(made["scopes"]), "status": "active", "revoked_at": None})
    else:
        print(f"id   {made['id']}\nkey  {made['key']}\nThe key is shown this once; keep it now.")
    return 0


def _list(options: argparse.Namespace) -> int:
    rows = [_row(record) for record in _keys().list()]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS, empty="There are no keys; make one with `wardgate keys create`.")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    record = _keys().revoke(options.id)
    if options.json:
        print_json(_row(record))
    else:
        print(f"Key {record.id} ({record.name}) is revoked.")
    return 0


def _row(record: KeyRecord) -> dict[str, object]:
    expired = record.not_after is not None and record.not_after <= utc(SystemClock())
    return {
        "id": record.id,
        "tenant": record.tenant,
        "name": record.name,
        "scopes": ",".join(sorted(record.scopes)),
        "status": "revoked" if record.revoked_at else "expired" if expired else "active",
        "created_at": _time(record.created_at),
        "not_after": _time(record.not_after),
        "revoked_at": _time(record.revoked_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
