"""``wardgate audit verify``, ``seal`` and ``keys``: whether the trail is whole, and who vouches for it."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from shared.audit.checkpoints import trusted
from shared.audit.sealer import Sealer
from shared.audit.verdicts import MEANINGS, Findings, Verdict, Verification
from shared.audit.verify import Scope, Verifier
from shared.cli.output import add_json_option, counted, need_home, print_json
from shared.cli.progress import Bar
from shared.clock import SystemClock, utc
from shared.errors import BadRequest, SecretNotFound
from shared.identity.ed25519 import jwks, read_jwks
from shared.settings import Settings, load_settings
from shared.stores.connect import connect_documents, connect_objects, connect_secrets, connect_signer

NOT_PROVEN = (
    "Not proven: that nobody who held a writer, its registry and the signing key at the same time lied before "
    "the first seal."
)

_QUESTIONS = {
    "integrity": "nothing was altered, reordered or forged",
    "completeness": "nothing is missing",
    "anchoring": "signed checkpoints cover it all",
}


def register(actions: Any) -> None:
    """Add the commands to the parser of ``wardgate audit``."""
    check = actions.add_parser("verify", help="check the whole trail: exit code 0 sound, 1 a fault")
    check.add_argument(
        "--public-key", metavar="FILE", type=Path, help="keys that may sign, as PEM or JWKS; default: the signer's own"
    )
    check.add_argument("--since", type=_day, metavar="DATE", help="only events from this day on (UTC)")
    check.add_argument(
        "--segments", action="store_true", help="read sealed events from their compacted copy, not from the archive"
    )
    check.add_argument(
        "--offline", action="store_true", help="ask no document store: what writers have registered is not compared"
    )
    add_json_option(check)
    check.set_defaults(run=_verify)

    seal = actions.add_parser("seal", help="put what is new under signed checkpoints, as audit_seal does")
    seal.add_argument("--since", type=_day, metavar="DATE", help="look for late events from this day on (UTC)")
    add_json_option(seal)
    seal.set_defaults(run=_seal)

    keys = actions.add_parser("keys", help="print the public keys that checkpoints are signed with, as JWKS")
    add_json_option(keys, always=True)
    keys.set_defaults(run=_keys)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give a date such as 2027-01-31") from None


def _verify(options: argparse.Namespace) -> int:
    needs = {"objects"} if options.offline else {"objects", "documents"}
    settings = load_settings(needs=needs if options.public_key else {*needs, "secrets", "signer"})
    need_home(settings, settings.objects)
    keys = _read_keys(options.public_key) if options.public_key else _own_keys(settings)
    documents = None if options.offline else connect_documents(settings.documents)
    bar = Bar("events read")
    objects = connect_objects(settings.objects)

    def progress(read: int, sealed: int) -> None:
        bar.show(read, read, sealed)

    verifier = Verifier(objects, trusted(keys), documents, progress=progress)
    found = verifier.verify(utc(SystemClock()), Scope(options.since, options.segments))
    bar.clear()
    if options.json:
        print_json(_as_json(found))
    else:
        _print(found)
    return 0 if found.sound else 1


def _seal(options: argparse.Namespace) -> int:
    settings = load_settings(needs={"objects", "documents", "secrets", "signer"})
    need_home(settings, settings.objects, settings.documents)
    documents = connect_documents(settings.documents)
    signer = connect_signer(settings.signer, connect_secrets(settings.secrets), documents)
    sealer = Sealer(connect_objects(settings.objects), documents, signer, SystemClock())
    events = 0
    written: list[int] = []
    refused = 0
    since = options.since
    while True:
        report = sealer.seal(since=since)
        since = None
        written += report.checkpoints
        events += report.events
        refused += report.refused
        if not report.more or report.outrun:
            break
    if options.json:
        print_json({"checkpoints": written, "events": events, "refused": refused, "outrun": report.outrun})
    else:
        print(f"{counted(events, 'event')} sealed in {counted(len(written), 'checkpoint')}.")
        if refused:
            print(f"Not sealed, as no record in its place: {counted(refused, 'object')}; see `audit verify`.")
        if report.outrun:
            print("Another sealer is at work; it does the rest.")
    return 0


def _keys(options: argparse.Namespace) -> int:
    settings = load_settings(needs={"secrets", "signer"})
    need_home(settings, settings.secrets)
    print_json(jwks(connect_signer(settings.signer, connect_secrets(settings.secrets)).public_keys()))
    return 0


def _own_keys(settings: Settings) -> list[bytes]:
    """The signer's public keys; none where nothing was ever signed."""
    try:
        return connect_signer(settings.signer, connect_secrets(settings.secrets)).public_keys()
    except SecretNotFound:
        return []


