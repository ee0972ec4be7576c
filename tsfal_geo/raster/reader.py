"""Reading of windows: native pixels, validity, height above local ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio import windows
from rasterio.features import rasterize
from rasterio.io import DatasetReader

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.files import FileHandles, reading
from tsfal_geo.raster.height import HeightModel
from tsfal_geo.raster.radiometry import Radiometry, conversion
from tsfal_geo.raster.scene import Scene


@dataclass(frozen=True)
class Patch:
    """The pixels of one window.

    Attributes:
        image: (bands, height, width) in the reader's ``band_dtype``. Values of invalid pixels are those of
        the
            file (NaN included); pixels outside the scene are 0.
        valid: (height, width) bool; False for nodata, masked pixels and pixels outside the scene.
        height: (1, height, width) float32, metres (DSM units) above local ground, 0 where the DSM has no
            value; None when the DSM is not used.
    """

    image: NDArray[np.generic]
    valid: NDArray[np.bool_]
    height: NDArray[np.float32] | None = None


class PatchReader(Protocol):
    """Reader of windows of scenes, from files or from arrays in memory.

    Attributes:
        scenes: the scenes; a window names one by its index.
    """

    scenes: tuple[Scene, ...]

    def read(self, window: Window) -> Patch:
        """Read a window, which may hang over the scene's edges.

        Args:
            window: names one of `scenes` by its index.

        Returns:
            Arrays of the window's shape; pixels outside the scene are 0 and not valid.
        """
        ...


class SceneReader:
    """Reader of windows of scenes. Picklable; every process and thread opens files of its own.

    Args:
        scenes: scenes with the same type of pixels.
        bands: 1-based band numbers, in the order of the channels; None for all but a real alpha band.
        use_dsm: also read height above local ground; every scene needs a surface model then.
        handles: cache of open files to read with; None: a new one.
        reference: declarations of the scene whose numbers all scenes are read in, where scales and offsets
            differ; None: the first scene's.

    Attributes:
        scenes: the scenes.
        band_dtype: type of the pixels that are read: the scenes' own, or float32 where numbers are converted.

    Raises:
        RasterError: the scenes differ in type or number of bands, a scene lacks a band, or lacks a surface
            model, or scales and offsets are declared for some scenes only.

    Example:
        >>> reader = SceneReader(discover(folder), bands=(1, 2, 3), use_dsm=False)  # doctest: +SKIP
        >>> reader.read(Window(0, 0, 0, 512, 512)).image.shape  # doctest: +SKIP
        (3, 512, 512)
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        bands: tuple[int, ...] | None,
        use_dsm: bool,
        handles: FileHandles | None = None,
        reference: Radiometry | None = None,
    ) -> None:
        self.scenes = tuple(scenes)
        if not self.scenes:
            raise RasterError("there are no scenes to read")
        self._bands = [_choose_bands(scene, bands) for scene in self.scenes]
        reference = reference or self.scenes[0].radiometry
        self._conversions = [
            conversion(scene.path, scene.radiometry, reference, chosen)
            for scene, chosen in zip(self.scenes, self._bands, strict=True)
        ]
        stored = _common_dtype(self.scenes)
        self.band_dtype = stored if not any(self._conversions) else np.dtype(np.float32)
        self._check_band_counts()
        self._handles = handles or FileHandles()
        self._heights: list[HeightModel] | None = None
        if use_dsm:
            self._heights = [_height_model(scene, self._handles) for scene in self.scenes]

    @property
    def bands(self) -> int:
        """Number of image bands."""
        return len(self._bands[0])

    @property
    def channels(self) -> int:
        """Number of channels of the network's input: bands, and height if it is read."""
        return self.bands + (self._heights is not None)

    def read(self, window: Window) -> Patch:
        """Read a window, which may hang over the scene's edges.

        Args:
            window: names one of `scenes` by its index.

        Returns:
            Arrays of the window's shape; pixels outside the scene are 0 and not valid.

        Raises:
            RasterError: a block of the file cannot be read.
        """
        source = self.scenes[window.scene]
        part = window.inside(source.height, source.width)
        if part is None:
            return self._empty(*window.shape)
        top, bottom, left, right = part
        patch = self._read_inside(window.scene, windows.Window(left, top, right - left, bottom - top))
        if patch.valid.shape == window.shape:
            return patch
        rows = top - window.y, window.y + window.height - bottom
        columns = left - window.x, window.x + window.width - right
        return _padded(patch, (rows, columns))

    def close(self) -> None:
        """Close the files that this thread holds open."""
        self._handles.close()

    def _read_inside(self, scene: int, window: windows.Window) -> Patch:
        source = self.scenes[scene]
        bands = self._bands[scene]
        dataset = self._handles.get(source.path)
        with reading(source.path):
            image = dataset.read(list(bands), window=window)
            valid = _valid(source, bands, image, dataset, window)
        inside = _in_area(source, window)
        if inside is not None:
            valid &= inside
        change = self._conversions[scene]
        if change is not None:
            image = change(image)
        elif image.dtype != self.band_dtype:
            image = image.astype(self.band_dtype)
        surface = None
        if self._heights is not None:
            surface = self._heights[scene].read(window)[None]
        return Patch(image, valid, surface)

    def _empty(self, height: int, width: int) -> Patch:
        image = np.zeros((self.bands, height, width), self.band_dtype)
        surface = np.zeros((1, height, width), np.float32) if self._heights is not None else None
        return Patch(image, np.zeros((height, width), bool), surface)

    def _check_band_counts(self) -> None:
        first = len(self._bands[0])
        for scene, bands in zip(self.scenes, self._bands, strict=True):
            if len(bands) != first:
                raise RasterError(
                    f"{scene.path} has {len(bands)} bands, {self.scenes[0].path} has {first}; choose bands "
                    "that all scenes have with --bands, such as --bands 1,2,3"
                )


