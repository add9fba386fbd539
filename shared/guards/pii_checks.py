"""Whether a candidate is what it looks like: checksums by python-stdnum, telephone numbers by phonenumbers.

Both libraries cost a cold start 15 ms and more, so each module of them is imported with its first candidate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from string import ascii_uppercase

_FILE_ENDINGS = frozenset(
    {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py", "md", "pdf", "html", "json", "xml", "service"}
)
"""What follows the last dot in ``image@2x.png`` and ``backup@daily.service``, which are no addresses."""

_DOCUMENTATION = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:", "2001:0db8:")
"""RFC 5737 and 3849."""

_PRIVATE = ("10.", "192.168.", "127.", "169.254.")

_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
"""Each digit doubled, as the sum of its own digits (ISO/IEC 7812-1, annex B)."""

_NUMBERS = str.maketrans({letter: str(number) for number, letter in enumerate(ascii_uppercase, 10)})
"""What letters count as in an IBAN (ISO 7064)."""

_SIZES = re.compile("[0-9]+(?=!)")
"""In the structure of a country's IBANs, such as ``8!n10!n``."""

_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "BR")
"""Whose way of writing a number without its country's code is known."""


def by(module: str) -> Callable[[str, int, int], int]:
    """A check by a module of python-stdnum, such as ``de.idnr``."""

    def check(text: str, start: int, end: int) -> int:
        return end if _is_valid(module, text[start:end]) else start

    return check


def card(text: str, start: int, end: int) -> int:
    """A payment card's number: an issuer's range (ISO/IEC 7812) and Luhn's digit."""
    digits = text[start:end].replace(" ", "").replace("-", "")
    return end if _is_issued(digits) and len(set(digits)) > 1 and _ends_as_luhn_says(digits) else start


def iban(text: str, start: int, end: int) -> int:
    """What has an IBAN's length for its country and the right check digits (ISO 7064, MOD 97-10); groups that follow
    it and are none of its own are left out."""
    length = _iban_length(text[start : start + 2])
    for at in _shorter(text, start, end):
        plain = text[start:at].replace(" ", "")
        if len(plain) == length:
            return at if int((plain[4:] + plain[:4]).translate(_NUMBERS)) % 97 == 1 else start
    return start


def email(text: str, start: int, end: int) -> int:
    """An address; a Git remote and a file's name are none."""
    address = text[start:end].lower()
    name, _, host = address.partition("@")
    ordinary = name != "git" and ".." not in address and host.rpartition(".")[2] not in _FILE_ENDINGS
    return end if ordinary and not name.startswith(".") and not name.endswith(".") else start


def international_phone(text: str, start: int, end: int) -> int:
    """A number with its country's code; a group that follows it and is none of its own is left out. Where none is in
    use, a number as long as they are there."""
    valid = next((at for at in _shorter(text, start, end) if _is_phone(text[start:at], None)), start)
    return valid if valid > start or not _is_possible(text[start:end]) else end


def national_phone(text: str, start: int, end: int) -> int:
    """A number as it is written within one of the countries whose way is known."""
    number = text[start:end]
    return end if any(_is_phone(number, region) for region in _REGIONS) else start


def not_dotted(text: str, start: int, end: int) -> int:
    """No address on a network, which four short numbers are with dots between them."""
    number = text[start:end]
    dotted = number.count(".") == 3 and all(len(part) <= 3 for part in number.split("."))
    return start if dotted else end


def not_private(text: str, start: int, end: int) -> int:
    """No address that is plainly of a private network (RFC 1918), of the machine itself, or one of its links."""
    return start if text.startswith(_PRIVATE, start) else end


def ip_address(text: str, start: int, end: int) -> int:
    """An address on the public Internet, or one that documentation puts for it; private ranges are nobody's."""
    from ipaddress import ip_address as parsed

    try:
        address = parsed(text[start:end])
    except ValueError:
        return start
    public = address.is_global or text.startswith(_DOCUMENTATION, start)
    return end if public and not address.is_multicast else start


def nino(text: str, start: int, end: int) -> int:
    """A National Insurance number: there is no checksum, but some prefixes are never issued (HMRC, NIM39110)."""
    prefix = text[start : start + 2]
    if prefix == "QQ":  # HMRC's own example
        return end
    unused = prefix in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ") or prefix[0] in "DFIQUV" or prefix[1] in "DFIOQUV"
    return start if unused else end


def _shorter(text: str, start: int, end: int) -> Iterator[int]:
    """Where a value may end: at ``end``, or before one of the last three groups that blanks part."""
    yield end
    for _ in range(3):
        end = text.rfind(" ", start, end)
        if end <= start:
            return
        yield end


def _is_issued(digits: str) -> bool:
    """Whether cards of so many digits begin so: Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay."""
    two, four, many = int(digits[:2]), int(digits[:4]), len(digits)
    if digits[0] == "4":
        return many in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return many == 16
    if two in (34, 37):
        return many == 15
    if two in (36, 38, 39):
        return 14 <= many <= 19
    return many >= 16 and (two in (62, 64, 65) or four == 6011 or 3528 <= four <= 3589)


def _ends_as_luhn_says(digits: str) -> bool:
    """Luhn's formula. The library takes ten times as long, and a prompt may hold thousands of candidates."""
    backwards = digits.encode()[::-1]
    total = sum(backwards[::2]) + sum(backwards[1::2].translate(_DOUBLED))
    return (total - len(digits) * ord("0")) % 10 == 0


@cache
def _iban_length(country: str) -> int:
    """Characters of an IBAN of that country, by its code of two letters; 0 where there are none."""
    from stdnum import numdb

    (_, described), *_ = numdb.get("iban").info(f"{country}00")
    return 4 + sum(map(int, _SIZES.findall(described.get("bban", "")))) if described else 0


def _is_valid(module: str, number: str) -> bool:
    return bool(_validator(module)(number))


@cache
def _validator(module: str) -> Callable[[str], bool]:
    import stdnum

    validator: Callable[[str], bool] = import_module(f".{module}", stdnum.__name__).is_valid
    return validator


def _is_phone(number: str, region: str | None) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _is_possible(number: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
