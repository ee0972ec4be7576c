"""Orthophoto scenes as a torchgeo dataset of pixel windows.

torchgeo addresses a dataset by coordinates and reads through ``rasterio.merge``. Here a query names a pixel
window of one scene, so that a chip holds the file's own pixels and its transform is exact. The samplers of
this package yield `ChipSlice`, which torchgeo's tools accept because it is also a tuple of three slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
import torch
from affine import Affine
from torch import Tensor
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.utils import GeoSlice

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Chip, Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene

Sample = dict[str, Tensor]

_COLUMN_BASE = 10**6  # (row, column) of a chip as one integer; no scene has a million columns of chips
_LAYOUT_GAP = 64  # pixels between scenes without a CRS, laid out beside each other
_ALWAYS = slice(pd.Timestamp.min, pd.Timestamp.max, 1)


class ChipSlice(tuple[slice, slice, slice]):
    """A torchgeo query, x, y and t slices in the index's CRS, that also names the exact chip.

    Attributes:
        chip: the pixel window to read.
    """

    chip: Chip

    def __new__(cls, chip: Chip, slices: tuple[slice, slice, slice]) -> ChipSlice:
        """Make the query of a chip.

        Args:
            chip: the pixel window to read.
            slices: its bounds in the index's CRS, and its time.

        Returns:
            The query.
        """
        self = super().__new__(cls, slices)
        self.chip = chip
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return ChipSlice, (self.chip, tuple(self))


class OrthoDataset(GeoDataset):
    """Chips of orthophotos with their labels, in the rasters' own data type.

    A sample holds

    - ``image`` (B, H, W), native dtype; ``valid`` (H, W) bool;
    - ``height`` (1, H, W) float32, metres above local ground: only with a surface model;
    - ``mask`` (H, W) uint8, class indices, 255 ignored: only with labels;
    - ``scene`` int64; ``chip`` (4,) int64 = y, x, size, row · 10⁶ + column;
    - ``transform`` (6,) float64, the affine coefficients a, b, c, d, e, f of the window on its scene's grid,
      in pixels without a georeference.

    The index has the CRS of the first scene; each scene keeps its own grid. If a scene has no georeference,
    the index is a layout in pixels, with the scenes beside each other.

    Attributes:
        reader: reads the scenes.
        labels: reads their labels, or None.
        chips: the chips of the dataset, in order.
        label_key: name of the labels in a sample.
    """

    def __init__(
        self,
        reader: SceneReader,
        labels: LabelReader | None = None,
        chips: Sequence[Chip] = (),
        *,
        label_key: str = "mask",
    ) -> None:
        """Build the index; no pixel is read.

        Args:
            reader: reads the scenes.
            labels: reads their labels; None for samples without labels.
            chips: the chips of the dataset, for access by number.
            label_key: name of the labels in a sample.

        Raises:
            RasterError: there is no scene.
        """
        if not reader.scenes:
            raise RasterError(
                "found no scene to make chips from, expected at least one; see `tsfal-geo info`"
            )
        self.reader = reader
        self.labels = labels
        self.chips = tuple(chips)
        self.label_key = label_key
        self.paths = [str(scene.path) for scene in reader.scenes]
        self._affines = _index_affines(reader.scenes)
        self.index = _index_frame(reader.scenes, self._affines)
        self._res = _pixel_size(self._affines[0])

    @property
    def scenes(self) -> Sequence[Scene]:
        """The scenes, in the order of ``Chip.scene``."""
        return self.reader.scenes

    def __getitem__(self, index: GeoSlice) -> Sample:
        """Read one window.

        Args:
            index: a `ChipSlice`; or plain x and y slices in the index's CRS, which are rounded to the pixel
                grid of the scene that holds most of the area.

        Returns:
            The sample.

        Raises:
            IndexError: the query meets no scene, or names another pixel size than the scene's.
            RasterError: the slices are plain, and the scenes have different CRSs.
        """
        if isinstance(index, ChipSlice):
            return self.read_chip(index.chip)
        return self.read_window(self._window(index))

    def read_chip(self, chip: Chip) -> Sample:
        """Read a chip.

        Args:
            chip: a chip of one of the scenes.

        Returns:
            The sample; pixels outside the scene are not valid, and 255 in the labels.

        Raises:
            RasterError: a block of a file cannot be read.
            LabelError: the class map does not hold a label.
        """
        sample = self.read_window(chip.window)
        sample["chip"][3] = chip.row * _COLUMN_BASE + chip.col
        return sample

    def read_window(self, window: Window) -> Sample:
        """Read any pixel window of a scene.

        Args:
            window: a window of one of the scenes.

        Returns:
            The sample; its ``chip`` is y, x, height, -1.

        Raises:
            RasterError: a block of a file cannot be read.
            LabelError: the class map does not hold a label.
        """
        patch = self.reader.read(window)
        sample = {
            "image": torch.from_numpy(patch.image),
            "valid": torch.from_numpy(patch.valid),
            "scene": torch.tensor(window.scene),
            "chip": torch.tensor((window.y, window.x, window.height, -1)),
            "transform": torch.tensor(
                tuple(self.scenes[window.scene].grid.affine @ Affine.translation(window.x, window.y))[:6],
                dtype=torch.float64,
            ),
        }
        if patch.height is not None:
            sample["height"] = torch.from_numpy(patch.height)
        if self.labels is not None:
            sample[self.label_key] = torch.from_numpy(self.labels.read(window))
        return sample

    def chip_slice(self, chip: Chip) -> ChipSlice:
        """Make the query of a chip.

        Args:
            chip: a chip of one of the scenes.

        Returns:
            The bounding box of the chip in the index's CRS, and the chip itself.
        """
        return ChipSlice(chip, self._slices(chip.scene, chip.y, chip.x, chip.size))

    def _slices(self, scene: int, y: int, x: int, size: int) -> tuple[slice, slice, slice]:
        affine = self._affines[scene]
        corners = np.array([affine @ (x + dx, y + dy) for dx in (0, size) for dy in (0, size)])
        crs = _crs(self.scenes[scene])
        if self.index.crs is not None and not self.index.crs.equals(crs):
            move = _transformer(crs, self.index.crs)
            corners = np.stack(move.transform(corners[:, 0], corners[:, 1]), axis=1)
        (left, bottom), (right, top) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return (
            slice(left, right, self._res[0]),
            slice(bottom, top, self._res[1]),
            _ALWAYS,
        )

    def _window(self, index: GeoSlice) -> Window:
        """The pixel window that plain slices describe."""
        systems = {scene.grid.crs for scene in self.scenes}
        if len(systems) > 1:
            raise RasterError(
                f"found scenes in {len(systems)} CRSs, expected one for queries by coordinates; "
                "query by chip, with the samplers of tsfal_geo.data"
            )
        xs, ys, _ = self._disambiguate_slice(index)
        query = shapely.box(xs.start, ys.start, xs.stop, ys.stop)
        shared = self.index.geometry.intersection(query).area.to_numpy()
        scene = int(shared.argmax())
        if not shared[scene] > 0:
            raise IndexError(f"index: {index} not found in dataset with bounds: {self.bounds}")
        affine = self._affines[scene]
        xres, yres = _pixel_size(affine)
        steps = [part.step for part in (index if isinstance(index, tuple) else (index,))[:2]]
        for step, res in zip(steps, (xres, yres), strict=False):
            if step is not None and abs(step - res) > 1e-6 * res:
                raise IndexError(
                    f"index: found pixel size {step}, expected {res} as in {self.scenes[scene].path}; leave "
                    "the step out"
                )
        width, height = max(1, round((xs.stop - xs.start) / xres)), max(1, round((ys.stop - ys.start) / yres))
        column, row = ~affine @ ((xs.start + xs.stop) / 2, (ys.start + ys.stop) / 2)
        return Window(scene, round(row - height / 2), round(column - width / 2), height, width)


def _pixel_size(affine: Affine) -> tuple[float, float]:
    return float(np.hypot(affine.a, affine.d)), float(np.hypot(affine.b, affine.e))


def _index_affines(scenes: Sequence[Scene]) -> list[Affine]:
    """Transforms of pixels to the index, each scene in its own CRS; in pixels if one has no georeference."""
    if all(scene.georeferenced for scene in scenes):
        return [scene.grid.affine for scene in scenes]
    widths = [scene.width + _LAYOUT_GAP for scene in scenes]
    lefts = np.cumsum([0, *widths[:-1]]).tolist()
    return [Affine.translation(left, 0) for left in lefts]


def _index_frame(scenes: Sequence[Scene], affines: Sequence[Affine]) -> gpd.GeoDataFrame:
    """The index in torchgeo's form: a footprint, a file and an unbounded time interval for each scene."""
    systems = [_crs(scene) for scene in scenes]
    target = systems[0] if None not in systems else None
    footprints = []
    for scene, affine, source in zip(scenes, affines, systems, strict=True):
        ring = [(0, 0), (scene.width, 0), (scene.width, scene.height), (0, scene.height)]
        footprint = shapely.Polygon([affine @ corner for corner in ring])
        if target is not None and not target.equals(source):
            move = _transformer(source, target)
            footprint = shapely.transform(footprint, move.transform, interleaved=False)
        footprints.append(footprint)
    always = [(_ALWAYS.start, _ALWAYS.stop)] * len(scenes)
    times = pd.IntervalIndex.from_tuples(always, closed="both", name="datetime")
    paths = [str(scene.path) for scene in scenes]
    return gpd.GeoDataFrame({"filepath": paths}, index=times, geometry=footprints, crs=target)


def _crs(scene: Scene) -> pyproj.CRS | None:
    return None if scene.grid.crs is None else scene.grid.crs.proj


@lru_cache(maxsize=64)
def _transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
