"""Where an address in an answer leads, read as a browser reads it, and which hosts it may lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

_IGNORED = dict.fromkeys(map(ord, "\t\n\r"))
"""Tab and line breaks, which browsers drop wherever they stand in an address (WHATWG URL)."""

_EDGES = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,31}):")
_AUTHORITY = re.compile(r"([/\\]*)([^/\\?#]*)")
_PORT = re.compile(r":[0-9]{0,5}\Z")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.\-]{0,251}[a-z0-9_])?\Z")
_NAMES = re.compile(r"[\w.@\-]+")
_ENDS = re.compile(r"\.(?=\.|\Z)")
"""A full stop that ends a sentence, or begins an ellipsis."""

HIERARCHICAL = frozenset({"http", "https", "ws", "wss", "ftp"})
"""Schemes after which a browser takes the next name for a host, with however many slashes or backslashes."""

RUNNING = frozenset({"blob", "data", "file", "filesystem", "javascript", "mhtml", "vbscript", "view-source"})
"""Schemes by which an address brings its own content, or reads the machine's."""


DEFANGED = frozenset({"fxp", "hxxp", "hxxps"})
"""What defanging makes of schemes; no program follows them."""


class Address(Struct, frozen=True):
    """What an address leads to."""

    scheme: str
    """In lower case; empty where it is the page's own."""

    host: str
    """In lower case, without port; empty where the address stays on its page or has no host."""

    disguised: bool
    """Whether a name stands before an ``@``, which people take for the host."""

    foreign: bool = False
    """Whether the host has letters beyond ASCII, so that it is no name on any list, whatever ``host`` shows of it."""

    length: int = 0
    """Characters up to the end of the host and port; 0 where there is no host."""

    @property
    def defanged(self) -> str | None:
        """Scheme and host in a form that nothing follows; None where they hold more than a host's name may."""
        if not _HOST.match(self.host):
            return None
        scheme = {"": "hxxps", "ftp": "fxp"}.get(self.scheme, self.scheme.replace("t", "x"))
        return f"{scheme}://{self.host.replace('.', '[.]')}"


def read_address(written: str) -> Address:
    """Where ``written``, an address without markup, leads. Whatever is no host's name becomes a host on no list."""
    lead = len(written) - len(written.lstrip(_EDGES))
    text = written.strip(_EDGES).translate(_IGNORED)
    exact = len(text) == len(written.strip(_EDGES))
    named = _SCHEME.match(text)
    scheme = named[1].lower() if named else ""
    at = named.end() if named else 0
    if (scheme and scheme not in HIERARCHICAL) or (not scheme and not _slashes(text)):
        return Address(scheme, "", disguised=False)
    found = _AUTHORITY.match(text, at)
    authority = found[2] if found else ""
    name, host = authority.rpartition("@")[::2]
    host = _PORT.sub("", host).lower().removesuffix(".")
    length = lead + (found.end() if found else at) if exact and host else 0
    return Address(scheme, host, disguised=bool(name) or "@" in authority, foreign=False, length=length)


def _slashes(text: str) -> bool:
    """Whether an address without scheme begins with the name of another host."""
    return text[:1] in ("/", "\\") and text[1:2] in ("/", "\\")


class Hosts:
    """Names of hosts: exact ones, and all names under a domain, written ``*.example.com``."""

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = [pattern.lower() for pattern in patterns]
        self._exact = frozenset(pattern for pattern in patterns if not pattern.startswith("*."))
        self._under = tuple(pattern[1:] for pattern in patterns if pattern.startswith("*."))

    def hold(self, host: str) -> bool:
        """Whether ``host`` is among them. Compared as it is written, so a look-alike of a listed name is another."""
        return host in self._exact or (bool(self._under) and host.endswith(self._under))


def named(text: str) -> frozenset[str]:
    """The hosts that ``text``, in lower case, names, and other words: each as a whole, none within a longer name."""
    return frozenset(name for run in _NAMES.findall(text) for name in (run, _ENDS.split(run, maxsplit=1)[0]))
