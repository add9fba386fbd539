"""Looks through every file that git knows for credentials.

The detectors are detect-secrets' own of known forms, such as private keys and tokens of GitHub or Slack, and those of
secret_detectors.py: what this project could lose. Its guesses by entropy and by names such as "password" are left
out, since in a security product they find little else. Tests, and what the guard of secrets is made of, hold samples of
every form: there the detectors of our own forms look alone. A made-up credential that must have one of those is marked
in its line: ``pragma: allowlist secret``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCAN = Path(sys.executable).with_name("detect-secrets")
GUESSES = frozenset({"Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector", "IPPublicDetector"})
SAMPLES = re.compile(r"tests/.*|shared/guards/secret_rules\.py|docs/guards/secrets\.md")


class ScanFailed(Exception):
    """detect-secrets did not run; the message is what it said."""


def detect_secrets(*arguments: str) -> str:
    command = [sys.executable, SCAN, "scan", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ScanFailed(done.stderr[-2000:])
    return done.stdout


def find(names: list[str], without: frozenset[str]) -> list[str]:
    """Place and kind of each that is found, never the text."""
    disabled = [argument for name in sorted(without) for argument in ("--disable-plugin", name)]
    found = json.loads(detect_secrets("--no-verify", "--plugin", ".ci/secret_detectors.py", *disabled, *names))
    return [f"{path}:{each['line_number']}: {each['type']}" for path, all_ in found["results"].items() for each in all_]


def main() -> int:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in files.split("\0") if name]
    samples = [name for name in names if SAMPLES.fullmatch(name)]
    try:
        known = frozenset(detect_secrets("--list-all-plugins").split())
        found = find(sorted({*names} - {*samples}), GUESSES) + find(samples, known)
    except ScanFailed as error:
        print(f"detect-secrets did not run:\n{error}", file=sys.stderr)
        return 2
    for place in found:
        print(place, file=sys.stderr)
    print(f"scan-secrets: {len(names)} files, {len(found)} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