def _read_keys(file: Path) -> list[bytes]:
    """Ed25519 public keys of a file: a JSON Web Key Set, or PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from error
    try:
        if data.lstrip().startswith(b"{"):
            return read_jwks(data)
        end = b"-----END PUBLIC KEY-----"
        keys = [load_pem_public_key(block + end) for block in data.split(end)[:-1]]
    except ValueError as error:
        raise BadRequest(f"{file} holds neither a JSON Web Key Set nor public keys as PEM.") from error
    found = [key.public_bytes_raw() for key in keys if isinstance(key, Ed25519PublicKey)]
    if not found:
        raise BadRequest(f"{file} holds no Ed25519 public key.")
    return found


def _as_json(found: Verification) -> dict[str, Any]:
    return {
        "sound": found.sound,
        "events": found.events,
        "chains": found.chains,
        "open_chains": found.open_chains,
        "checkpoints": found.checkpoints,
        "sealed": found.sealed,
        "epochs": found.epochs,
        "verdicts": {name: _verdict_as_json(verdict) for name, verdict in found.verdicts.items()},
        "not_proven": NOT_PROVEN,
    }


def _verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    return {"sound": verdict.sound, **{state: _findings_as_json(found) for state, found in _states(verdict)}}


def _findings_as_json(findings: Findings) -> dict[str, Any]:
    shown = [
        {"kind": each.kind, "where": each.where, "chain_uid": each.chain_uid, "why": each.why}
        for each in findings.shown
    ]
    return {"count": findings.count, "shown": shown}


def _states(verdict: Verdict) -> tuple[tuple[str, Findings], ...]:
    return ("faults", verdict.faults), ("excused", verdict.excused), ("pending", verdict.pending)


def _print(found: Verification) -> None:
    print(
        f"{counted(found.events, 'event')} in {counted(found.chains, 'chain')} ({found.open_chains} without an end), "
        f"{found.sealed} of them under {counted(found.checkpoints, 'checkpoint')}; "
        f"{counted(found.epochs, 'numbering')} of admissions."
    )
    named = set()
    for name, verdict in found.verdicts.items():
        state = "sound" if verdict.sound else "FAULT"
        others = [_count(each.count, word) for word, each in _states(verdict) if each.count]
        print(f"\n{name:<13} {state:<6} {_QUESTIONS[name]}" + (f": {', '.join(others)}" if others else ""))
        for word, findings in _states(verdict):
            for each in findings.shown:
                named.add(each.kind)
                print(f"  {word.removesuffix('s'):<8} {_printable(str(each))}")
            if findings.count > len(findings.shown):
                print(f"  {word.removesuffix('s'):<8} … and {findings.count - len(findings.shown)} more")
    if named:
        print()
    for kind in sorted(named):
        print(f"{kind}: {MEANINGS[kind]}.")
    print(f"\n{NOT_PROVEN}")


def _count(count: int, state: str) -> str:
    return counted(count, "fault") if state == "faults" else f"{count} {state}"


def _printable(text: str) -> str:
    """Without what a terminal would obey: names of objects come from whoever tampers."""
    return "".join(each if each.isprintable() else "?" for each in text)
