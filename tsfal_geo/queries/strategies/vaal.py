"""VAAL: chips that a discriminator takes for unlabelled (Sinha et al. 2019)."""

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
    """Whole chips, least likely labelled first; it never looks at the segmenter."""

    name = "vaal"
    reason = "looks unlabelled"
    order = "chips"
    learns = True

    def __init__(self, seed: int = 0, passes: int = 0) -> None:
        """Know nothing until ``learn``."""
        super().__init__(seed)
        self._labelled: dict[ChipKey, float] = {}

    def learn(self, material: TrainingPool) -> None:
        """Train VAE and discriminator on both pools, then look at every unlabelled chip."""
        if not material.unlabelled:
            return
        networks = vaal_networks.train(material, self.seed)
        self._labelled = {
            material.keys[i]: vaal_networks.probability(networks, material.pictures([i]).to(material.device))
            for i in material.unlabelled
        }

    def score(self, outputs: ChipOutputs) -> CellScores:
        """1 − P(labelled), the same for all cells."""
        unlike = torch.full(outputs.askable.shape, 1 - self._labelled.get(outputs.key, 1.0))
        return CellScores(unlike, outputs.askable > 0)

    def chip_vector(self, outputs: ChipOutputs) -> NDArray[np.float32]:
        """P(labelled); labelled chips count as 1."""
        return np.array([self._labelled.get(outputs.key, 1.0)], np.float32)

    def rank_chips(
        self, chips: Sequence[NDArray[np.float32]], labelled: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """Lowest P(labelled) first."""
        return np.argsort(np.concatenate(chips), kind="stable")
