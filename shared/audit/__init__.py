"""The audit trail: one event per interaction, chained, never with a prompt in clear."""
