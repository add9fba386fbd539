"""ID tokens from Google: of the metadata server on Google Cloud, else of application default credentials.

The metadata server is asked directly: google-auth costs 150 ms of CPU to import and makes three calls
for the same token. It does serve where a credentials file says who we are.
"""

from __future__ import annotations

import base64
import json
import os
import time
from calendar import timegm
from urllib.parse import urlencode

from shared.errors import ServiceUnavailable
from shared.identity.fetch import fetch
from shared.identity.minting import MintedToken, TokenSource
from shared.web.http_client import HttpError

_PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"
_PAUSES_SECONDS = (0.1, 0.3)
"""The metadata server may need a moment while an instance starts."""


def google_token_source() -> TokenSource:
    """Where this process gets its tokens: a file that ``GOOGLE_APPLICATION_CREDENTIALS`` names, or metadata."""
    if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return ApplicationCredentials()
    # The same variable as in Google's own libraries.
    return MetadataServer(os.environ.get("GCE_METADATA_HOST", "metadata.google.internal"))


class MetadataServer:
    """Tokens of the service account that the function runs as.

    https://cloud.google.com/compute/docs/instances/verifying-instance-identity
    """

    def __init__(self, host: str) -> None:
        self._url = f"http://{host}{_PATH}"

    def mint(self, audience: str) -> MintedToken:
        """See ``TokenSource``."""
        # `full` puts the e-mail address into the token.
        url = f"{self._url}?{urlencode({'audience': audience, 'format': 'full'})}"
        pauses = iter(_PAUSES_SECONDS)
        while True:
            try:
                return _minted(fetch(url, {"metadata-flavor": "Google"}).decode("ascii").strip())
            except (HttpError, ValueError) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise _unavailable("the metadata server gives none") from error
                time.sleep(pause)


class ApplicationCredentials:
    """Tokens by application default credentials, which google-auth reads and refreshes."""

    def mint(self, audience: str) -> MintedToken:
        """See ``TokenSource``."""
        import google.auth.exceptions
        import google.auth.transport.requests
        import google.oauth2.id_token

        try:
            credentials = google.oauth2.id_token.fetch_id_token_credentials(audience)  # type: ignore[no-untyped-call]  # untyped there
            credentials.refresh(google.auth.transport.requests.Request())
        except (google.auth.exceptions.GoogleAuthError, OSError) as error:
            raise _unavailable("application default credentials give none") from error
        return MintedToken(credentials.token, credentials.token, timegm(credentials.expiry.timetuple()))


def _minted(token: str) -> MintedToken:
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return MintedToken(token, serverless=token, expires_at=int(claims["exp"]))
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError("not an ID token") from error


def _unavailable(reason: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"No ID token can be had: {reason}.", code="identity_unavailable")
