"""``wardgate receipt``: check the signed receipt of an answer."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from shared.cli.output import Commands, add_json_option, need_home, print_json
from shared.errors import BadRequest
from shared.gateway.receipt_keys import ReceiptKeys
from shared.guards.answer import assemble
from shared.guards.receipt import ReceiptInvalid, verify_receipt
from shared.models.wire import ChatChunk, ChatCompletion
from shared.settings import load_settings
from shared.stores.connect import connect_documents, connect_secrets
from shared.stores.secret_reader import SecretReader
from shared.web.sse import DONE, EventParser, EventTooLarge

_MOST_BYTES = 64 * 1024 * 1024


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("receipt", help="check a receipt", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "verify", help="check a receipt's signature and, with --answer, that it belongs to the answer"
    )
    check.add_argument("receipt", help="the value of the header `wardgate-receipt`, or @FILE")
    check.add_argument("--answer", type=Path, metavar="FILE", help="the answer's body, JSON or event stream")
    check.add_argument("--jwks", metavar="FILE", type=Path, help="public keys, as /.well-known/jwks.json serves them")
    add_json_option(check)
    check.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    text: str = options.receipt
    token = _text(Path(text[1:])).strip() if text.startswith("@") else text
    try:
        receipt = verify_receipt(token, _key_set(options.jwks), _answer(options.answer))
    except ReceiptInvalid as error:
        if options.json:
            print_json({"valid": False, "problem": str(error)})
        else:
            print(f"NOT VALID: {error}")
        return 1
    claims = msgspec.to_builtins(receipt)
    if options.json:
        print_json({"valid": True, "answer_checked": options.answer is not None, "receipt": claims})
    else:
        print("Valid" + (", and it belongs to the answer." if options.answer else "; no answer was given to compare."))
        for name, value in claims.items():
            print(f"  {name}: {json.dumps(value)}")
    return 0


def _key_set(file: Path | None) -> dict[str, Any]:
    """The trusted keys: those of a file, or the ones that the configured secret store holds."""
    if file is None:
        settings = load_settings(needs={"documents", "secrets"})
        need_home(settings, settings.documents, settings.secrets)
        store, documents = connect_secrets(settings.secrets), connect_documents(settings.documents)
        reader = SecretReader(store, documents, settings.environment)
        return _object(ReceiptKeys(reader, store).public_keys(), "the secret store")
    return _object(_text(file), str(file))


def _answer(file: Path | None) -> ChatCompletion | None:
    """An answer as it was saved: the JSON of a plain one, or the event stream of a streamed one."""
    if file is None:
        return None
    data = _text(file).encode()
    try:
        if data.lstrip().startswith(b"{"):
            return msgspec.json.decode(data, type=ChatCompletion)
        events = EventParser(_MOST_BYTES).feed(data)
        return assemble(msgspec.json.decode(event, type=ChatChunk) for event in events if event != DONE)
    except (msgspec.DecodeError, EventTooLarge, ValueError) as error:
        raise BadRequest(f"{file} holds neither an answer nor a stream of one.") from error


def _object(text: str | bytes, source: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadRequest(f"{source} holds no JSON object.") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} cannot be read as UTF-8 text.") from error
