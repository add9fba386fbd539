"""Access tokens for Google's APIs, as drivers need them: by application default credentials."""

from __future__ import annotations

from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

from shared.rotation.drivers.google_api_key import SCOPE
from shared.rotation.drivers.port import ProviderRefused, ProviderUnavailable
from shared.stores.access_token import AccessToken
from shared.stores.secrets import Secret


class GoogleToken:
    """``Token`` of the service account that the function runs as."""

    def __init__(self) -> None:
        """Asks for nothing yet."""
        self._token = AccessToken(SCOPE)

    def __call__(self, *, fresh: bool = False) -> Secret:
        """See ``Token``."""
        try:
            return self._token.get(fresh=fresh)
        except DefaultCredentialsError:
            raise ProviderRefused("There are no application default credentials.") from None
        except GoogleAuthError as error:
            raise ProviderUnavailable(f"No access token can be had: {type(error).__name__}.") from None
