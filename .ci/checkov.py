"""Runs checkov over terraform/, and counts what it is told to skip.

Every skip stands in the resource that it is for, with its reason; this refuses any without one, and more than ten.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST_SKIPS = 10
ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = (
    *("--directory", "terraform", "--framework", "terraform"),
    # Nothing of ours leaves this machine, and nothing is fetched.
    *("--skip-download", "--download-external-modules", "false"),
    *("--output", "json", "--compact"),
)


def main() -> int:
    checkov = Path(sys.executable).with_name("checkov")
    done = subprocess.run([sys.executable, checkov, *ARGUMENTS], cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        results = json.loads(done.stdout)["results"]
    except (json.JSONDecodeError, KeyError, TypeError):
        print(f"checkov did not run:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}", file=sys.stderr)
        return 2
    for check in results["failed_checks"]:
        where = f"terraform{check['file_path']}:{check['file_line_range'][0]}"
        print(f"{where}: {check['check_id']} {check['check_name']} ({check['resource']})", file=sys.stderr)
    # Modules are called more than once: a skip is a line in a file.
    skips = {
        (check["file_path"], check["check_id"], check["file_line_range"][0]): check["check_result"]["suppress_comment"]
        for check in results["skipped_checks"]
    }
    for (path, check_id, line), reason in sorted(skips.items()):
        print(f"skipped: {check_id} at terraform{path}:{line}: {reason}")
    unjustified = [place for place, reason in skips.items() if len(reason or "") < 20]
    for path, check_id, line in unjustified:
        print(f"terraform{path}:{line}: {check_id} is skipped without a reason", file=sys.stderr)
    if len(skips) > MOST_SKIPS:
        print(f"{len(skips)} checks are skipped; {MOST_SKIPS} at most may be", file=sys.stderr)
    counts = (len(results["passed_checks"]), len(results["failed_checks"]), len(skips))
    print("checkov: {} passed, {} failed, {} skipped".format(*counts))
    return 1 if results["failed_checks"] or unjustified or len(skips) > MOST_SKIPS else 0


if __name__ == "__main__":
    sys.exit(main())
