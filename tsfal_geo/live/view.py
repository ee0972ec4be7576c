"""The map of a window of a scene: classes, confidence and error mask, in a tenth of a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.instant.classifier import CellClassifier
from tsfal_geo.live.judgement import Rule
from tsfal_geo.live.statistics import ClassDistances
from tsfal_geo.models.head import upsample
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.layer_crs import stores_flipped_y
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.write import write_view
from tsfal_geo.refinement.support import CELL

MOST_PIXELS = 1536 * 1536
"""Pixels of a window up to which it is computed pixel by pixel; a larger one by every nth cell."""

LAYERS = ("prediction", "confidence", "error_mask")

ValidReader = Callable[[Window], NDArray[np.bool_]]


@dataclass(frozen=True)
class LiveMap:
    """The map of a window.

    Attributes:
        scene: name of the scene.
        window: that it covers.
        step: pixels of the scene along a side of its pixels: 1, or a multiple of 4.
        grid: of its arrays.
        classes: (h, w) uint8 class ids; people's labels where there are some; 255 without data.
        confidence: (h, w) uint8 probability of the class in percent, 255 without data.
        error_mask: (h, w) uint8, 0 outside the mask, inside it the probability of an error in percent; 255
            without data.
    """

    scene: str
    window: Window
    step: int
    grid: GeoBox
    classes: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    error_mask: NDArray[np.uint8]

    def write(self, path: Path, scene: Scene) -> None:
        """Write the layers as the bands ``prediction``, ``confidence`` and ``error_mask`` of a GeoTIFF.

        Args:
            path: the file; it appears whole.
            scene: of the map. Where it has no georeference, y is minus the row, as QGIS has it.
        """
        grid = self.grid
        if stores_flipped_y(scene):
            grid = GeoBox(grid.shape, Affine.scale(1, -1) * grid.affine, None)
        values = (self.classes, self.confidence, self.error_mask)
        write_view(path, grid, dict(zip(LAYERS, values, strict=True)))


@dataclass(frozen=True)
class Model:
    """All that predicts a cell.

    Attributes:
        classifier: the head; None before the first label.
        distances: to the class means; None without two classes.
        rule: for cells in the error mask.
        doubt: confidence below which a cell is in the error mask.
    """

    classifier: CellClassifier | None
    distances: ClassDistances | None
    rule: Rule
    doubt: float


def map_window(
    model: Model,
    scene: Scene,
    classes: ClassMap,
    cells: NDArray[np.float16],
    window: Window,
    labels: LabelReader,
    valid: ValidReader,
) -> LiveMap:
    """Map a window.

    Up to a limit each pixel has its own probabilities, upsampled from cells as a round's are. A larger window
    is computed by every nth cell, so that it takes no longer.

    Args:
        model: with a head.
        scene: the scene.
        classes: the class map.
        cells: (h, w, K) components of the scene, memory-mapped.
        window: inside the scene.
        labels: people's and the folder's labels, which hold where there are some.
        valid: reads the pixels with data.
    """
    part = window.inside(*scene.shape)
    if part is None:
        raise ValueError(f"{window} is outside {scene.name}")
    top, bottom, left, right = part
    window = Window(window.scene, top, left, bottom - top, right - left)
    if window.height * window.width <= MOST_PIXELS:
        return _by_pixels(model, scene, classes, cells, window, labels, valid)
    return _by_cells(model, scene, classes, cells, window)


def _by_pixels(
    model: Model,
    scene: Scene,
    classes: ClassMap,
    cells: NDArray[np.float16],
    window: Window,
    labels: LabelReader,
    valid: ValidReader,
) -> LiveMap:
    first, last = (
        max(window.y // CELL - 1, 0),
        min(-(-(window.y + window.height) // CELL) + 1, cells.shape[0]),
    )
    start, end = max(window.x // CELL - 1, 0), min(-(-(window.x + window.width) // CELL) + 1, cells.shape[1])
    around = np.asarray(cells[first:last, start:end], np.float32)
    rows = torch.from_numpy(_probabilities(model, around)).permute(2, 0, 1)[None]
    fine = upsample(rows, CELL, (rows.shape[2] * CELL, rows.shape[3] * CELL))[0]
    y, x = window.y - first * CELL, window.x - start * CELL
    share, index = fine[:, y : y + window.height, x : x + window.width].max(0)
    confidence = share.numpy()
    found = index.numpy().astype(np.uint8)
    doubtful = confidence < model.doubt
    if model.rule == "distance" and model.distances is not None:
        # The error mask is of pixels, the means are of cells: a doubtful pixel takes the class of its cell.
        touched = np.zeros((around.shape[0] * CELL, around.shape[1] * CELL), bool)
        touched[y : y + window.height, x : x + window.width] = doubtful
        asked = touched.reshape(around.shape[0], CELL, -1, CELL).any((1, 3))
        nearest = np.zeros(asked.shape, np.uint8)
        nearest[asked] = _nearest(model.distances, around[asked])
        fine_nearest = nearest.repeat(CELL, 0).repeat(CELL, 1)
        found = np.where(doubtful, fine_nearest[y : y + window.height, x : x + window.width], found)
    known = labels.read(window)
    found = np.where(known != IGNORE, known, found)
    error = np.where(doubtful & (known == IGNORE), ((1 - confidence) * 100).round().clip(1, 100), 0)
    return _layers(scene, classes, window, 1, found, confidence, error, valid(window))


def _by_cells(
    model: Model, scene: Scene, classes: ClassMap, cells: NDArray[np.float16], window: Window
) -> LiveMap:
    nth = int(np.ceil(np.sqrt(window.height * window.width / MOST_PIXELS)))
    step = CELL * nth
    first, start = window.y // CELL, window.x // CELL
    height, width = -(-window.height // step), -(-window.width // step)
    # The middle cell of each n × n stands for all.
    rows = np.minimum(first + np.arange(height) * nth + nth // 2, cells.shape[0] - 1)
    columns = np.minimum(start + np.arange(width) * nth + nth // 2, cells.shape[1] - 1)
    own = np.asarray(cells[rows][:, columns], np.float32)
    probabilities = _probabilities(model, own)
    confidence = probabilities.max(-1)
    found = probabilities.argmax(-1).astype(np.uint8)
    doubtful = confidence < model.doubt
    if model.rule == "distance" and model.distances is not None:
        found[doubtful] = _nearest(model.distances, own[doubtful])
    error = np.where(doubtful, ((1 - confidence) * 100).round().clip(1, 100), 0)
    aligned = Window(window.scene, first * CELL, start * CELL, height * step, width * step)
    return _layers(scene, classes, aligned, step, found, confidence, error, np.isfinite(own[..., 0]))


def _layers(
    scene: Scene,
    classes: ClassMap,
    window: Window,
    step: int,
    found: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    error: NDArray[np.floating],
    valid: NDArray[np.bool_],
) -> LiveMap:
    affine = scene.grid.affine * Affine.translation(window.x, window.y) * Affine.scale(step)
    grid = GeoBox(found.shape, affine, scene.grid.crs)
    shown = np.where(valid, classes.ids.astype(np.uint8)[found], np.uint8(IGNORE))
    percent = np.where(valid, (confidence * 100).round(), IGNORE).astype(np.uint8)
    mask = np.where(valid, error, IGNORE).astype(np.uint8)
    return LiveMap(scene.name, window, step, grid, shown, percent, mask)


def _cells_around(start: int, length: int, most: int) -> tuple[int, int]:
    return max(start // CELL - 1, 0), min(-(-(start + length) // CELL) + 1, most)


def _probabilities(model: Model, cells: NDArray[np.float32]) -> NDArray[np.float32]:
    assert model.classifier is not None
    return np.nan_to_num(model.classifier.probabilities(cells))


def _nearest(distances: ClassDistances, cells: NDArray[np.float32]) -> NDArray[np.uint8]:
    return distances.nearest(np.nan_to_num(cells)).astype(np.uint8)
