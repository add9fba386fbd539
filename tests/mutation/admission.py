"""Faults of admission: run with ``make mutate-admission``. Each must be found; those that are not are printed last.

The stateful property test runs first, so that it is seen what it finds by itself; then the unit tests.
"""

from __future__ import annotations

import argparse
import sys

from tests.mutation.mutants import Mutant, survivors

_CHARGING = "shared/admission/charging.py"
_CHUNKS = "shared/admission/chunks.py"
_COUNTERS = "shared/admission/counters.py"
_LIMITER = "shared/admission/limiter.py"
_WINDOWS = "shared/admission/windows.py"

MUTANTS = [
    Mutant(
        "a late commit is not checked",
        _CHARGING,
        "if not all(place.counter.landed(now, committed) for place in places):",
        "if False:",
    ),
    Mutant(
        "the charge of a late commit is not taken back",
        _CHARGING,
        "misplaced = [place.charge for place in places if place.entry is not None]",
        "misplaced = []",
    ),
    Mutant(
        "the next bucket is not read",
        _WINDOWS,
        "return range(bucket - self.buckets, bucket + 2)",
        "return range(bucket - self.buckets, bucket + 1)",
    ),
    Mutant(
        "the oldest bucket is not read",
        _WINDOWS,
        "return range(bucket - self.buckets, bucket + 2)",
        "return range(bucket - self.buckets + 1, bucket + 2)",
    ),
    Mutant(
        "a bucket is thought to leave one too early",
        _WINDOWS,
        "return (bucket + self.buckets + 1) * self.width",
        "return (bucket + self.buckets) * self.width",
    ),
    Mutant(
        "buckets are as narrow as rounding down makes them",
        _WINDOWS,
        "return Window(length, buckets, -(-length // buckets))",
        "return Window(length, buckets, length // (buckets + 1))",
    ),
    Mutant(
        "buckets are removed while they count",
        _WINDOWS,
        "return range(self.epoch_start(self.epoch(bucket)), bucket - self.buckets - 1)",
        "return range(self.epoch_start(self.epoch(bucket)), bucket - self.buckets + 2)",
    ),
    Mutant(
        "the epoch before is not read",
        _WINDOWS,
        "return range(bucket - self.buckets, bucket + 2)",
        "return range(max(bucket - self.buckets, self.epoch_start(self.epoch(bucket))), bucket + 2)",
    ),
    Mutant(
        "an epoch's counts are used again by the next but one",
        _WINDOWS,
        'return f"{self.seconds}.{self.buckets}-{epoch}"',
        'return f"{self.seconds}.{self.buckets}-{epoch % 2}"',
    ),
    Mutant(
        "days are those of UTC",
        _WINDOWS,
        "return datetime.fromtimestamp(now // _SECOND, self.zone).toordinal()",
        "return datetime.fromtimestamp(now // _SECOND, UTC).toordinal()",
    ),
    Mutant(
        "leases are half as long",
        _COUNTERS,
        "return window_of(seconds, deadline_ms, LEASE_BUCKETS)",
        "return window_of(seconds // 2, deadline_ms, LEASE_BUCKETS)",
    ),
    Mutant(
        "the store's clock is not reckoned with",
        _CHARGING,
        "return self._clock.time_ns() + (self._offset or 0)",
        "return self._clock.time_ns()",
    ),
    Mutant(
        "a denial is not undone",
        _CHARGING,
        "changes.add(charge.path, charge.field, kept - charge.amount)",
        "pass",
    ),
    Mutant(
        "a denial is undone twice",
        _CHARGING,
        "changes.add(charge.path, charge.field, kept - charge.amount)",
        "changes.add(charge.path, charge.field, 2 * (kept - charge.amount))",
    ),
    Mutant(
        "a commit of which nothing is known is repeated",
        _CHARGING,
        "            except StoreContended:\n",
        "            except StoreError:\n",
    ),
    Mutant(
        "contention is not tried again",
        _CHARGING,
        "if attempt == _CONTENDED_ATTEMPTS:",
        "if True:",
    ),
    Mutant(
        "a charge is not told of where contention follows it",
        _CHARGING,
        "if attempt > 1 and isinstance(error, StoreContended):",
        "if False:",
    ),
    Mutant(
        "a request that came late takes another number",
        _CHARGING,
        "unnumbered = [asked for asked in waiting if asked.number is None]",
        "unnumbered = list(waiting)",
    ),
    Mutant(
        "all of a group get one number",
        _CHARGING,
        "asked.number = Number(first + offset, epoch)",
        "asked.number = Number(first, epoch)",
    ),
    Mutant(
        "a request of a group takes no room from the next",
        _CHARGING,
        "        place.room -= cost\n",
        "",
    ),
    Mutant(
        "a group's results go to the wrong members",
        _CHARGING,
        "admitted = [asked for asked in group if _admit(asked, places, now)]",
        "admitted = [asked for asked in group if _admit(asked, places, now)]\n"
        "        group[0].charged, group[-1].charged = group[-1].charged, group[0].charged\n"
        "        admitted = [asked for asked in group if asked.charged is not None]",
    ),
    Mutant(
        "what ends while a group waits is not corrected",
        _CHARGING,
        "                changes.merge(correction)\n",
        "                pass\n",
    ),
    Mutant(
        "what ends while a group waits is corrected with each of its commits",
        _CHARGING,
        "corrections.clear()",
        "pass",
    ),
    Mutant(
        "what ends while a group waits is not corrected where the store refuses a request",
        _LIMITER,
        "if len(requests) == 1 and not corrections:",
        "if len(requests) == 1:",
    ),
    Mutant(
        "the charge of a late commit is not taken back where contention follows it",
        _CHARGING,
        "                self._take_back(misplaced)\n                if attempt",
        "                if attempt",
    ),
    Mutant(
        "a fault of one in a group is everyone's",
        _LIMITER,
        "if len(requests) == 1 and not corrections:",
        "if True:",
    ),
    Mutant(
        "settled on the bucket of the end",
        _LIMITER,
        "changes.add(charge.path, charge.field, used - charge.amount)",
        "changes.add(charge.path, charge.field.rpartition('_')[0] + "
        "f'_{counter.rule.period.bucket(now) % 96}', used - charge.amount)",
    ),
    Mutant(
        "settled although the bucket has left its window",
        _CHARGING,
        "return now + self._safety < charge.leaves",
        "return True",
    ),
    Mutant(
        "settled twice",
        _LIMITER,
        "charged, kept.charged = kept.charged, []",
        "charged = kept.charged",
    ),
    Mutant(
        "never settled",
        _LIMITER,
        "            self._groups.submit(group, changes)",
        "            pass",
    ),
    Mutant(
        "a lease is never given back",
        _COUNTERS,
        '"concurrency": lambda _: 0',
        '"concurrency": lambda _: 1',
    ),
    Mutant(
        "a lease is given back twice",
        _COUNTERS,
        '"concurrency": lambda _: 0',
        '"concurrency": lambda _: -1',
    ),
    Mutant(
        "a hold is never released",
        _LIMITER,
        "                changes.add(charge.path, charge.field, -charge.amount)",
        "                pass",
    ),
    Mutant(
        "what a call has cost is not charged",
        _LIMITER,
        "counter.spend(at, used, changes)",
        "pass",
    ),
    Mutant(
        "what a call has cost is charged to when it began",
        _LIMITER,
        "at = each.at if isinstance(counter.rule.period, Day) else self._charging.latest()",
        "at = each.at",
    ),
    Mutant(
        "what a call of yesterday has cost is charged to today",
        _LIMITER,
        "at = each.at if isinstance(counter.rule.period, Day) else self._charging.latest()",
        "at = self._charging.latest()",
    ),
    Mutant(
        "a chunk is spent after its bucket",
        _CHUNKS,
        "self._bucket, self._cell, self._balance = bucket, None, 0",
        "self._bucket = bucket",
    ),
    Mutant(
        "a chunk is spent twice",
        _CHUNKS,
        "            self._balance -= amount\n",
        "",
    ),
    Mutant(
        "what is left of a chunk is not given back",
        _CHUNKS,
        "            self._owe(self._cell, self._balance)\n",
        "            pass\n",
    ),
    Mutant(
        "a chunk comes back once more than it was taken",
        _CHUNKS,
        "owed, self._owed = self._owed, {}",
        "owed = self._owed",
    ),
    Mutant(
        "a purse is not given back what nothing came of",
        _CHARGING,
        "if place.entry is None and place.purse is not None:",
        "if False:",
    ),
    Mutant(
        "a denied request keeps what the purse gave",
        _CHARGING,
        "if purse is not None and place.needed > used:",
        "if False:",
    ),
    Mutant(
        "all that is free is taken as a chunk",
        _CHUNKS,
        "SHARE = 8",
        "SHARE = 1",
    ),
    Mutant(
        "a denial is repeated for a minute",
        "shared/admission/denials.py",
        "LONGEST = _SECOND",
        "LONGEST = 60 * _SECOND",
    ),
    Mutant(
        "a denial is repeated for requests that fit",
        "shared/admission/denials.py",
        "if denial is not None and cost > denial.free and",
        "if denial is not None and",
    ),
    Mutant(
        "a limit in memory is not this process's share",
        _LIMITER,
        "max(1, int(limit.amount * policy.local_share))",
        "limit.amount",
    ),
]

_SUITES = [
    ["tests/property/test_admission_machine.py"],
    [
        "tests/unit/test_limiter.py",
        "tests/unit/test_limit_kinds.py",
        "tests/unit/test_group_commit.py",
        "tests/unit/test_corrections.py",
        "tests/property/test_admission_documents.py",
    ],
]


def main() -> int:
    """Plant the faults whose names hold ``--only``; 1 where one survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the names of the faults to plant")
    parser.add_argument("--seed", default="0", help="of the property tests")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if arguments.only in mutant.name]
    suites = [[*suite, f"--hypothesis-seed={arguments.seed}"] for suite in _SUITES]
    missed = survivors(mutants, suites, {"WARDGATE_EXAMPLES": "150"})
    print(f"{len(mutants) - len(missed)} of {len(mutants)} found")
    for name in missed:
        print(f"survived: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
