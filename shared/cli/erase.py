"""``wardgate audit erase``: delete the key of a subject's sealed prompts and answers."""

from __future__ import annotations

import argparse

from shared.audit.erase import erase, parse_subject
from shared.cli.operators import operator, operator_trail
from shared.cli.output import Commands, add_json_option, need_home, print_json
from shared.settings import load_settings
from shared.stores.connect import connect_documents


def register(actions: Commands) -> None:
    """Add the action to ``wardgate audit``."""
    remove = actions.add_parser("erase", help="delete the key of a subject's sealed prompts and answers, for good")
    remove.add_argument("subject", type=_subject, help="key:ID (or just ID) or user:TENANT/USER")
    add_json_option(remove)
    remove.set_defaults(run=_erase)


def _subject(text: str) -> str:
    try:
        return parse_subject(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _erase(options: argparse.Namespace) -> int:
    settings = load_settings(needs={"documents", "events", "secrets"})
    need_home(settings, settings.documents, settings.events)
    with operator_trail(settings) as trail:
        erased = erase(connect_documents(settings.documents), trail, operator(), options.subject)
    if options.json:
        print_json({"subject": erased.subject, "erased": erased.found})
    elif erased.found:
        print(f"The key of subject {erased.subject} is deleted: what was sealed under it cannot be opened any more.")
        print("Backups of the document store keep the key until they expire.")
    else:
        print(f"Subject {erased.subject} has no key: nothing was sealed, or it was erased before.")
    return 0
