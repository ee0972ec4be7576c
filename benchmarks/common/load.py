"""How busy the machine is, to be said beside figures."""

from __future__ import annotations

import os


def load() -> str:
    """Load averages over 1, 5 and 15 minutes."""
    return "load " + ", ".join(f"{value:.1f}" for value in os.getloadavg())
