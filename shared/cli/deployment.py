"""``wardgate --config FILE``: which deployment a command works on, by what ``terraform output -json`` printed."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from shared.errors import ConfigurationError, Fault

_STORES = ("documents", "events", "secrets", "objects", "warehouse", "alerts", "signer")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Deployment(Struct, frozen=True, kw_only=True):
    """Terraform's output ``wardgate``: where the deployment's stores are, and how its operators reach guard."""

    documents: str
    events: str
    secrets: str
    objects: str
    warehouse: str
    alerts: str
    signer: str
    guard_url: str
    """Address of guard, without a path."""

    admin_audience: str
    """What tokens for guard's admin routes are meant for."""

    operator_account: str
    """E-mail address of the service account that operators call them as."""

    content_key: str | None = None
    """What wraps the keys of sealed prompts, where any are sealed."""

    dead_letters: dict[str, str] = {}
    """Subscription that keeps the dead letters of each sink."""

    def settle(self, environ: MutableMapping[str, str]) -> None:
        """Have the settings name this deployment; the policy stays what ``WARDGATE_POLICY`` says."""
        for name in list(environ):
            if name.startswith(("WARDGATE_", "UPSTREAM_")) and name not in ("WARDGATE_POLICY", "WARDGATE_OPERATOR"):
                del environ[name]
        environ["WARDGATE_ENV"] = "production"
        for store in _STORES:
            environ[f"WARDGATE_{store.upper()}"] = getattr(self, store)
        if self.content_key:
            environ["WARDGATE_CONTENT_KEY"] = self.content_key


class _Output(Struct):
    value: Deployment


class _Outputs(Struct):
    wardgate: _Output


def read_deployment(path: Path) -> Deployment:
    """Read what ``terraform output -json`` printed into a file.

    Raises:
        ConfigurationError: The file cannot be read, or lacks or garbles a part of the output ``wardgate``.
    """
    try:
        deployment = msgspec.json.decode(path.read_bytes(), type=_Outputs).wardgate.value
    except OSError as error:
        raise _fault(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:  # a ValidationError among them
        hint = "write it with `terraform output -json > FILE`"
        raise _fault(f"{path} is not what Terraform put out ({error}); {hint}.") from error
    url = urlsplit(deployment.guard_url)
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)):
        raise _fault(f"{path}: guard_url must be an https URL.")
    return deployment


def _fault(problem: str) -> ConfigurationError:
    return ConfigurationError([Fault("--config", problem)])
