"""Settings of the functions, read from the environment once, at start.

The policy says what is allowed; settings say where things are. Every fault is reported at once.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from shared.errors import ConfigurationError, Fault
from shared.stores.secrets import Secret

Environment = Literal["development", "production"]


class Settings(Struct, frozen=True):
    """Where a function finds what it needs. Fields name their environment variable."""

    environment: Environment
    """``WARDGATE_ENV``. ``development`` lets secrets come from environment variables; default ``production``."""

    home: Path
    """``WARDGATE_HOME``. Folder of the local stack's state; default ``.wardgate``."""

    policy: Path | None
    """``WARDGATE_POLICY``. The policy file; default: the one that ships with Wardgate."""

    documents: str
    """``WARDGATE_DOCUMENTS``. ``sqlite:///path`` or ``firestore://project/database``."""

    events: str
    """``WARDGATE_EVENTS``. ``spool:///path`` or ``pubsub://project/topic``."""

    secrets: str
    """``WARDGATE_SECRETS``. ``files:///folder`` or ``secretmanager://project``."""

    objects: str
    """``WARDGATE_OBJECTS``. ``file:///folder`` or ``gs://bucket``."""

    warehouse: str
    """``WARDGATE_WAREHOUSE``. ``sqlite:///path`` or ``bigquery://project/dataset/table``."""

    alerts: str
    """``WARDGATE_ALERTS``. Where alerts are published, as ``WARDGATE_EVENTS``."""

    journals: Path
    """``WARDGATE_JOURNALS``. Private folder for audit events that the bus has not acknowledged yet; default
    ``audit-journals`` in the home in development, and in the folder for temporary files in production."""

    content_key: str
    """``WARDGATE_CONTENT_KEY``. What wraps the keys of sealed content: ``secret://content-key``, the default, or
    ``kms://projects/…/cryptoKeys/…``."""

    signer: str
    """``WARDGATE_SIGNER``. Who signs checkpoints: ``secret://name`` or ``kms://projects/…/cryptoKeyVersions/1``."""

    model_url: str
    """``WARDGATE_MODEL_URL``. Address of the model function; also the audience of guard's ID token."""

    identity: str
    """``WARDGATE_IDENTITY``. Who signs ID tokens between functions: ``local:///folder`` or ``google``."""

    guard_service_account: str
    """``WARDGATE_GUARD_SERVICE_ACCOUNT``. E-mail of the only service account that model answers."""

    admin_audience: str
    """``WARDGATE_ADMIN_AUDIENCE``. What operators' ID tokens for guard's admin routes must be meant for; a name of
    this environment alone. Empty, the default: there are no such routes."""

    admin_accounts: frozenset[str]
    """``WARDGATE_ADMIN_ACCOUNTS``. E-mail addresses, with commas between them, of those who send such tokens."""

    upstream_url: str | None
    """``UPSTREAM_URL``. In development: an OpenAI-compatible base URL that takes the built-in model's place."""

    upstream_model: str | None
    """``UPSTREAM_MODEL``. The model to ask for there; default: the name the caller used."""

    upstream_api_key: Secret | None
    """``UPSTREAM_API_KEY``. The key for ``UPSTREAM_URL``."""


_SCHEMES = {
    "WARDGATE_DOCUMENTS": ("sqlite", "firestore"),
    "WARDGATE_EVENTS": ("spool", "pubsub"),
    "WARDGATE_SECRETS": ("files", "secretmanager"),
    "WARDGATE_OBJECTS": ("file", "gs"),
    "WARDGATE_WAREHOUSE": ("sqlite", "bigquery"),
    "WARDGATE_ALERTS": ("spool", "pubsub"),
    "WARDGATE_CONTENT_KEY": ("secret", "kms"),
    "WARDGATE_SIGNER": ("secret", "kms"),
    "WARDGATE_IDENTITY": ("local", "google"),
}


ALL = frozenset(
    {"documents", "events", "secrets", "objects", "warehouse", "alerts", "signer"}
    | {"model_url", "identity", "guard_service_account"}
)


