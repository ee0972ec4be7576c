"""From blended layers to what rasters hold: class indices, percentages; nodata 255."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.inference.outputs import ERROR, PROBABILITIES
from tsfal_geo.mapping.windowed import LayerRows

FULL = 250
"""The value that stands for probability 1 in a raster of probabilities."""


def classes(rows: LayerRows) -> NDArray[np.uint8]:
    """The most likely class.

    Args:
        rows: finished rows, with class probabilities (C, h, w) unless nothing is valid.

    Returns:
        Class indices (h, w) uint8, 255 where nodata.
    """
    if PROBABILITIES not in rows.layers:
        return _nothing(rows)
    # On CPUs argmax takes seven times as long.
    return _masked(rows.layers[PROBABILITIES].max(0).indices, rows)


def confidence(rows: LayerRows) -> NDArray[np.uint8]:
    """The probability of the most likely class in percent, (h, w) uint8, 0 to 100, 255 where nodata."""
    if PROBABILITIES not in rows.layers:
        return _nothing(rows)
    return _percent(rows.layers[PROBABILITIES].amax(0), rows)


def entropy(rows: LayerRows) -> NDArray[np.uint8]:
    """Entropy of the class probabilities in percent of its maximum, (h, w) uint8, 255 where nodata."""
    if PROBABILITIES not in rows.layers:
        return _nothing(rows)
    values = rows.layers[PROBABILITIES]
    total = torch.special.entr(values).sum(0)
    return _percent(total / math.log(max(len(values), 2)), rows)


def error_mask(rows: LayerRows, doubt: float, threshold: float | None) -> NDArray[np.uint8]:
    """The error mask: probability of an error, 1 to 100, where confidence is low or the decoder says so.

    Args:
        rows: finished rows; without a decoder, 1 minus the confidence stands for it.
        doubt: confidence below which a pixel is in the mask.
        threshold: of the decoder's probability; None where there is no decoder.

    Returns:
        (h, w) uint8; 0 outside the mask, 255 where nodata.
    """
    if PROBABILITIES not in rows.layers:
        return _nothing(rows)
    best = rows.layers[PROBABILITIES].amax(0)
    mask, error = best < doubt, 1 - best
    if threshold is not None:
        error = rows.layers[ERROR][0]
        mask |= error > threshold
    return _masked(torch.where(mask, error.mul(100).round_().clamp_(1, 100), 0), rows)


def probabilities(rows: LayerRows, classes: int) -> NDArray[np.uint8]:
    """Class probabilities (C, h, w) uint8, 0 to ``FULL``; 255 where nodata."""
    if PROBABILITIES not in rows.layers:
        return np.broadcast_to(_nothing(rows), (classes, *rows.valid.shape))
    return _masked(rows.layers[PROBABILITIES].mul(FULL).round_().clamp_(0, FULL), rows)


def _percent(values: torch.Tensor, rows: LayerRows) -> NDArray[np.uint8]:
    return _masked(values.mul(100).round_().clamp_(0, 100), rows)


def _nothing(rows: LayerRows) -> NDArray[np.uint8]:
    return np.full(rows.valid.shape, IGNORE, np.uint8)


def _masked(values: torch.Tensor, rows: LayerRows) -> NDArray[np.uint8]:
    array = values.to(torch.uint8).cpu().numpy()
    array[..., ~rows.valid] = IGNORE
    return np.asarray(array)
