"""The rasters' values from output layers: class indices and percentages, 255 for nodata."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.inference.outputs import ERROR, PROBABILITIES
from tsfal_geo.mapping.windowed import LayerRows

FULL = 250
"""The value of probability 1 in a raster of probabilities."""


def classes(rows: LayerRows) -> NDArray[np.uint8]:
    """Choose the most likely class.

    Args:
        rows: finished rows, with class probabilities (C, h, w) unless nothing is valid.

    Returns:
        Class indices (h, w) uint8, 255 where nodata.
    """
    if PROBABILITIES not in rows.layers:
        return _nodata(rows)
    # On a CPU argmax over the first axis takes seven times as long.
    return _masked(rows.layers[PROBABILITIES].max(0).indices, rows)


def confidence(rows: LayerRows) -> NDArray[np.uint8]:
    """Compute the probability of the most likely class.

    Args:
        rows: finished rows.

    Returns:
        Percentages (h, w) uint8, 0 to 100, 255 where nodata.
    """
    if PROBABILITIES not in rows.layers:
        return _nodata(rows)
    return _percent(rows.layers[PROBABILITIES].amax(0), rows)


def entropy(rows: LayerRows) -> NDArray[np.uint8]:
    """Compute the entropy of the class probabilities.

    Args:
        rows: finished rows.

    Returns:
        Percentages of the maximum, log C, (h, w) uint8, 0 to 100, 255 where nodata.
    """
    if PROBABILITIES not in rows.layers:
        return _nodata(rows)
    values = rows.layers[PROBABILITIES]
    total = torch.special.entr(values).sum(0)
    return _percent(total / math.log(max(len(values), 2)), rows)


def error_mask(rows: LayerRows, doubt: float, threshold: float | None) -> NDArray[np.uint8]:
    """Compute the error mask, the pixels of low confidence and those that the decoder finds wrong.

    Args:
        rows: finished rows, with the layer ``error`` unless ``threshold`` is None.
        doubt: confidence below which a pixel is in the mask.
        threshold: probability of the decoder above which a pixel is in the mask; None without a decoder.

    Returns:
        (h, w) uint8: in the mask the probability of an error in percent, 1 to 100, which is 1 minus the
        confidence without a decoder; 0 outside the mask, 255 where nodata.
    """
    if PROBABILITIES not in rows.layers:
        return _nodata(rows)
    best = rows.layers[PROBABILITIES].amax(0)
    mask, error = best < doubt, 1 - best
    if threshold is not None:
        error = rows.layers[ERROR][0]
        mask |= error > threshold
    return _masked(torch.where(mask, error.mul(100).round_().clamp_(1, 100), 0), rows)


def probabilities(rows: LayerRows, classes: int) -> NDArray[np.uint8]:
    """Quantise the class probabilities.

    Args:
        rows: finished rows.
        classes: their number C, for rows without a valid pixel.

    Returns:
        (C, h, w) uint8, 0 to ``FULL``, 255 where nodata.
    """
    if PROBABILITIES not in rows.layers:
        return np.broadcast_to(_nodata(rows), (classes, *rows.valid.shape))
    return _masked(rows.layers[PROBABILITIES].mul(FULL).round_().clamp_(0, FULL), rows)


def _percent(values: torch.Tensor, rows: LayerRows) -> NDArray[np.uint8]:
    return _masked(values.mul(100).round_().clamp_(0, 100), rows)


def _nodata(rows: LayerRows) -> NDArray[np.uint8]:
    return np.full(rows.valid.shape, IGNORE, np.uint8)


def _masked(values: torch.Tensor, rows: LayerRows) -> NDArray[np.uint8]:
    array = values.to(torch.uint8).cpu().numpy()
    array[..., ~rows.valid] = IGNORE
    return np.asarray(array)
