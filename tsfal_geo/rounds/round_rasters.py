"""The rasters that a round leaves for every scene, written row of chips by row of chips."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.mapping.pipeline import TileRows
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.sidecars import write_grey_style
from tsfal_geo.raster.write import BLOCK, RasterWriter, class_writer

CLASS_LAYERS = ("prediction", "refined")
SHARE_LAYERS = ("confidence", "error_mask")


# People look at them for one round: half the time to write is worth a tenth more on disk.
_LEVEL = 1


class RoundRasters:
    """``prediction``, ``confidence``, ``error_mask`` and ``refined`` of one scene; a context manager.

    ``prediction`` and ``refined`` hold class ids (``refined`` only where PLAR's votes agreed),
    ``confidence`` the teacher's probability in percent, ``error_mask`` 0 outside the mask and inside it the
    probability of an error in percent, at least 1. 255 is nodata in all of them.

    Args:
        folder: the scene's folder in the round.
        scene: gives the grid.
        classes: the class map.
        refined: whether there is a refiner, hence a ``refined.tif``.
    """

    def __init__(self, folder: Path, scene: Scene, classes: ClassMap, refined: bool) -> None:
        self._folder, self._scene, self._classes = folder, scene, classes
        self.names = [*SHARE_LAYERS, "prediction", *(["refined"] if refined else [])]
        self._rows: dict[str, TileRows] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name in self.names:
                writer = stack.enter_context(self._writer(name))
                rows = TileRows(writer.write, self._scene.height, BLOCK)
                self._rows[name] = stack.enter_context(rows)
            self._stack = stack.pop_all()
        return self

    def band(self, height: int) -> dict[str, NDArray[np.uint8]]:
        """Return rows to be filled: one (height, width) uint8 array of nodata a layer."""
        return {name: np.full((height, self._scene.width), IGNORE, np.uint8) for name in self.names}

    def write(self, y: int, band: dict[str, NDArray[np.uint8]]) -> None:
        """Write rows; bands come in order and without gaps.

        Args:
            y: first row.
            band: (height, width) uint8 of each layer.
        """
        for name, rows in band.items():
            self._rows[name].add(y, 0, rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None:
            for name in SHARE_LAYERS:
                write_grey_style(self._folder / f"{name}.tif", 0, 100)

    def _writer(self, name: str) -> RasterWriter:
        path = self._folder / f"{name}.tif"
        if name in CLASS_LAYERS:
            return class_writer(path, self._scene.grid, self._classes, level=_LEVEL)
        return RasterWriter(path, self._scene.grid, np.uint8, 1, IGNORE, level=_LEVEL)


def write_number_raster(path: Path, scene: Scene, parts: list[tuple[int, int, NDArray[np.uint32]]]) -> None:
    """Write ``queries.tif`` or ``segments.tif``: a number on its pixels, uint32, 0 is nodata.

    Args:
        path: the file.
        scene: gives the grid.
        parts: first row, first column and numbers (h, w) of pieces that do not overlap.
    """
    with RasterWriter(path, scene.grid, np.uint32, 1, 0, overviews="nearest", level=_LEVEL) as writer:
        for y, x, numbers in parts:
            writer.write(y, x, numbers)
