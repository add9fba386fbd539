"""Looks for a text in files, also where it was encoded on its way there."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path


def spellings(text: str) -> dict[str, bytes]:
    """How an ASCII text may lie in a file, by the encoding's name."""
    data = text.encode("ascii")
    forms = {"clear": data, "reversed": data[::-1], "hex": data.hex().encode(), "HEX": data.hex().upper().encode()}
    forms["UTF-16"] = text.encode("utf-16-le")
    for shift in range(3):
        # Of a text in the middle of others, base64 shows all but the edges, in one of three ways. The
        # characters it is cut from hold no bits of anything else, and none of the two that differ in base64url.
        encoded = base64.b64encode(b"\0" * shift + data)
        inner = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
        forms[f"base64, {shift} behind"] = inner
        forms[f"base64url, {shift} behind"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return forms


def find_leaks(folder: Path, secrets: Iterable[str]) -> list[str]:
    """Every file under ``folder`` that holds one of ``secrets``, and how; the secrets are not repeated."""
    forms = [(name, form) for secret in secrets for name, form in spellings(secret).items()]
    leaks = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            continue  # renamed or checkpointed meanwhile
        leaks += [f"{file.relative_to(folder)}: {name}" for name, form in forms if form in data]
    return leaks
