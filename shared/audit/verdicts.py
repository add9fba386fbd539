"""What a verification says: three verdicts apart, each with what is wrong, what is excused and what is pending."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SHOWN = 1000
"""Findings of each kind of a verdict that are kept; how many there were is always known."""

FaultKind = Literal[
    # integrity
    "unreadable",
    "altered",
    "misplaced",
    "duplicate",
    "broken_link",
    "rewritten",
    # completeness
    "gap",
    "lost",
    "lost_tail",
    "lost_chain",
    "unended",
    "unrecorded",
    "beyond",
    # anchoring
    "unsealed",
    "sealed_twice",
    "checkpoint_missing",
    "checkpoint_malformed",
    "checkpoint_unlinked",
    "checkpoint_unsigned",
    "checkpoint_root",
]

MEANINGS: dict[FaultKind, str] = {
    "unreadable": "an object that is no record",
    "altered": "a record whose fingerprint is not that of its content",
    "misplaced": "a record under another name than its own",
    "duplicate": "a second record at the same place of a chain",
    "broken_link": "a record that does not go on from the one before",
    "rewritten": "a record that is not the one that was sealed or registered",
    "gap": "numbers of a chain that are missing",
    "lost": "sealed events that are missing",
    "lost_tail": "the end of a chain, which its writer has registered, is missing",
    "lost_chain": "a whole chain, which its writer has registered, is missing",
    "unended": "answers that began to stream and never ended",
    "unrecorded": "admissions that were counted and have no event",
    "beyond": "an admission number higher than the last that was given out",
    "unsealed": "events that no checkpoint covers; `wardgate audit seal` covers them",
    "sealed_twice": "events that two checkpoints cover",
    "checkpoint_missing": "a checkpoint that is missing",
    "checkpoint_malformed": "an object that is no checkpoint",
    "checkpoint_unlinked": "a checkpoint that does not go on from the one before",
    "checkpoint_unsigned": "a checkpoint that no trusted key has signed",
    "checkpoint_root": "a checkpoint whose sums are not those of its manifest",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    kind: FaultKind
    where: str
    """Objects, numbers, keys; never text of a record's own."""

    chain_uid: str = ""
    why: str = ""
    """What excuses it, or what it waits for."""

    def __str__(self) -> str:
        chain = f" (chain {self.chain_uid})" if self.chain_uid else ""
        return f"{self.kind}: {self.where}{chain}" + (f" [{self.why}]" if self.why else "")


@dataclass(slots=True)
class Findings:
    """The first of many findings, and how many there are."""

    shown: list[Finding] = field(default_factory=list)
    count: int = 0

    def add(self, finding: Finding) -> None:
        """Note one."""
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(finding)


@dataclass(slots=True)
class Verdict:
    """The answer to one question."""

    faults: Findings = field(default_factory=Findings)
    excused: Findings = field(default_factory=Findings)
    """Missing, but a stated limit allows it: a process was killed, or the limits' store gave no answer."""

    pending: Findings = field(default_factory=Findings)
    """Too young to judge."""

    def fault(self, kind: FaultKind, where: str, chain_uid: str = "") -> None:
        """Note a fault."""
        self.faults.add(Finding(kind, where, chain_uid))

    def excuse(self, kind: FaultKind, where: str, why: str, chain_uid: str = "") -> None:
        """Note what a stated limit allows."""
        self.excused.add(Finding(kind, where, chain_uid, why))

    def wait(self, kind: FaultKind, where: str, chain_uid: str = "") -> None:
        """Note what is too young to judge."""
        self.pending.add(Finding(kind, where, chain_uid))

    def judge(self, kind: FaultKind, where: str, chain_uid: str = "", *, young: bool) -> None:
        """Note a fault, or that it is too young to be one."""
        (self.wait if young else self.fault)(kind, where, chain_uid)

    @property
    def sound(self) -> bool:
        """Whether there is no fault."""
        return not self.faults.count


@dataclass(slots=True)
class Verification:
    """What a check of the trail found."""

    events: int = 0
    chains: int = 0
    open_chains: int = 0
    """Without a close event: still being written, or ended by a crash."""

    checkpoints: int = 0
    sealed: int = 0
    epochs: int = 0
    """Admission numberings that were checked, one for each key and epoch."""

    integrity: Verdict = field(default_factory=Verdict)
    """Nothing was altered, reordered or forged."""

    completeness: Verdict = field(default_factory=Verdict)
    """Nothing is missing."""

    anchoring: Verdict = field(default_factory=Verdict)
    """Signed checkpoints cover it all."""

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The three by name."""
        return {"integrity": self.integrity, "completeness": self.completeness, "anchoring": self.anchoring}

    @property
    def sound(self) -> bool:
        """Whether there is no fault at all."""
        return all(verdict.sound for verdict in self.verdicts.values())


def numbers(first: int, last: int) -> str:
    """A stretch of numbers in words."""
    return f"seq {first}" if first == last else f"seq {first} to {last}"
