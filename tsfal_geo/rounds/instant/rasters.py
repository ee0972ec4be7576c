"""Predictions of the instant model, band by band of a scene, and what a round's rasters show of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.instant.blocks import BLOCK
from tsfal_geo.instant.classifier import CellClassifier
from tsfal_geo.models.head import upsample
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import CELL


@dataclass(frozen=True)
class Band:
    """Rows of a scene.

    Attributes:
        window: its pixels.
        cells: (h, w, K) components of its cells.
        probabilities: (h, w, C) float32 of its cells, 0 where there is no data; None without a model.
        pixels: (C, H, W) float32 of its pixels; None without a model.
    """

    window: Window
    cells: NDArray[np.float16]
    probabilities: NDArray[np.float32] | None
    pixels: NDArray[np.float32] | None


def bands_of(
    classifier: CellClassifier | None, cells: NDArray[np.float16], position: int, scene: Scene
) -> Iterator[Band]:
    """Predict a scene, some rows at a time, so that memory does not grow with its height.

    Probabilities are upsampled bilinearly from cells to pixels, with the rows beyond the band.

    Args:
        classifier: the head; None without a model.
        cells: (h, w, K) components of the scene.
        position: of the scene.
        scene: the scene.
    """
    for window, own in cell_bands(cells, position, scene):
        if classifier is None:
            yield Band(window, own, None, None)
            continue
        y = window.y
        first, last = y // CELL, -(-(y + window.height) // CELL)
        before, after = max(first - 1, 0), min(last + 1, len(cells))
        around = np.nan_to_num(classifier.probabilities(cells[before:after]))
        rows = torch.from_numpy(around).permute(2, 0, 1)[None]
        fine = upsample(rows, CELL, (rows.shape[2] * CELL, rows.shape[3] * CELL))[0]
        top = y - before * CELL
        yield Band(
            window,
            own,
            around[first - before : last - before],
            fine[:, top : top + window.height, : window.width].numpy(),
        )


def cell_bands(
    cells: NDArray[np.float16], position: int, scene: Scene
) -> Iterator[tuple[Window, NDArray[np.float16]]]:
    """Divide a scene's cells into bands.

    Args:
        cells: (h, w, K) components of the scene.
        position: of the scene.
        scene: the scene.

    Yields:
        The pixels of a band, and (rows, w, K) its cells.
    """
    for y in range(0, scene.height, BLOCK):
        window = Window(position, y, 0, min(BLOCK, scene.height - y), scene.width)
        yield window, cells[y // CELL : -(-(y + window.height) // CELL)]


def layers_of(
    pixels: NDArray[np.float32], known: NDArray[np.uint8], doubt: float
) -> dict[str, NDArray[np.uint8]]:
    """Return the layers of a round's rasters.

    The error mask holds the unlabelled pixels of little confidence; the head is calibrated, so that one minus
    its confidence is the probability of an error.

    Args:
        pixels: (C, H, W) probabilities.
        known: (H, W) uint8 labels, 255 without one.
        doubt: confidence below which a pixel is in the error mask.

    Returns:
        ``prediction`` in class indices, ``confidence`` and ``error_mask`` in percent, (H, W) uint8.
    """
    confidence = pixels.max(0)
    error = ((1 - confidence) * 100).round().clip(1, 100)
    return {
        "prediction": pixels.argmax(0).astype(np.uint8),
        "confidence": (confidence * 100).round().astype(np.uint8),
        "error_mask": np.where((confidence < doubt) & (known == IGNORE), error, 0).astype(np.uint8),
    }
