"""Reading of labels: windows of label files, decoded to class indices.

A label file has its scene's grid and holds class ids (one band, with or without a palette) or colours (three
bands; a fourth is alpha). A value that the class map does not hold is an error, never class 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio import windows

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.files import FileHandles, open_raster
from tsfal_geo.raster.label_decoder import UNKNOWN, LabelDecoder, check_grid
from tsfal_geo.raster.label_pixels import label_strips, read_pixels
from tsfal_geo.raster.scene import Scene


class LabelReader(Protocol):
    """Reader of labels of windows of scenes."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read a window.

        Args:
            window: names its scene by the index in the reader's list.

        Returns:
            (height, width) uint8, class indices; 255 where ignored, unlabelled or outside the scene.
        """
        ...


class FolderLabels:
    """Reader of the scenes' label files. Picklable; every process and thread opens files of its own.

    Args:
        scenes: scenes, of which those without a label file are unlabelled.
        classes: the class map.
    """

    def __init__(self, scenes: Sequence[Scene], classes: ClassMap) -> None:
        self.scenes = tuple(scenes)
        self.classes = classes
        self._handles = FileHandles()
        self._decoders: dict[Path, LabelDecoder] = {}

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read a window, which may hang over the scene's edges.

        Args:
            window: names one of `scenes` by its index.

        Returns:
            (height, width) uint8, class indices; 255 where ignored, outside the scene, or without a label
            file.

        Raises:
            LabelError: the class map does not hold a value or colour, or the file has another grid.
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
        pixels = read_pixels(path, dataset, window)
        labels = decoder(pixels)
        if (labels == UNKNOWN).any():
            raise decoder.error(decoder.count(pixels, labels, UNKNOWN), f" near row {window.row_off}")
        return labels

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decoders": {}}


@dataclass(frozen=True)
class LabelCounts:
    """Pixels of label files.

    Attributes:
        classes: (C,) int64, pixels of each class.
        ignored: (id,) or (red, green, blue) that means no class → number of visible pixels.
    """

    classes: NDArray[np.int64]
    ignored: Counter[tuple[int, ...]]

    def __add__(self, other: LabelCounts) -> LabelCounts:
        return LabelCounts(self.classes + other.classes, self.ignored + other.ignored)


def check_labels(scene: Scene, classes: ClassMap) -> LabelCounts:
    """Check that the class map holds every pixel of a scene's label file, and count the pixels.

    Args:
        scene: the scene; without a label file there is nothing to check.
        classes: the class map.

    Returns:
        The pixels of each class, and of the values that mean no class.

    Raises:
        LabelError: the file has another size or place, or holds values that the class map does not; the
            message names the file, the commonest such value and its number of pixels.
        RasterError: the file cannot be read.
    """
    counts = np.zeros(IGNORE + 1, np.int64)
    ignored: Counter[tuple[int, ...]] = Counter()
    unknown: Counter[tuple[int, ...]] = Counter()
    if scene.labels is not None:
        with open_raster(scene.labels) as dataset:
            check_grid(scene, scene.labels, dataset)
            decoder = LabelDecoder(scene.labels, dataset, classes)
            for pixels in label_strips(scene.labels, dataset):
                labels = decoder(pixels)
                found = np.bincount(labels.ravel(), minlength=IGNORE + 1)
                counts += found
                if found[UNKNOWN]:
                    unknown += decoder.count(pixels, labels, UNKNOWN)
                if found[IGNORE]:
                    ignored += decoder.count(pixels, labels, IGNORE)
    if unknown:
        raise decoder.error(unknown)
    return LabelCounts(counts[: len(classes)], ignored)
