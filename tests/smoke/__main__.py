"""``make smoke PROJECT=…``: whether a Firestore does what admission takes for granted, and how fast it is.

Google's emulator cannot show contention, real latency or real clocks. This tries them on a database of yours, with
application default credentials (or on an emulator, where ``FIRESTORE_EMULATOR_HOST`` is set). It writes some
thousand documents' versions, which costs a cent, into collections whose names begin with ``wardgate-smoke-``, and
deletes them in the end. Exit code 0: all holds, 1: something does not, 2: it could not be tried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from shared.errors import ConfigurationError, StoreError
from shared.stores.connect import connect_documents
from tests.smoke.collection import Corner
from tests.smoke.load import contention, exactness, latency
from tests.smoke.report import Found, table
from tests.smoke.semantics import semantics

_DEADLINE_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the smoke test."""
    about, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser("make smoke", description=about, epilog=details)
    parser.add_argument("--project", required=True, help="the Google Cloud project whose Firestore is tried")
    parser.add_argument("--database", default="(default)", help="its database (default: %(default)s)")
    parser.add_argument("--commits", type=int, default=200, help="for the latency of each way (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=16, help="on the hot document (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="on the hot document (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")
    options = parser.parse_args(arguments)
    if not options.project:
        parser.error("name the project: make smoke PROJECT=my-project")
    try:
        uri = f"firestore://{options.project}/{options.database}"
        corner = Corner(connect_documents(uri, timeout_seconds=_DEADLINE_SECONDS))
        found, deleted = _run(corner, options)
    except (ConfigurationError, StoreError) as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 2
    _print(found, corner, deleted, as_json=options.json)
    return 1 if any(each.holds is False for each in found) else 0


def _run(corner: Corner, options: argparse.Namespace) -> tuple[list[Found], int]:
    try:
        found = [
            *semantics(corner),
            *latency(corner, options.commits),
            *contention(corner, options.threads, options.seconds),
            *exactness(corner),
        ]
    except BaseException:
        corner.clean()
        raise
    return found, corner.clean()


def _print(found: Sequence[Found], corner: Corner, deleted: int, *, as_json: bool) -> None:
    emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
    if as_json:
        done = {"emulator": emulator, "writes": corner.writes, "deleted": deleted, "prefix": corner.prefix}
        print(json.dumps({**done, "found": [each.as_json() for each in found]}, indent=2))
        return
    print(table(found))
    print(f"\n{corner.writes} documents written, the {deleted} that were left under {corner.prefix}* deleted.")
    if emulator:
        print(f"This was the emulator at {emulator}: its times and its contention say nothing about Firestore.")


if __name__ == "__main__":
    sys.exit(main())
