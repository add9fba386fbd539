"""Guards: what they look at, what they find, and what is then done about it."""
