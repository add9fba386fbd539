"""``wardgate audit dead-letters``: events that a sink did not take, and another try for them."""

from __future__ import annotations

import argparse

from shared.cli.output import Commands, add_json_option, counted, need_home, print_json, print_table, when, whole_number
from shared.errors import ConfigurationError, Fault
from shared.settings import load_settings
from shared.stores.connect import connect_dead_letters
from shared.stores.events import DeadLetter, DeadLetters

_COLUMNS = ("died_at", "sink", "attempts", "reason", "event", "type")


def register(actions: Commands) -> None:
    """Add the action to those of ``wardgate audit``."""
    parser = actions.add_parser("dead-letters", help="events that a sink did not take", description=__doc__)
    verbs = parser.add_subparsers(metavar="ACTION", required=True)

    show = verbs.add_parser("list", help="list them: exit code 0 there are none, 1 there are")
    show.add_argument("--limit", type=whole_number, default=100, metavar="COUNT", help="at most so many (%(default)s)")
    _add_common(show)
    show.set_defaults(run=_list)

    redrive = verbs.add_parser("redrive", help="deliver all of them again; sinks that have an event ignore it")
    _add_common(redrive)
    redrive.set_defaults(run=_redrive)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--subscription",
        default="",
        metavar="ID",
        help="on Pub/Sub: the pull subscription to the dead-letter topic, or with --config a sink",
    )
    add_json_option(parser)


def _dead_letters(options: argparse.Namespace) -> DeadLetters:
    settings = load_settings(needs={"events"})
    need_home(settings, settings.events)
    return connect_dead_letters(settings.events, _subscription(options))


def _subscription(options: argparse.Namespace) -> str:
    """The subscription's id; with ``--config`` a sink's name will do."""
    kept: dict[str, str] = options.deployment.dead_letters if options.deployment is not None else {}
    if kept and not options.subscription:
        problem = f"say whose dead letters, with --subscription and one of {', '.join(sorted(kept))}."
        raise ConfigurationError([Fault("--subscription", problem)])
    named: str = options.subscription
    return kept.get(named, named).rpartition("/")[2]


def _list(options: argparse.Namespace) -> int:
    rows = [_row(letter) for letter in _dead_letters(options).dead_letters(options.limit)]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS, empty="There are no dead letters.")
    return 1 if rows else 0


def _row(letter: DeadLetter) -> dict[str, object]:
    """A letter without the event's data. What foreign messages hold may be anything, so it is made printable."""
    row = {
        "died_at": when(letter.died_at),
        "sink": letter.sink,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "event": letter.event.id,
        "type": letter.event.type,
    }
    return {name: _printable(value) if isinstance(value, str) else value for name, value in row.items()}


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:200])


def _redrive(options: argparse.Namespace) -> int:
    count = _dead_letters(options).redrive()
    if options.json:
        print_json({"redriven": count})
    else:
        print(f"{counted(count, 'dead letter')} will be delivered again.")
    return 0
