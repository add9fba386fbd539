"""Personal data (LLM06): addresses, numbers of telephones, cards, accounts and national registers, in both directions.

What has a checksum is found by it; what has a weak one or none needs words before it that say what it is.
People's names are not found: no rule tells them from other words with certainty.
"""

from __future__ import annotations

import re2  # type: ignore[import-untyped]  # ships no types

from shared.guards import pii_checks as check
from shared.guards.port import growing
from shared.guards.sensitive import CONTEXT, END, SensitiveGuard, SensitiveRule, visible_run
from shared.policy.types import PiiRule

MOST = 350
"""Characters of the longest e-mail address (RFC 5321: 64, ``@``, 255) and then some."""

MOST_CANDIDATES = 3000
"""Of one rule in one prompt: more than a table of 32 kB holds that lists one card or account a line."""

_GROUPED = 64
"""Characters of the longest number that is written in groups: a telephone's 15 digits with what stands between."""

_NOT_IN_NUMBER = "(?:^|[^0-9A-Za-z.,+-])"

_OPEN_GROUPS = re2.compile(r"(?:[!-~]*[0-9][0-9A-Z().+/ -]*|[A-Z]{2} [0-9A-Z ]*)$")
"""What ends a text and may go on as a number in groups."""

_PHONE_WORDS = (
    r"\b(?:tel|phone|telephone|telefon|telefone|tel[eé]fono|telefono|t[eé]l[eé]phone|t[eé]l|mobile|mobil|m[oó]vil|"
    r"portable|cell|cellulare|celular|handy|call|fax|whatsapp|sms)\b"
)


def _words(*words: str) -> str:
    return rf"\b(?:{'|'.join(words)})(?:$|[^A-Za-z])"


def _id(
    kind: str,
    pattern: str,
    module: str,
    *examples: str,
    words: str | None = None,
    score: float = 0.95,
    passes: tuple[str, ...] = (),
    name: str = "",
) -> SensitiveRule:
    """A rule for a number of a register, checked by a module of python-stdnum."""
    written = f"{_NOT_IN_NUMBER}((?-i:{pattern})){END}"
    rule_id = f"pii.{kind}" + (f".{name}" if name else "")
    return SensitiveRule(
        rule_id, kind, written, score, check.by(module), words=words, cost=1, matches=examples, passes=passes
    )


