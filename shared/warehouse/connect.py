"""From ``WARDGATE_WAREHOUSE`` to the adapter that it names; only that adapter is imported."""

from __future__ import annotations

import os
import re
from pathlib import Path

from shared.errors import ConfigurationError, Fault
from shared.warehouse.port import Warehouse

_TABLE = re.compile(
    r"bigquery://(?P<project>[a-z][a-z0-9-]{4,28}[a-z0-9])/(?P<dataset>\w{1,1024})/(?P<table>\w{1,1024})", re.ASCII
)
_SETTING = "WARDGATE_WAREHOUSE"


def connect_warehouse(uri: str) -> Warehouse:
    """The warehouse at ``uri``.

    Args:
        uri: ``bigquery://project/dataset/table`` or ``sqlite:///path``. Where ``BIGQUERY_EMULATOR_HOST`` is
            set, to a URL as for Google's own libraries, that takes the place of BigQuery, without credentials.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme.
    """
    scheme, _, place = uri.partition("://")
    match scheme:
        case "sqlite":
            from shared.warehouse.sqlite import SqliteWarehouse

            path = Path(place)
            if not path.is_absolute() or path == path.parent:
                raise _wrong("needs an absolute path after ://, as in sqlite:///var/lib/warehouse.db.")
            return SqliteWarehouse(path)
        case "bigquery":
            from shared.stores.access_token import AccessToken
            from shared.warehouse.bigquery import BASE_URL, SCOPE, BigQueryWarehouse

            named = _TABLE.fullmatch(uri)
            if named is None:
                raise _wrong("names no table; give bigquery://project/dataset/table.")
            emulator = os.environ.get("BIGQUERY_EMULATOR_HOST")
            token = None if emulator else AccessToken(SCOPE)
            return BigQueryWarehouse(
                named["project"], named["dataset"], named["table"], token, base_url=emulator or BASE_URL
            )
    raise _wrong(f"scheme '{scheme[:32]}' is not supported; give bigquery://project/dataset/table or sqlite:///path.")


def _wrong(problem: str) -> ConfigurationError:
    return ConfigurationError([Fault(_SETTING, problem)])
