"""Query strategies, registered by name when this package is imported."""

from tsfal_geo.queries.strategies import coreset, deal, error_mask, qbc, s4al, uncertainty, vaal
from tsfal_geo.queries.strategy import STRATEGIES, CellScores, Strategy, build_strategy, register

__all__ = [
    "STRATEGIES",
    "CellScores",
    "Strategy",
    "build_strategy",
    "coreset",
    "deal",
    "error_mask",
    "qbc",
    "register",
    "s4al",
    "uncertainty",
    "vaal",
]
