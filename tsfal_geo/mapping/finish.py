"""From blended layers to what rasters hold: class indices and percentages, nodata 255."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.mapping.predict import RowBlock


def classes_and_confidence(block: RowBlock, layer: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The most likely class and its probability.

    Args:
        block: finished rows.
        layer: its layer of class probabilities (C, h, w).

    Returns:
        Class indices (h, w) and percentages (h, w, 0 to 100), both uint8, 255 where nodata.
    """
    if layer not in block.layers:
        nothing = np.full(block.valid.shape, IGNORE, np.uint8)
        return nothing, nothing
    best, index = block.layers[layer].max(0)
    return _masked(index, block), _masked(best.mul(100).round_().clamp_(0, 100), block)


def percent(block: RowBlock, layer: str) -> NDArray[np.uint8]:
    """A layer of one channel in [0, 1] as uint8 0 to 100, (h, w), 255 where nodata."""
    if layer not in block.layers:
        return np.full(block.valid.shape, IGNORE, np.uint8)
    return _masked(block.layers[layer][0].mul(100).round_().clamp_(0, 100), block)


def _masked(values: torch.Tensor, block: RowBlock) -> NDArray[np.uint8]:
    array = values.to(torch.uint8).cpu().numpy()
    array[~block.valid] = IGNORE
    return np.asarray(array)
