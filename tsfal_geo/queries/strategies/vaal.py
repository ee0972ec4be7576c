"""Queries of VAAL: chips that a discriminator rates as unlabelled (Sinha, Ebrahimi, Darrell 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.queries.chip_outputs import ChipKey, ChipOutputs
from tsfal_geo.queries.strategies import vaal_networks
from tsfal_geo.queries.strategy import CellScores, Strategy, TrainingPool, register


@register
class Vaal(Strategy):
    """Chips by rising P(labelled), from networks of its own; the segmenter's outputs are not used."""

    name = "vaal"
    reason = "looks unlabelled"
    order = "chips"
    learns = True

    def __init__(self, seed: int = 0, passes: int = 0) -> None:
        """Build the strategy; before ``learn`` every chip has P(labelled) = 1.

        Args:
            seed: of the networks and their training.
            passes: ignored, there is no committee.
        """
        super().__init__(seed)
        self._labelled: dict[ChipKey, float] = {}

    def learn(self, pool: TrainingPool) -> None:
        """Train VAE and discriminator on both pools, then compute P(labelled) of every unlabelled chip.

        Args:
            pool: thumbnails, pools and schedule; without unlabelled chips nothing is trained.
        """
        if not pool.unlabelled:
            return
        networks = vaal_networks.train(pool, self.seed)
        self._labelled = {
            pool.keys[i]: vaal_networks.probability(networks, pool.pictures([i]).to(pool.device))
            for i in pool.unlabelled
        }

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score all cells of a chip by its 1 − P(labelled); all askable cells are candidates."""
        unlike = torch.full(outputs.askable.shape, 1 - self._labelled.get(outputs.key, 1.0))
        return CellScores(unlike, outputs.askable > 0)

    def chip_vector(self, outputs: ChipOutputs) -> NDArray[np.float32]:
        """Return the chip's P(labelled), (1,) float32; 1 where `learn` computed none."""
        return np.array([self._labelled.get(outputs.key, 1.0)], np.float32)

    def rank_chips(
        self, chips: Sequence[NDArray[np.float32]], labelled: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """Order chips by rising P(labelled), (n,) int64; labelled chips are not used."""
        return np.argsort(np.concatenate(chips), kind="stable")
