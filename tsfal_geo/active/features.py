"""A level's features at cells: class means, scatter and squared distances, exactly and without waste.

F2 lives on the grid of cells (``dense``); F1 is defined there as the bilinear enlargement of a coarser map
(``enlarged``).
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from tsfal_geo.active.dense import DenseMap
from tsfal_geo.active.enlarged import EnlargedMap
from tsfal_geo.active.members import Members, Moments


class Level(Protocol):
    """Features of one level at n cells of one image."""

    def mapped(self, matrix: Tensor) -> Level:
        """The level whose features are ``matrix @ x``; ``matrix`` (D', D)."""

    def squared_distances(self, points: Tensor) -> Tensor:
        """‖x_j − p_k‖², (n, K) for ``points`` (K, D)."""


class LevelMap(Protocol):
    """Features of one level all over one image."""

    def means(self, members: Members) -> Tensor:
        """Mean of each class (C, D); zero for a class without cells."""

    def moments(self, members: Members, per_class: bool) -> Moments:
        """Class means, and moments of the residuals from them: of each class, or of all cells together."""

    def at(self, cells: Tensor) -> Level:
        """Look at distinct cells, (n,) int64 positions on the grid."""


def level_map(features: Tensor, size: tuple[int, int]) -> LevelMap:
    """Prepare one image's feature map for looks at cells of the grid of ``size``.

    Args:
        features: (D, h, w) float32; coarser than ``size`` by a whole factor, or of that size. The latter is
            fastest in the memory format channels_last.
        size: height and width of the grid of cells.
    """
    if tuple(features.shape[1:]) == size:
        return DenseMap(features.permute(1, 2, 0).flatten(0, 1).contiguous())
    return EnlargedMap.build(features, size)
