"""``make bench``: what guard costs, as ratios and differences measured within one run.

Absolute figures tell of the machine; what can be compared between machines is each row's comparison.
All functions run as in the local stack, one gunicorn worker each, with everything of the default policy
switched on; only the limit's amount is raised, so that it does not bite.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import yaml

from shared.policy.load import DEFAULT_POLICY
from shared.policy.types import Guards
from tests.benchmarks.measures import EVENTS, FULL, PACE_MS, PACED_MODEL, QUICK, Effort, Measures
from tests.benchmarks.report import Row, table
from tests.support.stack import LocalStack


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. Exit code 0, also where a target is not met: a figure is no test."""
    options = _parser().parse_args(arguments)
    python, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    load = os.getloadavg()[0]
    rows = measure(QUICK if options.quick else FULL, options.guards)
    if options.json:
        machine = {"python": python, "system": system, "processors": os.cpu_count(), "load_before": load}
        print(json.dumps({"machine": machine, "rows": [row.as_json() for row in rows]}, indent=2))
    else:
        print(f"Python {python} on {system}, {os.cpu_count()} processors, load {load:.1f} before the run")
        print(f"\n{table(rows)}\n")
        print("'model' is the model function, called past guard; 'hello' the least that a function can be,")
        print("and 'forward' the least that a gateway can be: it passes everything on and looks at nothing.")
    return 0


def measure(effort: Effort, guards: Sequence[str] | None = None) -> list[Row]:
    """Start a stack of its own in a temporary home, measure, and end it. Progress goes to standard error.

    Args:
        effort: How much is measured.
        guards: Those that stay on; None: all of the default policy.
    """
    # Python keeps what it has compiled, as it does on most machines: a start should not be timed with a compiler.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows = []
    with tempfile.TemporaryDirectory(prefix="wardgate-bench-") as folder, _paced_upstream() as upstream:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(_policy(upstream, guards))
        with LocalStack(Path(folder) / "home", policy=policy) as stack:
            for row in Measures(stack, upstream, effort).rows():
                print(f"measured: {row.name}", file=sys.stderr)
                rows.append(row)
    return rows


def _policy(upstream: str, guards: Sequence[str] | None) -> str:
    """The default policy, with one more model, a limit that never bites, and patience with a busy machine."""
    policy = yaml.safe_load(DEFAULT_POLICY.read_text())
    for limit in policy["limits"]:
        limit["amount"] = 1_000_000_000
    policy["admission"] = {"deadline_ms": 2500}  # the longest that leaves the limit as many buckets as by default
    policy["upstreams"]["paced"] = {"kind": "openai", "base_url": upstream}
    policy["models"][PACED_MODEL] = {"targets": [{"upstream": "paced", "model": "paced-1"}]}
    if guards is not None:
        rules = [rule.name for rule in msgspec.structs.fields(Guards) if hasattr(rule.type, "actions")]
        off = [name for name in rules if name not in guards]
        policy["guards"] = {**policy.get("guards", {}), **{name: {"mode": "off"} for name in off}}
    return yaml.safe_dump(policy)


@contextmanager
def _paced_upstream() -> Iterator[str]:
    """Run ``tests.benchmarks.upstream``; its base URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.upstream", str(EVENTS), str(PACE_MS)],
        stdin=subprocess.PIPE,  # closed on leaving, which ends the server
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less than half a minute; figures scatter more")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")
    parser.add_argument(
        "--guards", type=lambda text: text.split(","), metavar="NAMES", help="only these stay on, as injection,output"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
