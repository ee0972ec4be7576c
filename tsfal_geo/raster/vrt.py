"""VRTs: mosaics of rasters, read only if every source is harmless.

A VRT may name any file, address or piece of code. Here its sources must be files of the allowed formats in
its own folder or, with ``--allow-remote``, addresses on the web or in S3.
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
from tsfal_geo.raster import naming

REMOTE = "TSFAL_ALLOW_REMOTE"
"""Environment variable that is 1 if addresses may be opened; the processes of a run inherit it."""

_FOLDERS = (*naming.IMAGE_FOLDERS, *naming.DSM_FOLDERS, *naming.LABEL_FOLDERS)
_REMOTE_PREFIXES = ("/vsicurl/http://", "/vsicurl/https://", "/vsis3/")
_SOURCES = ("SimpleSource", "ComplexSource", "AveragedSource")
_PLAIN = (
    "GeoTransform",
    "BlockXSize",
    "BlockYSize",
    "MaskBand",
    "NoDataValue",
    "HideNoDataValue",
    "ColorInterp",
    "Description",
    "UnitType",
    "Offset",
    "Scale",
    "ColorTable",
    "CategoryNames",
    "Category",
    "SourceFilename",
    "SourceBand",
    "NODATA",
    "ScaleOffset",
    "ScaleRatio",
    "UseMaskBand",
    "ColorTableComponent",
    "LUT",
    "Exponent",
    "SrcMin",
    "SrcMax",
    "DstMin",
    "DstMax",
    "Clamp",
)
_ALLOWED = {
    "VRTDataset": ("rasterXSize", "rasterYSize"),
    "SRS": ("dataAxisToSRSAxisMapping", "coordinateEpoch"),
    "Metadata": (),
    "MDI": ("key",),
    "VRTRasterBand": ("dataType", "band", "blockXSize", "blockYSize"),
    "Entry": ("c1", "c2", "c3", "c4"),
    **dict.fromkeys(_SOURCES, ("resampling",)),
    "SourceProperties": ("RasterXSize", "RasterYSize", "DataType", "BlockXSize", "BlockYSize"),
    **dict.fromkeys(("SrcRect", "DstRect"), ("xOff", "yOff", "xSize", "ySize")),
    **dict.fromkeys(_PLAIN, ()),
}
"""Elements of a mosaic, and the attributes of each that are kept; their spelling is GDAL's."""

_LEFT_OUT = frozenset(["Histograms", "OverviewList", "Overview", "GDALRasterAttributeTable", "GCPList"])
_LARGEST = 64 << 20


def sources(path: Path) -> list[str]:
    """List the sources of a VRT.

    Args:
        path: the VRT.

    Returns:
        Absolute paths of files, and addresses (``/vsi…``), each once.

    Raises:
        RasterError: as `rewritten`.
    """
    return list(dict.fromkeys(item.text or "" for item in _mosaic(path).iter("SourceFilename")))


def rewritten(path: Path) -> str:
    """Write a VRT anew from the parts of it that a mosaic needs.

    GDAL reads this text and never the file, so that nothing else than what was checked can have an effect.

    Args:
        path: the VRT.

    Returns:
        XML with absolute names of the sources.

    Raises:
        RasterError: the file is no VRT, holds code or other kinds of bands, names no raster, or a file
            outside its folder.
    """
    return Xml.tostring(_mosaic(path), encoding="unicode")


def _mosaic(path: Path) -> Xml.Element:
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
    if root.tag != "VRTDataset":
        raise _no_mosaic(path, root.tag)
    copied = _copy(path, root)
    if copied.find(".//SourceFilename") is None:
        raise RasterError(f"{path}: a VRT without rasters; write it again with `gdalbuildvrt`")
    return copied


def _copy(path: Path, item: Xml.Element) -> Xml.Element:
    """Copy an element and those in it that a mosaic needs; refuse what does more than a mosaic."""
    kind = item.get("subClass")
    if item.tag not in _ALLOWED or any(
        name.lower() == "subclass" and name != "subClass" for name in item.attrib
    ):
        raise _no_mosaic(path, item.tag)
    if kind not in (None, "VRTSourcedRasterBand"):
        raise _no_mosaic(path, kind)
    copied = Xml.Element(
        item.tag, {name: item.attrib[name] for name in _ALLOWED[item.tag] if name in item.attrib}
    )
    copied.text = item.text
    if item.tag == "SourceFilename":
        copied.text = _resolved(path, item.text or "", item.get("relativeToVRT", "0") not in ("", "0"))
        copied.set("relativeToVRT", "0")
    for child in item:
        if child.tag in _LEFT_OUT or (child.tag == "Metadata" and child.get("domain")):
            continue
        copied.append(_copy(path, child))
    return copied


def _no_mosaic(path: Path, found: str | None) -> RasterError:
    return RasterError(
        f"{path}: a VRT that computes or warps ({found}), expected a mosaic as `gdalbuildvrt` makes; write "
        "its result with `gdal_translate`"
    )


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
    target = os.path.normpath((path.parent / name if relative else Path(name)).absolute())
    home = path.absolute().parent
    homes = [home, home.parent] if home.name.lower() in _FOLDERS else [home]
    if not any(Path(target).is_relative_to(root) for each in homes for root in (each, each.resolve())):
        raise RasterError(
            f"{path}: reads {target}, expected files in {home}; copy or link them there and write the mosaic "
            "again with `gdalbuildvrt`"
        )
    return target
