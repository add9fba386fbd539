"""Settings: which stores production may use, and what is not taken for part of a value."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.settings import load_settings

PRODUCTION = {
    "WARDGATE_DOCUMENTS": "firestore://project-1",
    "WARDGATE_EVENTS": "pubsub://project-1/audit",
    "WARDGATE_SECRETS": "secretmanager://project-1",
    "WARDGATE_OBJECTS": "gs://bucket-1",
    "WARDGATE_WAREHOUSE": "bigquery://project-1/audit/records",
    "WARDGATE_ALERTS": "pubsub://project-1/alerts",
    "WARDGATE_SIGNER": "kms://projects/project-1/locations/eu/keyRings/wardgate/cryptoKeys/audit/cryptoKeyVersions/1",
    "WARDGATE_MODEL_URL": "https://model.example.com",
    "WARDGATE_IDENTITY": "google://",
    "WARDGATE_GUARD_SERVICE_ACCOUNT": "guard@project-1.iam.gserviceaccount.com",
}


def test_production_runs_on_google_clouds_stores() -> None:
    settings = load_settings(environ=PRODUCTION)
    assert (settings.events, settings.objects) == ("pubsub://project-1/audit", "gs://bucket-1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WARDGATE_EVENTS", "spool:///var/spool.db"),
        ("WARDGATE_OBJECTS", "file:///var/objects"),
        ("WARDGATE_WAREHOUSE", "sqlite:///var/warehouse.db"),
        ("WARDGATE_ALERTS", "spool:///var/alerts.db"),
        ("WARDGATE_SECRETS", "files:///var/secrets"),
        ("WARDGATE_IDENTITY", "local:///var/identity"),
    ],
)
def test_production_refuses_what_an_instance_takes_with_it(name: str, value: str) -> None:
    environ = {**PRODUCTION, name: value}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ=environ)
    assert [fault.path for fault in caught.value.faults] == [name]
    load_settings(environ={**environ, "WARDGATE_ENV": "development"})


@pytest.mark.parametrize("name", ["WARDGATE_EVENTS", "WARDGATE_OBJECTS"])
def test_an_unknown_scheme_names_those_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"(spool://…, pubsub://…|file://…, gs://…)"):
        load_settings(environ={**PRODUCTION, name: "s3://bucket"})


DEVELOPMENT = {
    **PRODUCTION,
    "WARDGATE_ENV": "development",
    "WARDGATE_HOME": "/srv/wardgate",
    "WARDGATE_POLICY": "/srv/policy.yaml",
    "UPSTREAM_URL": "https://upstream.example/v1",
    "UPSTREAM_MODEL": "a-model",
}


@pytest.mark.parametrize("unseen", ["\n", "\r", "\t", "\0", "\u2028"])
@pytest.mark.parametrize("name", DEVELOPMENT)
def test_what_a_file_or_a_paste_leaves_behind_a_value_is_refused(name: str, unseen: str) -> None:
    load_settings(environ=DEVELOPMENT)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ={**DEVELOPMENT, name: DEVELOPMENT[name] + unseen})
    assert caught.value.faults[0].path == name
    assert unseen not in str(caught.value)
