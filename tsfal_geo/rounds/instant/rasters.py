"""Predictions of the instant model on pixels, and the round's rasters of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.classes import IGNORE
from tsfal_geo.instant.classifier import CellClassifier
from tsfal_geo.instant.extract import BLOCK
from tsfal_geo.models.head import upsample
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.round_rasters import RoundRasters


def bands_of(scene: Scene) -> Iterator[tuple[int, int]]:
    """Give first row and rows of the bands that a scene is worked through in.

    Args:
        scene: the scene.
    """
    for y in range(0, scene.height, BLOCK):
        yield y, min(BLOCK, scene.height - y)


def predict(classifier: CellClassifier, cells: NDArray[np.float16]) -> NDArray[np.float32]:
    """Predict a scene, some rows at a time.

    Args:
        classifier: the head.
        cells: (h, w, K) components.

    Returns:
        (h, w, C) float32 probabilities; 0 where there is no data.
    """
    rows = max(1, 65536 // cells.shape[1])
    parts = [classifier.probabilities(cells[y : y + rows]) for y in range(0, len(cells), rows)]
    return np.nan_to_num(np.concatenate(parts))


def on_pixels(probabilities: NDArray[np.float32], y: int, height: int, width: int) -> NDArray[np.float32]:
    """Upsample rows of cells to pixels, bilinearly, as maps are.

    Args:
        probabilities: (h, w, C) of a scene's cells.
        y: first row of pixels.
        height: rows.
        width: columns.

    Returns:
        (C, height, width) float32.
    """
    first, last = max(y // CELL - 1, 0), min(-(-(y + height) // CELL) + 1, len(probabilities))
    rows = torch.from_numpy(probabilities[first:last]).permute(2, 0, 1)[None]
    fine = upsample(rows, CELL, (rows.shape[2] * CELL, rows.shape[3] * CELL))[0]
    top = y - first * CELL
    return fine[:, top : top + height, :width].numpy()


def write_rasters(
    context: RoundContext,
    folder: Path,
    position: int,
    probabilities: NDArray[np.float32],
    labels: LabelReader,
    score: Confusion | None,
) -> None:
    """Write prediction, confidence and error mask of a scene.

    The error mask holds the pixels below the confidence ``plar.confidence``; the head is calibrated, so that
    one minus its confidence is the probability of an error.

    Args:
        context: the workspace.
        folder: of the round.
        position: of the scene.
        probabilities: (h, w, C) of its cells.
        labels: of the round.
        score: takes the map, labels over predictions, against the truth; None without an oracle.
    """
    inputs, doubt = context.inputs, context.config.plar.confidence
    scene = inputs.scenes[position]
    with RoundRasters(folder / scene.name, scene, inputs.classes, refined=False) as rasters:
        for y, height in bands_of(scene):
            window = Window(position, y, 0, height, scene.width)
            fine = on_pixels(probabilities, y, height, scene.width)
            valid, known = inputs.reader.read(window).valid, labels.read(window)
            predicted, confidence = fine.argmax(0).astype(np.uint8), fine.max(0)
            error = np.where(
                (confidence < doubt) & (known == IGNORE), ((1 - confidence) * 100).round().clip(1, 100), 0
            )
            band = rasters.band(height)
            for name, values in (
                ("prediction", predicted), ("confidence", (confidence * 100).round()), ("error_mask", error)
            ):  # fmt: skip
                band[name][valid] = values[valid].astype(np.uint8)
            rasters.write(y, band)
            if score is not None:
                truth = np.where(valid, inputs.truth.read(window), np.uint8(IGNORE))
                score.add(truth, np.where(known != IGNORE, known, predicted))
