"""Writes ``confusables.py`` from Unicode's data: python -m shared.text.make_confusables confusables.json

The data is the file of that name in the package ``confusable-homoglyphs`` (MIT), which Unicode's own
``confusables.txt`` (UTS #39, Unicode licence) was made into. Loading it takes 900 kB and 30 ms; what guards
need of it is 3 kB: the characters that look like one letter or digit of ASCII and do not become one by NFKC.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

_TEMPLATE = '''"""What looks like a letter or digit of ASCII (UTS #39), written by ``make_confusables.py``."""

LOOKALIKES = (
{lookalikes}
)
ASCII = (
{ascii}
)
"""For each of ``LOOKALIKES`` what it looks like."""
'''
_LINE = 64


def lookalikes(data: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Each lookalike with its ASCII letter or digit."""
    found = {}
    for character, others in data.items():
        if len(character) != 1 or character.isascii() or unicodedata.normalize("NFKC", character) != character:
            continue
        for other in others:
            letter = other["c"]
            if len(letter) == 1 and letter.isascii() and letter.isalnum():
                # Unicode's data takes capital I and small L for one letter; readers of words do not.
                found[character] = "I" if letter == "l" and unicodedata.category(character) == "Lu" else letter
    return found


def main() -> None:
    """Write the table beside this file."""
    found = sorted(lookalikes(json.loads(Path(sys.argv[1]).read_text())).items())
    text = _TEMPLATE.format(
        lookalikes=_lines("".join(character for character, _ in found)), ascii=_lines("".join(a for _, a in found))
    )
    Path(__file__).with_name("confusables.py").write_text(text, encoding="ascii")


def _lines(text: str) -> str:
    return "\n".join(f"    {text[at : at + _LINE]!a}".replace("'", '"') for at in range(0, len(text), _LINE))


if __name__ == "__main__":
    main()
