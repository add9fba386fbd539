"""Looks through every file that git knows for credentials.

The detectors are detect-secrets' own of known forms, such as private keys and tokens of GitHub or Slack, and those of
secret_detectors.py. Its guesses by entropy and by names such as "password" are left out: in a security product's
tests they find little else. So are the files with the samples that the guard of secrets is made of and tried with.
Elsewhere a made-up credential that has to have the true form is marked in its line: ``pragma: allowlist secret``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GUESSES = ("Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector", "IPPublicDetector")


SAMPLES = re.compile(r"shared/guards/secret_rules\.py|docs/guards/secrets\.md|tests/[^:]*(?:secret|sensitive)[^/]*\.py")


def main() -> int:
    scan = Path(sys.executable).with_name("detect-secrets")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in files.split("\0") if name and not SAMPLES.fullmatch(name)]
    disabled = [argument for name in GUESSES for argument in ("--disable-plugin", name)]
    command = [sys.executable, scan, "scan", "--no-verify", "--plugin", ".ci/secret_detectors.py", *disabled, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"detect-secrets did not run:\n{done.stderr[-2000:]}", file=sys.stderr)
        return 2
    found = [(path, each) for path, all_ in json.loads(done.stdout)["results"].items() for each in all_]
    for path, each in found:  # the place and the kind, never the text
        print(f"{path}:{each['line_number']}: {each['type']}", file=sys.stderr)
    print(f"scan-secrets: {len(names)} files, {len(found)} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
