"""Queries of DEAL: chips that its difficulty branch rates as difficult (Xie et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, register

LEVELS = 8


class _Deal(Strategy):
    """Base class of both acquisition functions: the map of difficulty, and a pool of half of the chips."""

    reason = "difficult"
    pool_share = 0.5

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score cells by their difficulty, in 0..1; all askable cells are candidates."""
        return CellScores(_difficulty(outputs), outputs.askable > 0)


@register
class DealScore(_Deal):
    """Acquisition function DS: the highest mean difficulty."""

    name = "deal_ds"


@register
class DealEntropy(_Deal):
    """Acquisition function DE: chips whose cells spread most evenly over levels of difficulty."""

    name = "deal_de"
    order = "chips"

    def chip_vector(self, outputs: ChipOutputs) -> NDArray[np.float32]:
        """Compute the entropy of the histogram of difficulty over askable cells, (1,) float32 in nats."""
        values = _difficulty(outputs)[outputs.askable > 0].cpu().numpy()
        return np.array([histogram_entropy(values)], np.float32)

    def rank_chips(
        self, chips: Sequence[NDArray[np.float32]], labelled: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """Order chips by falling entropy, (n,) int64; labelled chips are not used."""
        return np.argsort(-np.concatenate(chips), kind="stable")


def histogram_entropy(values: NDArray[np.floating], levels: int = LEVELS) -> float:
    """Compute the entropy of the histogram of values, with equal bins from the least to the greatest.

    Args:
        values: (n,) float; n may be 0.
        levels: number of bins.

    Returns:
        Nats, from 0 to ln ``levels``; 0 without values.
    """
    counts = np.histogram(values, bins=levels)[0]
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def _difficulty(outputs: ChipOutputs) -> Tensor:
    """Return the output of DEAL's branch, else of the error mask decoder, else 1 − confidence, (h, w)."""
    if outputs.difficulty is not None:
        return outputs.difficulty
    return 1 - outputs.probs.amax(0) if outputs.emd is None else outputs.emd
