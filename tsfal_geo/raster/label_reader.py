"""Labels of scenes: decoding label files to class indices, never guessing.

A label file has its scene's grid and holds class ids (one band, with or without a palette) or colours (three
bands; a fourth is alpha). What the class map does not hold is an error, never class 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio import windows

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.files import FileHandles, open_raster, reading
from tsfal_geo.raster.label_decoder import UNKNOWN, LabelDecoder, check_grid, row_strips
from tsfal_geo.raster.scene import Scene


class LabelReader(Protocol):
    """Anything that gives the labels of a window of a scene."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class indices (height, width) uint8; 255 where ignored, unlabelled or outside the scene."""
        ...


class FolderLabels:
    """The label files found beside the scenes. Picklable; opens files per process and thread.

    Args:
        scenes: their ``labels`` are read; a scene without is unlabelled everywhere.
        classes: the class map.
    """

    def __init__(self, scenes: Sequence[Scene], classes: ClassMap) -> None:
        self.scenes = tuple(scenes)
        self.classes = classes
        self._handles = FileHandles()
        self._decoders: dict[Path, LabelDecoder] = {}

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class indices of a window, which may hang over the scene's edges.

        Returns:
            (height, width) uint8; 255 where ignored, outside the scene, or without a label file.

        Raises:
            LabelError: a value or colour that the class map does not hold, or a file of another grid.
        """
        source = self.scenes[window.scene]
        labels = np.full(window.shape, IGNORE, np.uint8)
        part = window.inside(source.height, source.width)
        if source.labels is None or part is None:
            return labels
        top, bottom, left, right = part
        found = self._decode(source, source.labels, windows.Window(left, top, right - left, bottom - top))
        labels[top - window.y : bottom - window.y, left - window.x : right - window.x] = found
        return labels

    def close(self) -> None:
        """Close the files that this thread holds open."""
        self._handles.close()

    def _decode(self, scene: Scene, path: Path, window: windows.Window) -> NDArray[np.uint8]:
        dataset = self._handles.get(path)
        decoder = self._decoders.get(path)
        if decoder is None:
            check_grid(scene, path, dataset)
            decoder = self._decoders[path] = LabelDecoder(path, dataset, self.classes)
        with reading(path):
            values = dataset.read(window=window)
        labels = decoder(values)
        if (labels == UNKNOWN).any():
            raise decoder.error(decoder.unknown(values, labels), f" near row {window.row_off}")
        return labels

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decoders": {}}


def check_labels(scene: Scene, classes: ClassMap) -> None:
    """Read the whole label file of a scene and make sure that the class map holds all of it.

    Raises:
        LabelError: a file of another size or place, or values that the class map does not hold; the message
            names the file, the commonest unknown value and its number of pixels.
        RasterError: the file cannot be read.
    """
    if scene.labels is None:
        return
    with open_raster(scene.labels) as dataset:
        check_grid(scene, scene.labels, dataset)
        decoder = LabelDecoder(scene.labels, dataset, classes)
        unknown: Counter[tuple[int, ...]] = Counter()
        for values in row_strips(scene.labels, dataset):
            labels = decoder(values)
            if (labels == UNKNOWN).any():
                unknown += decoder.unknown(values, labels)
    if unknown:
        raise decoder.error(unknown)