_NATIONAL = (
    _id(
        "us_ssn",
        r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}",
        "us.ssn",
        "My SSN is 536-90-4399",
        "social security number: 536904399",
        words=_words("ssn", "social security", "social"),
        passes=("part 536-90-4399", "SSN 000-12-3456"),
    ),
    _id(
        "de_tax_id",
        r"[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}",
        "de.idnr",
        "Steuer-ID: 36 574 261 809",
        "IdNr 36574261809",
        words=_words(
            "steuer", "steuer-?id", "steueridentifikationsnummer", "steuernummer", "idnr", "id-nr", "tin", "tax id"
        ),
        passes=("order 36574261809", "Steuer-ID 36574261808"),
    ),
    _id(
        "fr_nir",
        r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        "fr.nir",
        "NIR 2 95 10 99 126 111 93",
        "295109912611193",
        passes=("295109912611199",),
    ),
    _id("es_dni", r"[0-9]{8}-?[A-Z]", "es.dni", "DNI 54362315K", "54362315-K", passes=("54362315Z",)),
    _id("es_dni", r"[XYZ]-?[0-9]{7}-?[A-Z]", "es.nie", "NIE X-2482300W", passes=("X2482300A",), name="nie"),
    _id(
        "it_codice_fiscale",
        r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]",
        "it.codicefiscale",
        "CF: RCCMNL83S18D969H",
        passes=("RCCMNL83S18D969A",),
    ),
    _id(
        "uk_nhs",
        r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}",
        "gb.nhs",
        "NHS number 943 476 5870",
        words=_words("nhs"),
        passes=("call 943 476 5870", "NHS 943 476 5871"),
    ),
    _id(
        "nl_bsn",
        r"[0-9]{9}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}",
        "nl.bsn",
        "BSN 111222333",
        words=_words("bsn", "burgerservicenummer", "sofinummer"),
        passes=("111222333", "BSN 111252333"),
    ),
    _id(
        "pl_pesel",
        r"[0-9]{11}",
        "pl.pesel",
        "PESEL: 44051401359",
        words=_words("pesel"),
        passes=("44051401359", "PESEL 44051401358"),
    ),
    _id(
        "in_aadhaar",
        r"[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}",
        "in_.aadhaar",
        "Aadhaar 2341 2341 2346",
        words=_words("aadhaar", "aadhar", "uidai", "uid"),
        passes=("2341 2341 2346", "Aadhaar 2341 2341 2347"),
    ),
    _id("br_cpf", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "br.cpf", "390.533.447-05", passes=("390.533.447-06",)),
    _id(
        "br_cpf",
        r"[0-9]{11}",
        "br.cpf",
        "CPF 39053344705",
        words=_words("cpf"),
        passes=("39053344705",),
        name="plain",
    ),
    _id(
        "ch_ahv",
        r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}",
        "ch.ssn",
        "AHV 756.9217.0769.85",
        passes=("756.9217.0769.84",),
    ),
    _id(
        "be_national_number",
        r"[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}[-. ]?[0-9]{3}[-. ]?[0-9]{2}",
        "be.nn",
        "rijksregisternummer 85.07.30-033.28",
        words=_words(
            "rijksregister", "rijksregisternummer", "registre national", "national number", "nrn", "insz", "niss"
        ),
        passes=("85.07.30-033.28",),
    ),
    _id(
        "ca_sin",
        r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}",
        "ca.sin",
        "SIN 123-456-782",
        words=_words("sin", "social insurance", "nas"),
        passes=("123-456-782", "SIN 999-999-999"),
    ),
    _id(
        "mx_curp",
        r"[A-Z]{4}[0-9]{6}[HM][A-Z]{5}[0-9A-Z][0-9]",
        "mx.curp",
        "CURP BOXW310820HNERXN09",
        passes=("BOXW310820HNERXN08",),
    ),
    SensitiveRule(
        "pii.uk_nino",
        "uk_nino",
        f"{_NOT_IN_NUMBER}((?-i:[A-Z]{{2}} ?[0-9]{{2}} ?[0-9]{{2}} ?[0-9]{{2}} ?[A-D])){END}",
        0.9,
        sift=check.nino,
        words=_words("national insurance", "nino", "ni number", "ni no"),
        matches=("NI number: AB 12 34 56 C", "National Insurance AB123456C"),
        passes=("AB123456C", "NINO BG123456C"),
    ),
)

