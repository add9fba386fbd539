"""Forms of credentials that detect-secrets does not know; for .ci/scan_secrets.py."""

from __future__ import annotations

import re

from detect_secrets.plugins.base import RegexBasedDetector


class WardgateKeyDetector(RegexBasedDetector):
    """API keys of Wardgate, as shared/identity/key_format.py makes them."""

    secret_type = "Wardgate API key"  # noqa: S105  # its kind
    denylist = (re.compile(r"wg_[a-z2-7]{24}_[a-z2-7]{40}"),)


class GoogleKeyDetector(RegexBasedDetector):
    """API keys, access and refresh tokens and client secrets of Google."""

    secret_type = "Google credential"  # noqa: S105  # its kind
    denylist = (
        re.compile(r"AIza[0-9A-Za-z_-]{35}"),
        re.compile(r"ya29\.[0-9A-Za-z_-]{40,}"),
        re.compile(r"\b1//0[0-9A-Za-z_-]{40,}"),
        re.compile(r"GOCSPX-[0-9A-Za-z_-]{28}"),
    )


class ModelProviderKeyDetector(RegexBasedDetector):
    """Keys of providers of models."""

    secret_type = "Model provider's key"  # noqa: S105  # its kind
    denylist = (
        re.compile(r"sk-ant-[a-z0-9]+-[0-9A-Za-z_-]{40,}"),
        re.compile(r"sk-(?:proj|svcacct|admin)-[0-9A-Za-z_-]{40,}"),
        re.compile(r"\bhf_[0-9A-Za-z]{34}\b"),
    )