def load_settings(needs: Collection[str] = ALL, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        needs: The fields that this function cannot do without; the others may stay empty.
        environ: Read instead of the process's environment.

    Raises:
        ConfigurationError: With a fault for each variable that is missing or wrong.
    """
    env = os.environ if environ is None else environ
    faults: list[Fault] = []

    def given(name: str) -> str | None:
        value = env.get(name)
        if value and not value.isprintable():
            faults.append(Fault(name, "holds a line break or another control character, perhaps at its end."))
        return value or None

    environment = env.get("WARDGATE_ENV", "production")
    if environment not in ("development", "production"):
        faults.append(Fault("WARDGATE_ENV", "must be 'development' or 'production'."))
    local = environment == "development"
    home = Path(given("WARDGATE_HOME") or ".wardgate").absolute()

    def text(name: str, local_default: str) -> str:
        value = given(name) or (local_default if local else "")
        if not value and name.removeprefix("WARDGATE_").lower() in needs:
            faults.append(Fault(name, "is not set."))
        return value

    def address(name: str, local_default: str) -> str:
        value = text(name, local_default)
        if value and urlsplit(value).scheme not in _SCHEMES[name]:
            known = ", ".join(f"{scheme}://…" for scheme in _SCHEMES[name])
            faults.append(Fault(name, f"scheme '{urlsplit(value).scheme}' is not supported; give one of {known}."))
        return value

    def url(name: str, local_default: str = "") -> str:
        value = text(name, local_default)
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            faults.append(Fault(name, "must be an http or https URL."))
        return value.rstrip("/")

    upstream_key = env.get("UPSTREAM_API_KEY")
    if not local:
        faults.extend(
            Fault(name, "is for development only; name the upstream in the policy and its key in the secret store.")
            for name in ("UPSTREAM_URL", "UPSTREAM_API_KEY")
            if env.get(name)
        )

    def in_production(name: str, value: str, scheme: str, problem: str) -> None:
        if not local and value.startswith(f"{scheme}://"):
            faults.append(Fault(name, problem))

    policy = given("WARDGATE_POLICY")
    scratch = home if local else Path(env.get("TMPDIR") or "/tmp")  # noqa: S108  # nosec B108  # in memory, and nobody else is there
    settings = Settings(
        environment="development" if local else "production",
        home=home,
        policy=Path(policy) if policy else None,
        documents=address("WARDGATE_DOCUMENTS", f"sqlite://{home}/documents.db"),
        events=address("WARDGATE_EVENTS", f"spool://{home}/spool.db"),
        secrets=address("WARDGATE_SECRETS", f"files://{home}/secrets"),
        objects=address("WARDGATE_OBJECTS", f"file://{home}/objects"),
        warehouse=address("WARDGATE_WAREHOUSE", f"sqlite://{home}/warehouse.db"),
        alerts=address("WARDGATE_ALERTS", f"spool://{home}/alerts.db"),
        journals=Path(given("WARDGATE_JOURNALS") or scratch / "audit-journals").absolute(),
        content_key=address("WARDGATE_CONTENT_KEY", "") or "secret://content-key",
        signer=address("WARDGATE_SIGNER", "secret://audit-signing-key"),
        model_url=url("WARDGATE_MODEL_URL", "http://127.0.0.1:8081"),
        identity=address("WARDGATE_IDENTITY", f"local://{home}/identity"),
        guard_service_account=text("WARDGATE_GUARD_SERVICE_ACCOUNT", "guard@wardgate.local"),
        admin_audience=given("WARDGATE_ADMIN_AUDIENCE") or "",
        admin_accounts=frozenset(filter(None, map(str.strip, (given("WARDGATE_ADMIN_ACCOUNTS") or "").split(",")))),
        upstream_url=url("UPSTREAM_URL") or None,
        upstream_model=given("UPSTREAM_MODEL"),
        upstream_api_key=Secret(upstream_key.encode()) if upstream_key else None,
    )
    in_production("WARDGATE_SECRETS", settings.secrets, "files", "is for development only; name Secret Manager.")
    # An instance's disk is its memory, and goes with it.
    in_production("WARDGATE_EVENTS", settings.events, "spool", "loses events with the instance; name Pub/Sub.")
    in_production("WARDGATE_OBJECTS", settings.objects, "file", "loses objects with the instance; name Cloud Storage.")
    in_production("WARDGATE_WAREHOUSE", settings.warehouse, "sqlite", "loses rows with the instance; name BigQuery.")
    in_production("WARDGATE_ALERTS", settings.alerts, "spool", "loses alerts with the instance; name Pub/Sub.")
    in_production("WARDGATE_IDENTITY", settings.identity, "local", "is for development only; give google://.")
    in_production("WARDGATE_MODEL_URL", settings.model_url, "http", "must be https in production.")
    if bool(settings.admin_audience) != bool(settings.admin_accounts):
        missing = "WARDGATE_ADMIN_ACCOUNTS" if settings.admin_audience else "WARDGATE_ADMIN_AUDIENCE"
        faults.append(Fault(missing, "is not set, and the other of the two settings for operators is."))
    if not all("@" in account for account in settings.admin_accounts):
        faults.append(Fault("WARDGATE_ADMIN_ACCOUNTS", "must be e-mail addresses with commas between them."))
    if faults:
        raise ConfigurationError(faults)
    return settings
