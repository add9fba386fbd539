"""Faults of the Terraform configuration: run with ``make mutate-terraform``. What nothing notices is printed last.

Most are planted into the examples' plans (see ``terraform_plan``), some into the configuration itself
(``terraform_text``), which is planned anew for each.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter

from tests.mutation import terraform_text
from tests.mutation.terraform_plan import broken_rule, mutants, required_settings, schemas_of
from tests.support.terraform import initialise, run_tests, terraform

AIM = 0.95


def main() -> int:
    """Plant the faults; exit code 0: at least as many are found as is aimed at, 1: fewer, 2: it could not be tried."""
    parser = argparse.ArgumentParser(description="Break the Terraform configuration, one place at a time.")
    parser.add_argument("--texts", type=int, default=12, help="how many faults to plan anew (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="which of them (default: 0)")
    parser.add_argument("--only", default="", help="only faults whose description holds this text")
    options = parser.parse_args()
    survived = _plans(options.only) + _texts(options.only, options.texts, options.seed)
    total, missed = sum(count for count, _ in survived), [name for _, names in survived for name in names]
    share = 1 - len(missed) / total if total else 1.0
    print(f"\n{total} faults, {share:.1%} found; the aim is {AIM:.0%}")
    for name in missed:
        print(f"survived: {name}")
    return 0 if share >= AIM else 1


Survivors = list[tuple[int, list[str]]]


def _plans(only: str) -> Survivors:
    initialise()
    shown = terraform("test", "-json", "-verbose", "-no-color", "-filter=tests/examples.tftest.hcl").stdout
    schemas = next(schemas_of(line) for line in shown.splitlines() if '"provider_schemas":' in line)
    plans = [run.plan for run in run_tests("tests/examples.tftest.hcl") if run.plan is not None]
    if rule := broken_rule(plans):
        print(f"{rule} is broken without any fault", file=sys.stderr)
        raise SystemExit(2)
    by, missed, count = Counter[str](), [], 0
    for mutant in mutants(plans, required_settings(schemas)):
        if only in str(mutant):
            count += 1
            rule = broken_rule([mutant.applied(plan) for plan in plans])
            by[rule or "nobody"] += 1
            missed += [] if rule else [str(mutant)]
    for rule, found in by.most_common():
        print(f"{found:5} {rule}")
    return [(count, missed)]


def _texts(only: str, wanted: int, seed: int) -> Survivors:
    known = [mutant for mutant in terraform_text.mutants() if only in str(mutant)]
    chosen = random.Random(seed).sample(known, min(wanted, len(known)))
    missed = []
    for mutant, finder in terraform_text.try_all(chosen):
        print(f"{'found   ' if finder else 'SURVIVED'} {mutant}  ({finder})", flush=True)
        missed += [] if finder else [str(mutant)]
    return [(len(chosen), missed)]


if __name__ == "__main__":
    sys.exit(main())
