"""``wardgate keys``: make, list, rotate and revoke API keys."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.audit.port import OperationTrail
from shared.cli.operators import operator_trail, tell_after, tell_first
from shared.cli.output import MAKES_SECRETS, Commands, add_json_option, need_home, print_json, print_table
from shared.cli.times import future, span
from shared.clock import SystemClock, utc
from shared.errors import (
    ApiError,
    BadRequest,
    ConfigurationError,
    Fault,
    ServiceUnavailable,
    StoreError,
)
from shared.identity.api_keys import ApiKeys, KeyRecord, NewKey, key_document
from shared.identity.caller import DEFAULT_SCOPES, SCOPES
from shared.identity.key_rotation import KeyRotation
from shared.policy import load_policy
from shared.settings import Settings, load_settings
from shared.stores.connect import connect_documents, connect_secrets
from shared.stores.documents import DocumentStore
from shared.stores.secret_reader import SecretReader

if TYPE_CHECKING:
    from shared.cli.guard_admin import GuardAdmin

_COLUMNS = ("id", "tenant", "name", "scopes", "status", "created_at", "not_after", "older_until")

_MADE = "id   {}\nkey  {}\nThe key is shown this once; keep it now."
_RESERVED = "id   {}\nRotation makes its secrets, once a secret's driver in the policy names this id."


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("keys", help="make, list, rotate and revoke API keys", description=__doc__)
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
    create.add_argument(
        "--by-rotation",
        action="store_true",
        help="show no secret: rotation makes them, into the secret whose driver names this key's id in the policy",
    )
    add_json_option(create)
    create.set_defaults(run=_create)

    listing = actions.add_parser("list", help="list all keys, also expired and revoked ones")
    add_json_option(listing)
    listing.set_defaults(run=_list)

    rotate = actions.add_parser("rotate", help="give a key another secret; its id, scopes and limits stay")
    rotate.add_argument("id", help="the key's id, as `wardgate keys list` shows it")
    rotate.add_argument(
        "--grace", type=span, metavar="TIME", help="how long the old secret stays good, as 6h (default: the policy's)"
    )
    rotate.add_argument(
        "--revoke-immediately", action="store_true", help="end the old secret at once; for a key that leaked"
    )
    add_json_option(rotate)
    rotate.set_defaults(run=_rotate)

    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", help="the key's id, as `wardgate keys list` shows it")
    add_json_option(revoke)
    revoke.set_defaults(run=_revoke)


@dataclass(frozen=True, slots=True)
class _Hands:
    """Keys in the hands of whoever runs this command, and the trail that is told of it."""

    settings: Settings
    documents: DocumentStore
    keys: ApiKeys
    rotation: KeyRotation
    trail: OperationTrail


def _look() -> ApiKeys:
    """For commands that change nothing."""
    settings = load_settings(needs={"documents", "secrets"})
    need_home(settings, settings.documents, settings.secrets)
    documents = connect_documents(settings.documents)
    return ApiKeys(
        documents, SecretReader(connect_secrets(settings.secrets), documents, settings.environment), SystemClock()
    )


@contextmanager
def _hands() -> Iterator[_Hands]:
    settings = load_settings(needs={"documents", "events", "secrets"})
    # To make a key needs a home as well: one in a home that was made for it opens nothing that is running.
    need_home(settings, settings.documents, settings.events, settings.secrets)
    documents = connect_documents(settings.documents)
    reader = SecretReader(connect_secrets(settings.secrets), documents, settings.environment)
    keys, rotation = ApiKeys(documents, reader, SystemClock()), KeyRotation(documents, reader, SystemClock())
    with operator_trail(settings) as trail:
        yield _Hands(settings, documents, keys, rotation, trail)


def _create(options: argparse.Namespace) -> int:
    scopes = [scope.strip() for scope in options.scopes.split(",") if scope.strip()]
    if options.deployment is not None:
        return _create_by_guard(options, scopes)
    given = (options.tenant, options.name, scopes, options.expires)
    with _secrets_are_made(), _hands() as hands:
        if options.by_rotation:
            reserved = hands.keys.reserve(*given)
            with _given_out(hands, reserved.id):
                _show_reserved(reserved, json=options.json)
        else:
            made = hands.keys.create(*given)
            with _given_out(hands, made.record.id):
                _show(made, json=options.json)
    return 0


@contextmanager
def _given_out(hands: _Hands, key_id: str) -> Iterator[None]:
    """Tell the trail of a key, before it is shown. One that is not shown, whatever kept it from that, is revoked."""
    try:
        tell_first(hands.trail, "keys.create", f"key:{key_id}", "the key is not given out")
        yield
    except BaseException:  # Ctrl-C too
        with suppress(ApiError, StoreError):
            hands.keys.revoke(key_id)
        raise


def _rotate(options: argparse.Namespace) -> int:
    if options.revoke_immediately and options.grace is not None:
        raise BadRequest("--revoke-immediately and --grace contradict each other; give one of them.")
    if options.deployment is not None:
        grace = timedelta(0) if options.revoke_immediately else options.grace or _grace_of(load_settings(needs=()))
        _show_guards(_guard(options).rotate_key(options.id, round(grace.total_seconds())), json=options.json)
        return 0
    with _secrets_are_made(), _hands() as hands:
        key_document(hands.documents, options.id)  # before the event: do not record what cannot be done
        tell_first(hands.trail, "keys.rotate", f"key:{options.id}", "the key has no other secret")
        grace = timedelta(0) if options.revoke_immediately else options.grace or _grace_of(hands.settings)
        _show(hands.rotation.replace(options.id, grace), json=options.json)
    return 0


def _grace_of(settings: Settings) -> timedelta:
    return timedelta(seconds=load_policy(settings.policy).file.secrets.grace_seconds)


@contextmanager
def _secrets_are_made() -> Iterator[None]:
    try:
        yield
    except ServiceUnavailable as error:
        if error.code != "not_ready":
            raise
        problem = f"they have not been made yet; {MAKES_SECRETS} makes them."
        raise ConfigurationError([Fault("secrets", problem)]) from error


def _show(made: NewKey, *, json: bool) -> None:
    """The one time that a key is shown."""
    if json:
        print_json({**_row(made.record), "key": made.key})
        return
    print(_MADE.format(made.record.id, made.key))
    if until := _time(made.record.older_until):
        print(f"The one before is good until {until}.")


def _show_reserved(record: KeyRecord, *, json: bool) -> None:
    if json:
        print_json(_row(record))
    else:
        print(_RESERVED.format(record.id))


def _create_by_guard(options: argparse.Namespace, scopes: list[str]) -> int:
    """Have guard make the key: the pepper's value is for guard alone."""
    asked = {"tenant": options.tenant, "name": options.name, "scopes": scopes, "not_after": options.expires}
    _show_guards(_guard(options).create_key({**asked, "by_rotation": options.by_rotation}), json=options.json)
    return 0


def _guard(options: argparse.Namespace) -> GuardAdmin:
    from shared.cli.guard_admin import IAM_CREDENTIALS, GuardAdmin

    return GuardAdmin(options.deployment, IAM_CREDENTIALS)


def _show_guards(made: dict[str, Any], *, json: bool) -> None:
    """A key as guard's answer has it."""
    if json:
        print_json({**made, "scopes": ",".join(made["scopes"]), "status": "active", "revoked_at": None})
    elif made["by_rotation"]:
        print(_RESERVED.format(made["id"]))
    else:
        print(_MADE.format(made["id"], made["key"]))


def _list(options: argparse.Namespace) -> int:
    rows = [_row(record) for record in _look().list()]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS, empty="There are no keys; make one with `wardgate keys create`.")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    with _hands() as hands:
        record = hands.keys.revoke(options.id)
        if options.json:  # whatever the trail says: it is revoked
            print_json(_row(record))
        # To revoke is an emergency, which does not wait for the trail.
        tell_after(hands.trail, "keys.revoke", f"key:{record.id}", f"Key {record.id} ({record.name}) is REVOKED")
    if not options.json:
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
        "older_until": _time(record.older_until),
        "by_rotation": record.by_rotation,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
