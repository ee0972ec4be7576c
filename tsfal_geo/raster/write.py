"""Writing of maps: streamed to a draft beside the target, then published as a COG in one step."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import DTypeLike, NDArray
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from tsfal_geo.atomic import replace_file
from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.raster import sidecars

BLOCK = 512
"""Pixels a side of the tiles of written files; blocks that start on multiples of it are written fastest."""


class RasterWriter:
    """A context manager that writes a raster block by block.

    After a normal exit the file at ``path`` is a complete cloud-optimised GeoTIFF on exactly the given grid.
    After an exception an earlier file at ``path`` is unchanged, and nothing else remains. Pixels that are
    never written are nodata.

    Args:
        path: the target, ``.tif``.
        grid: its shape, transform and CRS; an identity transform without CRS gives no georeference.
        dtype: type of the pixels.
        count: number of bands.
        nodata: declared nodata value, and the value of pixels that are never written; None for zeros, with
            nothing declared.
        overviews: resampling of the overviews: ``mode`` for classes, ``average`` for measurements.
        classes: classes of a class map; its colour table, names and styles are written, and `write` takes
            class *indices*, which the file stores as class ids.
        tags: metadata of the file.
        descriptions: names of the bands.
        scale: declared factor from pixel values to units.
        level: effort of DEFLATE, 1 (fast) to 9 (small).

    Example:
        >>> with RasterWriter(path, grid, np.uint8, nodata=255) as writer:  # doctest: +SKIP
        ...     writer.write(0, 0, np.zeros((512, 512), np.uint8))
    """

    def __init__(
        self,
        path: Path,
        grid: GeoBox,
        dtype: DTypeLike,
        count: int = 1,
        nodata: float | None = None,
        *,
        overviews: Literal["mode", "average", "nearest"] = "average",
        classes: ClassMap | None = None,
        tags: dict[str, str] | None = None,
        descriptions: tuple[str, ...] = (),
        scale: float | None = None,
        level: int = 6,
    ) -> None:
        self.path = Path(path)
        self.grid = grid
        self._overviews = overviews
        self._classes = classes
        self._tags = tags or {}
        self._descriptions = descriptions
        self._scale = scale
        self._level = level
        self._profile: dict[str, Any] = {
            "driver": "GTiff",
            "dtype": np.dtype(dtype).name,
            "count": count,
            "nodata": nodata,
            "height": grid.height,
            "width": grid.width,
            "tiled": True,
            "blockxsize": BLOCK,
            "blockysize": BLOCK,
            # A draft is read once: LZW and ZSTD take two to five times as long to write.
            "compress": "packbits",
            "bigtiff": "if_safer",
            "interleave": "band",
            **_georeference(grid),
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            folder = tempfile.TemporaryDirectory(prefix=f".{self.path.stem}-", dir=self.path.parent)
            self._draft = Path(stack.enter_context(folder)) / "draft.tif"
            self._file = stack.enter_context(_open_draft(self._draft, self._profile))
            self._describe()
            self._stack = stack.pop_all()
        return self

    def write(self, y: int, x: int, array: NDArray[np.generic]) -> None:
        """Write a block.

        Args:
            y: first row; a multiple of `BLOCK` for speed.
            x: first column; a multiple of `BLOCK` for speed.
            array: (height, width) for one band, else (count, height, width); class indices if the writer
                has ``classes``.
        """
        values = array if array.ndim == 3 else array[None]
        if self._classes is not None:
            values = self._classes.lut_index_to_ids()[values]
        window = Window(x, y, values.shape[2], values.shape[1])
        self._file.write(values, window=window)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._file.close()
            if kind is None:
                self._publish()

    def _describe(self) -> None:
        self._file.update_tags(**self._tags)
        for band, text in enumerate(self._descriptions, 1):
            self._file.set_band_description(band, text)
        if self._scale is not None:
            self._file.scales = [self._scale] * self._file.count
        if self._classes is not None:
            self._file.write_colormap(1, {c.id: (*c.colour, 255) for c in self._classes.classes})
            self._file.update_tags(1, **{f"class_{c.id}": c.name for c in self._classes.classes})

    def _publish(self) -> None:
        with replace_file(self.path) as temporary, _drafting():
            rasterio.shutil.copy(self._draft, temporary, driver="COG", **self._cog_options())
            srs = sidecars.take_srs(temporary)
            if self._classes is not None or srs is not None:
                sidecars.write_aux(self.path, self._classes, srs)
            if self._classes is not None:
                sidecars.write_class_style(self.path, self._classes)

    def _cog_options(self) -> dict[str, str]:
        floating = np.issubdtype(np.dtype(self._profile["dtype"]), np.floating)
        return {
            "BLOCKSIZE": str(BLOCK),
            "COMPRESS": "DEFLATE",
            "LEVEL": str(self._level),
            "PREDICTOR": "FLOATING_POINT" if floating else "NO" if self._classes else "STANDARD",
            "OVERVIEW_RESAMPLING": self._overviews.upper(),
            "BIGTIFF": "IF_SAFER",
            "NUM_THREADS": "2",
        }


def class_writer(path: Path, grid: GeoBox, classes: ClassMap, **options: Any) -> RasterWriter:
    """Make a writer of a class map: it takes class indices and stores class ids as uint8, with nodata 255.

    Args:
        path: the target, ``.tif``.
        grid: its shape, transform and CRS.
        classes: the class map.
        options: other arguments of `RasterWriter`.

    Returns:
        The writer, to be entered.
    """
    return RasterWriter(path, grid, np.uint8, 1, IGNORE, overviews="mode", classes=classes, **options)


def write_classes(path: Path, grid: GeoBox, classes: ClassMap, labels: NDArray[np.uint8]) -> None:
    """Write a class map in one step.

    Args:
        path: the target, ``.tif``.
        grid: its shape, transform and CRS.
        classes: the class map.
        labels: (height, width) uint8 class indices; 255 is nodata.
    """
    with class_writer(path, grid, classes) as writer:
        writer.write(0, 0, labels)


def write_view(path: Path, grid: GeoBox, layers: dict[str, NDArray[np.uint8]]) -> None:
    """Write a raster for a program that shows it now: nothing is compressed, or kept after a power cut.

    Args:
        path: the target, ``.tif``; it appears whole or not at all.
        grid: its shape, transform and CRS.
        layers: (h, w) of each band, by its name; 255 is nodata.
    """
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(layers),
        "nodata": IGNORE,
        "height": grid.height,
        "width": grid.width,
        **_georeference(grid),
    }
    draft = path.with_name(f".{path.name}")
    with _open_draft(draft, profile) as file:
        for band, (name, values) in enumerate(layers.items(), 1):
            file.write(values, band)
            file.set_band_description(band, name)
    draft.replace(path)


def _georeference(grid: GeoBox) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not grid.affine.is_identity:
        found["transform"] = grid.affine
    if grid.crs is not None:
        found["crs"] = CRS.from_wkt(grid.crs.to_wkt())
    return found


@contextmanager
def _drafting() -> Iterator[None]:
    """GDAL's settings for drafts: it reads their CRS as it wrote it, and does not warn without one.

    By default GDAL compares a file's keys with the EPSG entry of its code whenever it opens or creates one.
    For ETRS89 / UTM that takes ten times as long as all other work.
    """
    with warnings.catch_warnings(), rasterio.Env(GTIFF_SRS_SOURCE="GEOKEYS"):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _open_draft(path: Path, profile: dict[str, Any]) -> rasterio.io.DatasetWriter:
    with _drafting():
        return rasterio.open(path, "w", **profile)
