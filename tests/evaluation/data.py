"""Labelled prompts: a folder of JSONL files, one for each source, as the evaluation and the training read them.

Each line is ``{"text", "label", "kind", "source", "licence", "lang"}``, label 1 for an attack. What a source is
for the tables is told by the kind that most of its rows have.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

Group = Literal["attack", "planted", "user", "hard", "document"]
"""Attacks that users write, attacks planted in what is fetched, and harmless text of three kinds."""

FOLDS = (
    (
        *("verazuo_itw", "pyrit_templates", "trustai_in-the-wild", "gptfuzzer_seeds", "self_reminder", "giskard"),
        *("jackhhao_jailbreak", "satml-ctf-2024", "awesome_prompts", "humaneval"),
    ),
    ("deepset_train", "rasbt_instr", "repo_snippets"),
    ("neuralchemy", "clinc150"),
    ("s_labs", "gsm8k", "self_instruct"),
    ("yanismiraoui_multi", "arena_hard", "mt_vicuna_bench"),
    ("bastioncorpus", "prompt_armor_benign", "docs_litellm"),
    ("llmail-inject", "gdm_emails", "templated_hard_benign"),
    ("agent_injection_bench", "cse_frr", "cse_frr_multi", "cse_instruct", "docs_python"),
)
"""Sources that are left out together: every one that has attacks with none that is not known to share texts with it,
and harmless ones beside it, those of one kind in one fold."""

THIRDS = (
    (
        *("verazuo_itw", "trustai_in-the-wild", "jackhhao_jailbreak", "self_reminder", "gptfuzzer_seeds"),
        *("pyrit_templates", "awesome_prompts", "humaneval", "cse_instruct", "rasbt_instr", "repo_snippets"),
    ),
    (
        *("s_labs", "bastioncorpus", "llmail-inject", "agent_injection_bench", "giskard", "mt_vicuna_bench", "gsm8k"),
        *("templated_hard_benign", "prompt_armor_benign", "docs_litellm", "clinc150"),
    ),
    (
        *("neuralchemy", "satml-ctf-2024", "yanismiraoui_multi", "deepset_train", "arena_hard", "self_instruct"),
        *("docs_python", "gdm_emails", "cse_frr", "cse_frr_multi"),
    ),
)
"""The same for the second stage, whose training takes long: jailbreaks from the open web and their like; short attacks
and planted ones; collections that quote each other, and other languages."""

MISLABELLED = frozenset({"jackhhao_jailbreak"})
"""Sources that nothing is learnt from: most rows that this one calls attacks are reading tasks and roles to play."""


class Row(msgspec.Struct, frozen=True):
    """One labelled text."""

    text: str
    label: Literal[0, 1]
    kind: str = ""
    licence: str = ""
    lang: str = ""
    source: str = ""


class Source(msgspec.Struct, frozen=True, dict=True):
    """The rows of one file."""

    name: str
    rows: tuple[Row, ...]

    def sample(self, most: int, seed: int = 1) -> Source:
        """The source with at most so many rows of each label, chosen by chance where there are more."""
        chance = random.Random(f"{self.name} {seed}")
        kept: list[Row] = []
        for label in (0, 1):
            rows = [row for row in self.rows if row.label == label]
            kept += chance.sample(rows, most) if len(rows) > most else rows
        return Source(self.name, tuple(kept))

    @cached_property
    def group(self) -> Group:
        """What its rows are, or those of its attacks where it has any."""
        attacks = Counter(row.kind for row in self.rows if row.label)
        if attacks:
            planted = sum(count for kind, count in attacks.items() if kind.startswith("indirect"))
            return "planted" if 2 * planted > attacks.total() else "attack"
        kind = Counter(row.kind for row in self.rows).most_common(1)[0][0]
        if kind.startswith("hard"):
            return "hard"
        return "document" if kind.startswith(("benign_doc", "benign_email", "benign_tool")) else "user"

    def group_of(self, row: Row) -> Group:
        """What one of its rows is: harmless rows beside attacks are users' prompts."""
        return self.group if row.label or self.group not in ("attack", "planted") else "user"

    @cached_property
    def third(self) -> int:
        """In which of the three groups it is left out of the second stage's training; -1: it is always learnt from."""
        return next((index for index, names in enumerate(THIRDS) if self.name in names), -1)

    @cached_property
    def fold(self) -> int:
        """Which fold it is left out in; sources that no fold names are spread over all, by their names."""
        for index, names in enumerate(FOLDS):
            if self.name in names:
                return index
        return sum(self.name.encode()) % len(FOLDS)


def read_sources(folder: Path) -> tuple[Source, ...]:
    """Every source of a folder, by name.

    Raises:
        ValueError: There are none, or a line is not a labelled text; the message names it.
    """
    sources = tuple(Source(file.stem, tuple(_rows(file))) for file in sorted(folder.glob("*.jsonl")))
    if not any(source.rows for source in sources):
        raise ValueError(f"{folder} holds no labelled prompts: give a folder of JSONL files, one for each source")
    return sources


def _rows(file: Path) -> Sequence[Row]:
    decoder = msgspec.json.Decoder(Row)
    rows = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            rows.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise ValueError(f"{file}, line {number}: {error}") from error
    return rows