RULES: tuple[SensitiveRule, ...] = (
    SensitiveRule(
        "pii.email",
        "email",
        r"(?:^|[^A-Za-z0-9._%+'-])([A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24})" + END,
        0.95,
        sift=check.email,
        matches=("Write to ann.lee+x@mail.example.co.uk.", "<bob@corp.com>"),
        passes=("git@github.com:o/r.git", "image@2x.png", "a@b", "@example.com", "x..y@corp.com"),
    ),
    SensitiveRule(
        "pii.phone.international",
        "phone",
        r"(?:^|[^0-9A-Za-z])(\+[1-9](?:[ .()/-]{0,3}[0-9]){6,14})(?:$|[^0-9])",
        0.95,
        check.international_phone,
        cost=12,
        matches=("+49 (0)30 901820", "Ring +442083661177 at 9", "+1 (415) 555-2671", "+33 1 42 68 53 00 12"),
        passes=("1+1234567", "+999 1234567", "a total of +12 345"),
    ),
    SensitiveRule(
        "pii.phone.north_american",
        "phone",
        _NOT_IN_NUMBER
        + r"(\([2-9][0-9]{2}\) ?[0-9]{3}[-. ][0-9]{4}|[2-9][0-9]{2}[-.][0-9]{3}[-.][0-9]{4})"
        + "(?:$|[^0-9A-Za-z-])",
        0.85,
        matches=("(415) 555-2671", "415-555-2671.", "(555) 123-4567"),
        passes=("115-555-2671", "1.415.555.2671.99", "2024-11-27"),
    ),
    SensitiveRule(
        "pii.phone.national",
        "phone",
        _NOT_IN_NUMBER + r"(\(?[0-9](?:[ .()/-]{0,3}[0-9]){7,13})(?:$|[^0-9])",
        0.8,
        check.national_phone,
        sift=check.not_dotted,
        words=_PHONE_WORDS,
        cost=30,
        matches=("Tel.: 030 901820", "call me on 020 8366 1177", "Handy 0151 23456789"),
        passes=("030 901820", "call http://169.254.169.254", "phone model 1234567 2345678, Nr. 12-34"),
    ),
    SensitiveRule(
        "pii.card",
        "card",
        _NOT_IN_NUMBER
        + r"([2-6][0-9]{12,18}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})"
        + END,
        0.95,
        sift=check.card,
        matches=("4111 1111 1111 1111 12/27", "5500005555555559", "3782 822463 10005", "card:4012-8888-8888-1881"),
        passes=(
            "4111 1111 1111 1112",
            "0000000000000000",
            "1234567812345670",
            "4.4111111111111111",
            'eventId="456712345678901234"',
        ),
    ),
    SensitiveRule(
        "pii.iban",
        "iban",
        r"(?:^|[^A-Za-z0-9])((?-i:[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?))" + END,
        0.98,
        check.by("iban"),
        sift=check.iban,
        cost=2,
        matches=("DE89 3704 0044 0532 0130 00 BIC COBADEFF", "IBAN GB82WEST12345698765432.", "NL91 ABNA 0417 1643 00"),
        passes=("DE89 3704 0044 0532 0130 01", "XX12 3456 7890 1234"),
    ),
    SensitiveRule(
        "pii.ip_address.v4",
        "ip_address",
        r"(?:^|[^0-9A-Za-z.])([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:$|[^0-9A-Za-z.]|\.(?:$|[^0-9A-Za-z]))",
        0.7,
        check.ip_address,
        sift=check.not_private,
        cost=1,
        matches=("from 8.8.8.8.", "81.2.69.142:443"),
        passes=("192.168.0.1", "version v1.2.3.4", "1.2.3.4.5", "999.1.1.1"),
    ),
    SensitiveRule(
        "pii.ip_address.v6",
        "ip_address",
        r"(?:^|[^0-9A-Za-z.:])([23][0-9a-f]{3}(?::[0-9a-f]{0,4}){2,7})(?:$|[^0-9A-Za-z:])",
        0.85,
        check.ip_address,
        cost=1,
        matches=("2a00:1450:4001:81b::200e", "[2606:4700:4700::1111]"),
        passes=("fe80::1", "2024:11:27", "12:30:45"),
    ),
    *_NATIONAL,
)


def pii_guard(policy: PiiRule) -> SensitiveGuard:
    """The guard against personal data."""
    reach = growing(tail, context=CONTEXT, most=MOST)
    return SensitiveGuard("pii", RULES, policy, most=MOST, candidates=MOST_CANDIDATES, reach=reach)


def tail(text: str) -> int:
    """Where personal data may begin that has not come whole: with the word, or the groups of a number, at the end."""
    run = visible_run(text, MOST)
    base = max(len(text) - _GROUPED, 0)
    end = text[base:]
    groups = _OPEN_GROUPS.search(end) if end.isascii() else _OPEN_GROUPS.search(_ascii(end))
    return run if groups is None else min(run, base + groups.start())


def _ascii(text: str) -> str:
    """The text with one character in place of each that is not ASCII, so that places stay."""
    return text.encode("ascii", "replace").decode().replace("?", "\n")
