"""From blended layers to what rasters hold: class indices, percentages; nodata 255."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.inference.outputs import ERROR, PROBABILITIES
from tsfal_geo.mapping.windowed import RowBlock

FULL = 250
"""The value that stands for probability 1 in a raster of probabilities."""


def classes(block: RowBlock) -> NDArray[np.uint8]:
    """The most likely class.

    Args:
        block: finished rows, with class probabilities (C, h, w) unless nothing is valid.

    Returns:
        Class indices (h, w) uint8, 255 where nodata.
    """
    if PROBABILITIES not in block.layers:
        return _nothing(block)
    # On CPUs argmax takes seven times as long.
    return _masked(block.layers[PROBABILITIES].max(0).indices, block)


def confidence(block: RowBlock) -> NDArray[np.uint8]:
    """The probability of the most likely class in percent, (h, w) uint8, 0 to 100, 255 where nodata."""
    if PROBABILITIES not in block.layers:
        return _nothing(block)
    return _percent(block.layers[PROBABILITIES].amax(0), block)


def entropy(block: RowBlock) -> NDArray[np.uint8]:
    """Entropy of the class probabilities in percent of its maximum, (h, w) uint8, 255 where nodata."""
    if PROBABILITIES not in block.layers:
        return _nothing(block)
    values = block.layers[PROBABILITIES]
    total = torch.special.entr(values).sum(0)
    return _percent(total / math.log(max(len(values), 2)), block)


def error_mask(block: RowBlock, doubt: float, threshold: float | None) -> NDArray[np.uint8]:
    """The error mask: probability of an error, 1 to 100, where confidence is low or the decoder says so.

    Args:
        block: finished rows; without a decoder, 1 minus the confidence stands for it.
        doubt: confidence below which a pixel is in the mask.
        threshold: of the decoder's probability; None where there is no decoder.

    Returns:
        (h, w) uint8; 0 outside the mask, 255 where nodata.
    """
    if PROBABILITIES not in block.layers:
        return _nothing(block)
    best = block.layers[PROBABILITIES].amax(0)
    mask, error = best < doubt, 1 - best
    if threshold is not None:
        error = block.layers[ERROR][0]
        mask |= error > threshold
    return _masked(torch.where(mask, error.mul(100).round_().clamp_(1, 100), 0), block)


def probabilities(block: RowBlock, classes: int) -> NDArray[np.uint8]:
    """Class probabilities (C, h, w) uint8, 0 to ``FULL``; 255 where nodata."""
    if PROBABILITIES not in block.layers:
        return np.broadcast_to(_nothing(block), (classes, *block.valid.shape))
    return _masked(block.layers[PROBABILITIES].mul(FULL).round_().clamp_(0, FULL), block)


def _percent(values: torch.Tensor, block: RowBlock) -> NDArray[np.uint8]:
    return _masked(values.mul(100).round_().clamp_(0, 100), block)


def _nothing(block: RowBlock) -> NDArray[np.uint8]:
    return np.full(block.valid.shape, IGNORE, np.uint8)


def _masked(values: torch.Tensor, block: RowBlock) -> NDArray[np.uint8]:
    array = values.to(torch.uint8).cpu().numpy()
    array[..., ~block.valid] = IGNORE
    return np.asarray(array)
