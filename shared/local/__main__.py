"""``python -m shared.local``: what ``make run`` runs."""

import sys

from shared.local.stack import Signals

if __name__ == "__main__":
    # Before anything slow is imported, so that a signal during the start ends it like any other.
    signals = Signals()
    from shared.local.run import main

    sys.exit(main(signals))
