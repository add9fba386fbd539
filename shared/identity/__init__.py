"""Who calls: API keys, OIDC tokens, and the identity of one function towards another."""
