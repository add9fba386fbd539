"""Wardgate's own secrets: which there are, how they come to be, and when each is due for a new version."""
