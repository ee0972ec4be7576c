"""Query strategies, one file each; importing this package registers them all."""

from tsfal_geo.active.strategies import coreset, deal, emd, entropy, margin, plar, qbc, random, s4al, vaal
from tsfal_geo.active.strategies.base import (
    STRATEGIES,
    CellScores,
    Strategy,
    build_strategy,
    register,
)

__all__ = [
    "STRATEGIES",
    "CellScores",
    "Strategy",
    "build_strategy",
    "coreset",
    "deal",
    "emd",
    "entropy",
    "margin",
    "plar",
    "qbc",
    "random",
    "register",
    "s4al",
    "vaal",
]
