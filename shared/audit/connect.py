"""Finds what wraps the keys of sealed content, by the URI in ``WARDGATE_CONTENT_KEY``."""

from __future__ import annotations

import re

from shared.audit.wrapping import SECRET, KeyWrapper, SecretWrapper, VersionedSecrets
from shared.errors import ConfigurationError, Fault

_KMS_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[A-Za-z0-9_-]{1,63}")


def connect_wrapper(uri: str, keys: VersionedSecrets) -> KeyWrapper:
    """The wrapper at ``uri``: ``secret://content-key`` or ``kms://projects/…/cryptoKeys/…``.

    Args:
        uri: ``WARDGATE_CONTENT_KEY``.
        keys: Reads the secret, where the key is one.

    Raises:
        ConfigurationError: The URI names neither.
    """
    scheme, _, place = uri.partition("://")
    if scheme == "secret" and place == SECRET:
        return SecretWrapper(keys)
    if scheme == "kms" and _KMS_KEY.fullmatch(place):
        from shared.audit.kms_wrapping import KmsWrapper

        return KmsWrapper(place)
    known = f"secret://{SECRET} or kms://projects/P/locations/L/keyRings/R/cryptoKeys/K"
    raise ConfigurationError([Fault("WARDGATE_CONTENT_KEY", f"give {known}.")])
