"""Reading of a file's header into a scene; files that cannot be read correctly are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.files import FileHandles, open_raster, reading, size_on_disk
from tsfal_geo.raster.radiometry import read_radiometry
from tsfal_geo.raster.scene import Scene, grid_of

_DTYPES = frozenset(["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
_MAX_BLOCK = 1 << 30
_PLAUSIBLE_SIZE = 16 << 30
_PLAUSIBLE_RATIO = 2_000
_OPAQUE_SHARE = 0.5
_BAND_AND_ALPHA = 2


def read_scene(
    path: Path,
    dsm: Path | None = None,
    labels: Path | None = None,
    handles: FileHandles | None = None,
    crs: str | None = None,
) -> Scene:
    """Open an orthophoto and describe it.

    Args:
        path: the orthophoto.
        dsm: its surface model; not opened.
        labels: its label raster; not opened.
        handles: cache of open files that keeps the orthophoto open; None: it is closed.
        crs: WKT of the CRS of a file that has a place but declares no CRS; None: it stays without.

    Returns:
        The scene.

    Raises:
        RasterError: the file cannot be opened, is located by ground control points or RPCs only, has a
            palette or bands of mixed or complex type, or its header is implausible.
    """
    if handles is not None:
        return _scene(path, handles.get(path), dsm, labels, crs)
    with open_raster(path) as dataset:
        return _scene(path, dataset, dsm, labels, crs)


def _scene(
    path: Path, dataset: DatasetReader, dsm: Path | None, labels: Path | None, crs: str | None
) -> Scene:
    check_size(path, dataset)
    _check_bands(path, dataset)
    _check_georeference(path, dataset)
    flags = dataset.mask_flag_enums[0]
    return Scene(
        name=path.stem,
        path=path,
        grid=grid_of(dataset, crs),
        bands=dataset.count,
        dtype=dataset.dtypes[0],
        nodata=dataset.nodata,
        dsm=dsm,
        labels=labels,
        alpha=_real_alpha(path, dataset),
        masked=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
        radiometry=read_radiometry(dataset),
    )


def check_size(path: Path, dataset: DatasetReader) -> None:
    """Refuse a header that declares far more pixels than the file can hold: it is damaged or malicious.

    Args:
        path: the file.
        dataset: the same file, open.

    Raises:
        RasterError: the declared size or the blocks are implausibly large.
    """
    item = np.dtype(dataset.dtypes[0]).itemsize
    declared = dataset.width * dataset.height * dataset.count * item
    on_disk = size_on_disk(path)
    if on_disk is not None and declared > _PLAUSIBLE_SIZE and declared > _PLAUSIBLE_RATIO * on_disk:
        raise RasterError(
            f"{path} declares {dataset.width}x{dataset.height}x{dataset.count} ({declared / 2**30:.0f} GiB) "
            f"but holds {on_disk / 2**20:.1f} MiB; the file is damaged, or empty for the most part: crop it "
            "with `gdal_translate -projwin`"
        )
    rows, cols = dataset.block_shapes[0]
    if rows * cols * item > _MAX_BLOCK:
        raise RasterError(
            f"{path} has blocks of {cols}x{rows} pixels, too large to read in windows; tile it with "
            "`gdal_translate -co TILED=YES`"
        )


def _check_bands(path: Path, dataset: DatasetReader) -> None:
    kinds = set(dataset.dtypes)
    if len(kinds) > 1 or not kinds <= _DTYPES:
        raise RasterError(
            f"{path} has bands of {', '.join(sorted(kinds))}; expected one real type for all, such as uint8, "
            "uint16 or float32 (`gdal_translate -ot`)"
        )
    if dataset.colorinterp[0] == ColorInterp.palette:
        raise RasterError(
            f"{path} is a picture with a palette, expected bands of measurements; expand it with "
            "`gdal_translate -expand rgb`"
        )


def _check_georeference(path: Path, dataset: DatasetReader) -> None:
    if not dataset.transform.is_identity:
        return
    out = f"{path.stem}_warped.tif"
    points, crs = dataset.gcps
    if points:
        srs = crs.to_string() if crs and len(crs.to_string()) < 20 else "EPSG:…"
        raise RasterError(
            f"{path} is located by {len(points)} ground control points only, expected a transform; warp it "
            f"with `gdalwarp -t_srs {srs} -r cubic {path.name} {out}`"
        )
    if dataset.rpcs is not None:
        raise RasterError(
            f"{path} is located by RPCs only, expected a transform; orthorectify it with `gdalwarp -rpc "
            f"-t_srs EPSG:… -to RPC_DEM=dem.tif {path.name} {out}`"
        )


def _real_alpha(path: Path, dataset: DatasetReader) -> int | None:
    """The number of the band that is declared alpha, if it holds opacity.

    Four-band orthophotos often declare near infrared as alpha. Opacity is 0 or its own largest value except
    at
    edges, whatever the type could hold; near infrared is not. Blocks spread over the raster tell the two
    apart.
    Beside a single band, nobody declares alpha by accident.
    """
    declared = [i for i, kind in enumerate(dataset.colorinterp, 1) if kind == ColorInterp.alpha]
    if not declared or dataset.count == 1:
        return None
    if dataset.count == _BAND_AND_ALPHA:
        return declared[0]
    values = _sampled_values(path, dataset, declared[0])
    nonzero = values[values != 0]
    opaque = nonzero.size == 0 or (nonzero == nonzero.max()).mean() >= _OPAQUE_SHARE
    return declared[0] if opaque else None


def _sampled_values(path: Path, dataset: DatasetReader, band: int) -> np.ndarray:
    side = 64
    parts = []
    for row in np.linspace(0, max(dataset.height - side, 0), 5).astype(int):
        for col in np.linspace(0, max(dataset.width - side, 0), 5).astype(int):
            window = Window(
                int(col), int(row), min(side, dataset.width - int(col)), min(side, dataset.height - int(row))
            )
            with reading(path):
                parts.append(dataset.read(band, window=window).ravel())
    return np.concatenate(parts)
