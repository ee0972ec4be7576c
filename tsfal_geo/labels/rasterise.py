"""From labels to pixels: a pixel takes the class of the latest polygon that contains its centre."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.labels.footprints import with_area
from tsfal_geo.labels.model import Label
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.raster.scene import Scene

BLOCK = 512  # pixels a side of the blocks that are rasterised and cached
LARGE = 500  # corners; polygons with more are cut to the block first
FAR = 1e6  # pixels; polygons that reach beyond are cut, too
CACHE_BYTES = 128 * 2**20  # per process

ValidReader = Callable[[Window], NDArray[np.bool_]]


class PolygonLabels:
    """Labels as class rasters that are rasterised block by block when a window is read.

    Args:
        labels: oldest first; where two overlap, the later one holds.
        scenes: the scenes; a window names a scene by its position in this list.
        classes: the class map.
        reuse: labels of an earlier round; cached blocks are reused where their labels did not change.
    """

    def __init__(
        self,
        labels: Sequence[Label],
        scenes: Sequence[Scene],
        classes: ClassMap,
        reuse: PolygonLabels | None = None,
    ) -> None:
        self._shapes = [(scene.height, scene.width) for scene in scenes]
        self._classes = len(classes)
        index_of = {int(value): index for index, value in enumerate(classes.ids)}
        by_scene: dict[str, list[Label]] = {}
        for label in labels:
            by_scene.setdefault(label.scene, []).append(label)
        self._polygons: list[NDArray[np.object_]] = []
        self._values: list[NDArray[np.uint8]] = []
        for scene in scenes:
            own = by_scene.get(scene.name, [])
            polygons = with_area(np.array([label.geometry for label in own], dtype=object), scene, None)
            self._polygons.append(np.asarray(to_pixels(polygons, scene), dtype=object))
            self._values.append(np.array([index_of[label.class_id] for label in own], dtype=np.uint8))
        self._index()
        if reuse is not None:
            self._reuse_blocks(reuse)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read class indices of a window; 255 without a label and beyond the scene.

        Args:
            window: may reach beyond the scene.

        Returns:
            (height, width) uint8. The value of a pixel is the same in every window that contains it.
        """
        scene, y, x = window.scene, window.y, window.x
        out = np.full(window.shape, IGNORE, dtype=np.uint8)
        part = window.inside(*self._shapes[scene])
        if part is None:
            return out
        top, bottom, left, right = part
        for block_row in range(top // BLOCK, -(-bottom // BLOCK)):
            for block_column in range(left // BLOCK, -(-right // BLOCK)):
                block = self._block(scene, block_row, block_column)
                if block is None:
                    continue
                y0, x0 = block_row * BLOCK, block_column * BLOCK
                from_y, to_y = max(top, y0), min(bottom, y0 + BLOCK)
                from_x, to_x = max(left, x0), min(right, x0 + BLOCK)
                out[from_y - y : to_y - y, from_x - x : to_x - x] = block[
                    from_y - y0 : to_y - y0, from_x - x0 : to_x - x0
                ]
        return out

    def blocks(self, scene: int) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """Iterate over the blocks of a scene that a label touches.

        Args:
            scene: position of the scene.

        Yields:
            First row, first column, and (h, w) uint8 class indices, 255 without a label.
        """
        rows, columns = self._shapes[scene]
        for y in range(0, rows, BLOCK):
            for x in range(0, columns, BLOCK):
                block = self._block(scene, y // BLOCK, x // BLOCK)
                if block is not None:
                    yield y, x, block[: rows - y, : columns - x]

    def pixels(self, valid: ValidReader | None = None) -> NDArray[np.int64]:
        """Count the labelled pixels of each class; a pixel counts once, for the label that holds.

        Args:
            valid: reads the (height, width) bool mask of a window's valid pixels; None counts all pixels.

        Returns:
            (C,) int64.
        """
        counts = np.zeros(self._classes, dtype=np.int64)
        for scene in range(len(self._shapes)):
            for y, x, block in self.blocks(scene):
                found = block if valid is None else block[valid(Window(scene, y, x, *block.shape))]
                counts += np.bincount(found[found != IGNORE], minlength=self._classes)
        return counts

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in self.__dict__.items()
            if key not in ("_trees", "_cache", "_cached_bytes")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._index()

    def _index(self) -> None:
        self._trees = [shapely.STRtree(polygons) for polygons in self._polygons]
        self._cache: OrderedDict[tuple[int, int, int], NDArray[np.uint8] | None] = OrderedDict()
        self._cached_bytes = 0

    def _reuse_blocks(self, earlier: PolygonLabels) -> None:
        for key, block in earlier._cache.items():
            if self._content(key) == earlier._content(key):
                self._cache_block(key, block)

    def _content(self, key: tuple[int, int, int]) -> tuple[list[bytes], bytes]:
        hits = self._hits(*key)
        return shapely.to_wkb(self._polygons[key[0]][hits]).tolist(), self._values[key[0]][hits].tobytes()

    def _hits(self, scene: int, row: int, column: int) -> NDArray[np.intp]:
        """Positions of the labels that touch a block, oldest first."""
        x, y = column * BLOCK, row * BLOCK
        return np.sort(self._trees[scene].query(shapely.box(x, y, x + BLOCK, y + BLOCK)))

    def _block(self, scene: int, row: int, column: int) -> NDArray[np.uint8] | None:
        key = (scene, row, column)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        block = self._rasterise(scene, row, column)
        self._cache_block(key, block)
        return block

    def _rasterise(self, scene: int, row: int, column: int) -> NDArray[np.uint8] | None:
        hits = self._hits(scene, row, column)
        if not hits.size:
            return None
        x, y = column * BLOCK, row * BLOCK
        polygons = self._polygons[scene][hits]
        # GDAL visits every edge of a polygon for every row of the block, also edges far outside it, and its
        # arithmetic does not reach to any distance.
        far = np.abs(shapely.bounds(polygons)).max(axis=1) > FAR
        large = far | (shapely.get_num_coordinates(polygons) > LARGE)
        polygons[large] = shapely.clip_by_rect(polygons[large], x - 1, y - 1, x + BLOCK + 1, y + BLOCK + 1)
        shapes = [
            (polygon, value)
            for polygon, value in zip(polygons, self._values[scene][hits].tolist(), strict=True)
            if not polygon.is_empty
        ]
        block = np.full((BLOCK, BLOCK), IGNORE, dtype=np.uint8)
        if shapes:
            rasterize(shapes, out=block, transform=Affine.translation(x, y))
        return block

    def _cache_block(self, key: tuple[int, int, int], block: NDArray[np.uint8] | None) -> None:
        self._cache[key] = block
        self._cached_bytes += 0 if block is None else block.nbytes
        while self._cached_bytes > CACHE_BYTES:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= 0 if dropped is None else dropped.nbytes


class StackedLabels:
    """An overlay of label readers: a pixel takes the class of the first reader that has one.

    Args:
        readers: the topmost first.
    """

    def __init__(self, *readers: LabelReader) -> None:
        self.readers = readers

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read class indices of a window.

        Args:
            window: may reach beyond the scene.

        Returns:
            (height, width) uint8; 255 where no reader has a class.
        """
        out = np.full(window.shape, IGNORE, dtype=np.uint8)
        for reader in self.readers:
            unlabelled = out == IGNORE
            if not unlabelled.any():
                break
            out[unlabelled] = reader.read(window)[unlabelled]
        return out
