"""From polygons to pixels: a pixel takes the class of the latest polygon that contains its centre."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.labels.model import Label
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.raster.scene import Scene

BLOCK = 512  # pixels a side of what is rasterised at once
LARGE = 500  # corners; polygons with more are cut to the block first
CACHE_BYTES = 128 * 2**20  # per process

ValidReader = Callable[[Window], np.ndarray]


class PolygonLabels:
    """Labels of scenes as rasters, made where and when they are read.

    Args:
        labels: oldest first; the later of two that overlap holds.
        scenes: the scenes; windows are read by a scene's position in this list.
        classes: the class map.
        reuse: an earlier state; its blocks are kept where nothing changed.
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
        self._polygons: list[np.ndarray] = []
        self._values: list[np.ndarray] = []
        for scene in scenes:
            own = by_scene.get(scene.name, [])
            polygons = np.array([label.geometry for label in own], dtype=object)
            self._polygons.append(np.asarray(to_pixels(polygons, scene), dtype=object))
            self._values.append(np.array([index_of[label.class_id] for label in own], dtype=np.uint8))
        self._start()
        if reuse is not None:
            self._adopt(reuse)

    def read(self, window: Window) -> np.ndarray:
        """Class indices of a window; 255 where nothing is labelled and beyond the scene.

        Args:
            window: of one of the scenes, by its position.

        Returns:
            uint8 (height, width). A pixel's value does not depend on the window it is read in.
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

    def blocks(self, scene: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """Every block of a scene with a labelled pixel: its first row, first column and class indices."""
        rows, columns = self._shapes[scene]
        for y in range(0, rows, BLOCK):
            for x in range(0, columns, BLOCK):
                block = self._block(scene, y // BLOCK, x // BLOCK)
                if block is not None:
                    yield y, x, block[: rows - y, : columns - x]

    def pixels(self, valid: ValidReader | None = None) -> np.ndarray:
        """Number of labelled pixels of each class; each pixel counts once, whatever lies over it.

        Args:
            valid: gives which pixels of a window hold data (bool); None counts all.

        Returns:
            int64 (classes,).
        """
        counts = np.zeros(self._classes, dtype=np.int64)
        for scene in range(len(self._shapes)):
            for y, x, block in self.blocks(scene):
                found = block if valid is None else block[valid(Window(scene, y, x, *block.shape))]
                counts += np.bincount(found[found != IGNORE], minlength=self._classes)
        return counts

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value for key, value in self.__dict__.items() if key not in ("_trees", "_cache", "_held")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def _start(self) -> None:
        self._trees = [shapely.STRtree(polygons) for polygons in self._polygons]
        self._cache: OrderedDict[tuple[int, int, int], np.ndarray | None] = OrderedDict()
        self._held = 0

    def _adopt(self, earlier: PolygonLabels) -> None:
        for key, block in earlier._cache.items():
            if self._says(key) == earlier._says(key):
                self._keep(key, block)

    def _says(self, key: tuple[int, int, int]) -> tuple[list[bytes], bytes]:
        hits = self._hits(*key)
        return shapely.to_wkb(self._polygons[key[0]][hits]).tolist(), self._values[key[0]][hits].tobytes()

    def _hits(self, scene: int, row: int, column: int) -> np.ndarray:
        x, y = column * BLOCK, row * BLOCK
        return np.sort(self._trees[scene].query(shapely.box(x, y, x + BLOCK, y + BLOCK)))

    def _block(self, scene: int, row: int, column: int) -> np.ndarray | None:
        key = (scene, row, column)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        block = self._burn(scene, row, column)
        self._keep(key, block)
        return block

    def _burn(self, scene: int, row: int, column: int) -> np.ndarray | None:
        hits = self._hits(scene, row, column)
        if not hits.size:
            return None
        x, y = column * BLOCK, row * BLOCK
        polygons = self._polygons[scene][hits]
        # GDAL looks at every edge of a polygon for every row, also at those far outside the block.
        large = shapely.get_num_coordinates(polygons) > LARGE
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

    def _keep(self, key: tuple[int, int, int], block: np.ndarray | None) -> None:
        self._cache[key] = block
        self._held += 0 if block is None else block.nbytes
        while self._held > CACHE_BYTES:
            _, dropped = self._cache.popitem(last=False)
            self._held -= 0 if dropped is None else dropped.nbytes


class StackedLabels:
    """Several readers over one another: the first that knows a pixel's class gives it."""

    def __init__(self, *readers: LabelReader) -> None:
        self.readers = readers

    def read(self, window: Window) -> np.ndarray:
        """Class indices of a window, uint8 (height, width); 255 where no reader knows."""
        out = np.full(window.shape, IGNORE, dtype=np.uint8)
        for reader in self.readers:
            open_pixels = out == IGNORE
            if not open_pixels.any():
                break
            out[open_pixels] = reader.read(window)[open_pixels]
        return out
