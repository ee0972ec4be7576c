"""Scenes: orthophotos with their surface models and labels, and the grids that they lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.radiometry import Radiometry


@dataclass(frozen=True)
class Scene:
    """One orthophoto, with its surface model and labels.

    Attributes:
        name: the orthophoto's stem; unique in its folder; outputs carry it.
        path: the orthophoto.
        grid: shape, float64 transform and CRS of the orthophoto; identity without georeference.
        bands: number of bands in the file, a real alpha band included.
        dtype: NumPy name of the bands' type.
        nodata: the nodata value (NaN included) of the first band, or None.
        dsm: digital surface model on the same ground, on any grid.
        labels: label raster on the orthophoto's own grid.
        alpha: 1-based number of the alpha band that masks pixels, None where there is none.
        masked: the file has a mask band of its own (internal or ``.msk``).
        radiometry: what the file declares for its numbers, band by band; None: not recorded.
        area: the part that counts, as WKB of a polygon in float64 columns and rows; pixels whose centres lie
            outside have no data. None: the whole scene.
    """

    name: str
    path: Path
    grid: GeoBox
    bands: int
    dtype: str
    nodata: float | None = None
    dsm: Path | None = None
    labels: Path | None = None
    alpha: int | None = None
    masked: bool = False
    radiometry: Radiometry | None = None
    area: bytes | None = None

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.grid.height)

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.grid.width)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def georeferenced(self) -> bool:
        """True if the file has a CRS, or a transform other than identity."""
        return self.grid.crs is not None or not self.grid.affine.is_identity

    @property
    def spectral(self) -> tuple[int, ...]:
        """1-based numbers of the bands that hold measurements: all but a real alpha band."""
        return tuple(band for band in range(1, self.bands + 1) if band != self.alpha)


def scenes_changed(old: Sequence[Scene], new: Sequence[Scene]) -> list[str]:
    """Compare two lists of scenes.

    Args:
        old: scenes of a workspace.
        new: scenes that its folder holds now.

    Returns:
        Sorted names of the scenes that only one list has, or whose grids differ.
    """
    before = {scene.name: scene.grid for scene in old}
    after = {scene.name: scene.grid for scene in new}
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def grid_of(dataset: DatasetReader, crs: str | None = None) -> GeoBox:
    """Read the grid of an open raster.

    Args:
        dataset: the raster.
        crs: WKT of the CRS of a raster that has a place but declares none.

    Returns:
        Its shape, CRS and transform; the transform is exactly that of the file, in float64.
    """
    wkt = dataset.crs.to_wkt() if dataset.crs else None if dataset.transform.is_identity else crs
    return GeoBox((dataset.height, dataset.width), dataset.transform, wkt)


def crs_named(name: str) -> str:
    """Look up a CRS.

    Args:
        name: an authority's code, such as ``EPSG:25832``, or WKT.

    Returns:
        Its WKT.

    Raises:
        RasterError: there is no such CRS.
    """
    try:
        return str(CRS.from_user_input(name).to_wkt())
    except CRSError:
        raise RasterError(f"--crs {name}: no such CRS; expected a code such as EPSG:25832") from None