def _valid(
    scene: Scene,
    bands: Sequence[int],
    image: NDArray[np.generic],
    dataset: DatasetReader,
    window: windows.Window,
) -> NDArray[np.bool_]:
    declared = scene.radiometry
    each = None if declared is None else [declared.nodata[band - 1] for band in bands]
    valid = valid_pixels(image, scene.nodata if each is None else each)
    if scene.masked:
        valid &= dataset.read_masks(scene.spectral[0], window=window) > 0
    elif scene.alpha is not None and scene.alpha not in bands:
        valid &= dataset.read(scene.alpha, window=window) > 0
    return valid


def _in_area(scene: Scene, window: windows.Window) -> NDArray[np.bool_] | None:
    """Tell the pixels of a window whose centres lie in the scene's area.

    Args:
        scene: the scene.
        window: inside it.

    Returns:
        (height, width) bool; None where all of them do.
    """
    if scene.area is None:
        return None
    area = _area(scene.area)
    x, y = window.col_off, window.row_off
    box = shapely.box(x, y, x + window.width, y + window.height)
    if shapely.contains(area, box):
        return None
    inside = np.zeros((round(window.height), round(window.width)), np.uint8)
    part = shapely.intersection(area, box)
    polygons = [each for each in shapely.get_parts(part) if shapely.area(each) > 0]
    if polygons:
        rasterize([(each, 1) for each in polygons], out=inside, transform=Affine.translation(x, y))
    return inside.astype(bool)


@lru_cache(maxsize=64)
def _area(area: bytes) -> shapely.Geometry:
    shape = shapely.from_wkb(area)
    shapely.prepare(shape)
    return shape


def valid_pixels(
    image: NDArray[np.generic], nodata: float | Sequence[float | None] | None
) -> NDArray[np.bool_]:
    """Tell measurements from nodata.

    A pixel of integers is nodata if *all* bands have their nodata value, since a dark pixel may be 0 in one
    of
    them. A pixel of floats is nodata if *any* band has its value, or is NaN or infinite.

    Args:
        image: (bands, height, width) in the file's type.
        nodata: the declared value, one for each band, or None; bands without a value do not count.

    Returns:
        (height, width) bool, True for measurements.
    """
    each = list(nodata) if isinstance(nodata, Sequence) else [nodata] * len(image)
    if np.issubdtype(image.dtype, np.floating):
        valid = np.isfinite(image).all(0)
        for band, value in zip(image, each, strict=True):
            if value is not None and np.isfinite(value):
                valid &= band != image.dtype.type(value)
        return np.asarray(valid)
    invalid = None
    for band, value in zip(image, each, strict=True):
        if value is not None:
            here = (
                band == image.dtype.type(value)
                if _representable(value, image.dtype)
                else np.zeros(band.shape, bool)
            )
            invalid = here if invalid is None else invalid & here
    return np.ones(image.shape[1:], bool) if invalid is None else ~invalid


def _representable(value: float, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    return bool(float(value).is_integer() and limits.min <= value <= limits.max)


def _padded(patch: Patch, pad: tuple[tuple[int, int], tuple[int, int]]) -> Patch:
    surface = None if patch.height is None else np.pad(patch.height, ((0, 0), *pad))
    return Patch(np.pad(patch.image, ((0, 0), *pad)), np.pad(patch.valid, pad), surface)


def _common_dtype(scenes: Sequence[Scene]) -> np.dtype:
    for scene in scenes:
        if scene.dtype != scenes[0].dtype:
            raise RasterError(
                f"{scene.path} is {scene.dtype}, {scenes[0].path} is {scenes[0].dtype}; bring all scenes to "
                "one type with `gdal_translate -ot … -scale`"
            )
    return np.dtype(scenes[0].dtype)


def _choose_bands(scene: Scene, bands: tuple[int, ...] | None) -> tuple[int, ...]:
    if bands is None:
        return scene.spectral
    missing = [band for band in bands if not 1 <= band <= scene.bands]
    if missing:
        raise RasterError(f"{scene.path} has bands 1 to {scene.bands}, band {missing[0]} was asked for")
    return bands


def _height_model(scene: Scene, handles: FileHandles) -> HeightModel:
    if scene.dsm is None:
        raise RasterError(
            f"{scene.path} has no DSM; put one with the same name into dsm/, or set data.dsm=ignore"
        )
    return HeightModel(scene.grid, scene.dsm, handles)
