"""Text as the guards see it."""
