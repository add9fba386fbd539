"""``make bench-admission``: what the limits cost on Firestore's emulator, as ratios to one bare commit of the same run.

RPC, reads and writes are counted where they leave, not estimated. The emulator commits in memory, so a ratio
says what admission adds to a commit; how long a commit takes at Google, and how contention feels there, it
does not say (``make smoke`` does).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from tests.benchmarks.admission import prices, ways
from tests.benchmarks.admission.first_commit import first_commits
from tests.benchmarks.admission.timing import THREADS, Measured, in_turns, one_after_the_other, together
from tests.benchmarks.admission.ways import BARE, make_ways
from tests.benchmarks.report import Row, Target, table
from tests.support.emulators import firestore_emulator

_DENIED = "denied again"
_HOT, _BARE_HOT = f"hot key, {THREADS} threads", f"bare commits, {THREADS} threads"
_MEMORY = "limits, in memory"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. Exit code 0, also where a target is not met: a figure is no test."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.admission", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")
    parser.add_argument("--requests", type=int, default=600, help="per row (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=7, help="of a process, each way (default: %(default)s)")
    options = parser.parse_args(arguments)
    running = os.environ.get("FIRESTORE_EMULATOR_HOST")
    with nullcontext(running) if running else firestore_emulator() as address:
        os.environ["FIRESTORE_EMULATOR_HOST"] = address
        project = f"bench-{uuid.uuid4().hex[:8]}"
        measured = measure(address, project, options.requests)
        rows = [*compared(measured), start_row(project, options.starts)]
    if options.json:
        costs = {name: {**asdict(each), "usd_per_million": each.usd_per_million} for name, each in measured.items()}
        given = {"source": prices.SOURCE, "as_of": prices.AS_OF, "location": prices.LOCATION}
        print(json.dumps({"rows": [row.as_json() for row in rows], "costs": costs, "prices": given}, indent=2))
        return 0
    print(table(rows))
    print(f"\n{'':34}  RPC      reads    writes   USD per million requests")
    for name, each in measured.items():
        print(f"{name:34}  {each.rpc:<7.3f}  {each.reads:<7.3f}  {each.writes:<7.3f}  {each.usd_per_million:.2f}")
    print(f"\nPrices: {prices.LOCATION}; {prices.SOURCE}, {prices.AS_OF}.")
    return 0


def measure(address: str, project: str, count: int) -> dict[str, Measured]:
    """Every way, by name."""
    made = make_ways(address, project)
    measured = in_turns(made.fresh, made.till, count)
    measured[_DENIED] = one_after_the_other(made.deny, made.till)
    strategy, item = MovingWindowRateLimiter(MemoryStorage()), parse("1000000000/minute")
    measured[_MEMORY] = one_after_the_other(lambda: strategy.hit(item, "key"), made.till)
    measured[_HOT] = together(made.hot, made.till, count)
    measured[_BARE_HOT] = together(made.bare, made.till, count)
    return measured


def compared(measured: Mapping[str, Measured]) -> list[Row]:
    """The rows, each against one bare commit where that means something."""
    bare, denied, hot = measured[BARE], measured[_DENIED], measured[_HOT]

    def row(name: str, bound: float | None = None) -> Row:
        target = None if bound is None else Target("ratio", bound)
        return Row(name, "ms", measured[name].milliseconds, BARE, bare.milliseconds, target=target)

    memory = measured[_MEMORY].milliseconds * 1000
    return [
        row(ways.ONE, 1.3),
        row(ways.ONE_RAW),
        row(ways.SIX, 2.0),
        row(ways.SIX_RAW),
        row(ways.SETTLED, 3.5),
        Row(_DENIED, "µs", denied.milliseconds * 1000, _MEMORY, memory, target=Target("value", 10)),
        Row("RPC of a request denied again", "", denied.rpc, "reserve alone", 1.0, target=Target("value", 0)),
        Row(_HOT, "/s", hot.per_second, "bare, 1 thread", bare.per_second, target=Target("ratio", 5, at_least=True)),
        Row(_HOT, "/s", hot.per_second, f"bare, {THREADS} threads", measured[_BARE_HOT].per_second),
        Row("RPC of a request on a hot key", "", hot.rpc, "reserve alone", 1.0, target=Target("value", 0.1)),
        row(ways.NAIVE),
        row(ways.TRANSACTION),
        row(_MEMORY),
    ]


def start_row(project: str, rounds: int) -> Row:
    """Wardgate's start against the official client's."""
    ours, official = first_commits(project, rounds)
    return Row("start to first commit", "ms", ours, "official client", official, target=Target("ratio", 0.5))


if __name__ == "__main__":
    sys.exit(main())
