"""What Firestore charges, for turning counted reads and writes into money."""

SOURCE = "https://cloud.google.com/firestore/pricing"
AS_OF = "November 2026, from stored copies of that page"
LOCATION = "nam5 (United States, multi-region), the dearest; a single region costs about half"

USD_PER_READ = 0.06 / 100_000
USD_PER_WRITE = 0.18 / 100_000
"""Beyond the free quota. A write is a document written, however many of its fields are incremented."""


def usd_per_million(reads: float, writes: float) -> float:
    """What a million requests cost that read and write so many documents each."""
    return 1e6 * (reads * USD_PER_READ + writes * USD_PER_WRITE)
