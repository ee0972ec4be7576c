"""VRTs: mosaics of rasters, read only if every source is harmless.

A VRT may name any file, address or piece of code. Here its sources must be files of the allowed formats or,
with ``--allow-remote``, addresses on the web or in S3.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from tsfal_geo.errors import RasterError

REMOTE = "TSFAL_ALLOW_REMOTE"
"""Environment variable that is 1 if addresses may be opened; the processes of a run inherit it."""

_REMOTE_PREFIXES = ("/vsicurl/http://", "/vsicurl/https://", "/vsis3/")
_NAMES = ("SourceFilename", "SourceDataset")
_KINDS = {None, "VRTSourcedRasterBand"}
_LARGEST = 64 << 20


def sources(path: Path) -> list[str]:
    """List the sources of a VRT.

    Args:
        path: the VRT.

    Returns:
        Absolute paths of files, and addresses (``/vsi…``), each once.

    Raises:
        RasterError: the file is no VRT, holds code or other kinds of bands, or names no raster.
    """
    size = path.stat().st_size
    if size > _LARGEST:
        raise RasterError(f"{path}: a VRT of {size >> 20} MB, expected a list of rasters")
    text = path.read_text(encoding="utf-8", errors="replace")
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise RasterError(f"{path}: declares entities, expected a plain VRT; write it with `gdalbuildvrt`")
    try:
        root = Xml.fromstring(text)
    except Xml.ParseError as error:
        raise RasterError(f"{path}: not readable as a VRT ({error}); write it again") from None
    kinds = {item.get("subClass") for item in root.iter()}
    if root.tag != "VRTDataset" or not kinds <= _KINDS or any("PixelFunction" in i.tag for i in root.iter()):
        raise RasterError(
            f"{path}: a VRT that computes or warps, expected a mosaic as `gdalbuildvrt` makes; write its "
            "result with `gdal_translate`"
        )
    found = [
        _resolved(path, item.text or "", item.get("relativeToVRT") == "1")
        for item in root.iter()
        if item.tag in _NAMES
    ]
    if not found:
        raise RasterError(f"{path}: a VRT without rasters; write it again with `gdalbuildvrt`")
    return list(dict.fromkeys(found))


def local_sources(path: Path) -> list[Path]:
    """List the files among a VRT's sources.

    Args:
        path: the VRT.

    Returns:
        Absolute paths; none if the VRT is not allowed.
    """
    try:
        return [Path(source) for source in sources(path) if not source.startswith("/vsi")]
    except (RasterError, OSError):
        return []


def check_remote(path: Path, source: str) -> None:
    """Check that an address may be opened.

    Args:
        path: the VRT that names it, for messages.
        source: the address.

    Raises:
        RasterError: the address is of another kind, or ``--allow-remote`` is not given.
    """
    if not source.startswith(_REMOTE_PREFIXES):
        raise RasterError(f"{path}: reads {source}, expected files, /vsicurl/http… or /vsis3/…")
    if os.environ.get(REMOTE) != "1":
        raise RasterError(f"{path}: reads {source} over the network; allow it with --allow-remote")


def local_folder(raster: Path | str, folder: Path) -> Path:
    """Give the folder of the scenes, and make one for a remote raster.

    Args:
        raster: a folder of scenes, or the address of a raster (``https://…``, ``s3://…``).
        folder: receives a folder with a VRT of the remote raster.

    Returns:
        ``raster`` if it is a folder, else the new folder.

    Raises:
        RasterError: remote rasters are not allowed, or this one cannot be read.
    """
    if isinstance(raster, Path):
        return raster
    if os.environ.get(REMOTE) != "1":
        raise RasterError(f"{raster}: is on the network; allow it with --allow-remote")
    bucket = raster.removeprefix("s3://")
    source = f"/vsicurl/{raster}" if bucket == raster else f"/vsis3/{bucket}"
    stem = re.sub(r"[^\w.-]", "_", Path(raster.split("?")[0]).stem)
    target = folder / stem / f"{stem}.vrt"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with rasterio.open(source) as dataset:
            rasterio.shutil.copy(dataset, target, driver="VRT")
    except RasterioError as error:
        mend = "check the address" if bucket == raster else "check the address and the credentials"
        raise RasterError(f"{raster}: cannot be read ({error}); {mend}") from None
    return target.parent


def _resolved(path: Path, name: str, relative: bool) -> str:
    name = name.strip()
    if name.startswith("/vsi"):
        return name
    # A name with a driver's prefix, or of a data set inside a file, is no plain file: it will not be found.
    return str((path.parent / name if relative else Path(name)).absolute())
