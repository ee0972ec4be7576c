"""Opening of rasters: allowed formats only, bounded caches, errors that name the file."""

from __future__ import annotations

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader, MemoryFile

from tsfal_geo.errors import RasterError
from tsfal_geo.raster import vrt

# GDAL reads this from the environment when a process first needs it. Its block cache would otherwise take
# 5 % of the memory in every worker.
os.environ.setdefault("GDAL_CACHEMAX", "128")
# The CRS of a GeoTIFF is that of its own keys. By default GDAL compares them with the EPSG entry of their
# code
# at every opening, which takes ten times as long as all the rest for ETRS89 / UTM.
os.environ.setdefault("GTIFF_SRS_SOURCE", "GEOKEYS")

_SIGNATURES = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"BM": "BMP",
    b"\0\0\0\x0cjP": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
}
"""First bytes of the allowed formats; VRTs of such files are allowed too. Others may open further files."""


def _open_at_once() -> int:
    """Files that a thread keeps open: enough for large folders, and a quarter of what the system allows."""
    try:
        import resource
    except ImportError:  # Windows
        return 128
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 512 if allowed == resource.RLIM_INFINITY else min(max(allowed // 4, 64), 512)


def open_raster(path: Path) -> DatasetReader:
    """Open a raster for reading.

    Args:
        path: a GeoTIFF, COG, JPEG, PNG, BMP or JPEG 2000 file, or a VRT of such files.

    Returns:
        The open file; the caller closes it.

    Raises:
        RasterError: the file is missing or damaged, or its format is not allowed.
    """
    driver = _driver(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            if driver == "VRT":
                return MemoryFile(vrt.rewritten(path).encode(), ext=".vrt").open(driver=driver)
            return rasterio.open(path, driver=driver)
    except RasterioIOError as error:
        raise RasterError(
            f"{path}: cannot be opened as {driver} ({_reason(error)}); the file is damaged or cut off: copy "
            "or download it again"
        ) from None


def sidecars(path: Path) -> list[Path]:
    """List the files that GDAL reads beside a raster: world files, masks, overviews, metadata.

    Args:
        path: the raster, no VRT.

    Returns:
        Files of the raster's folder whose names begin with its stem.

    Raises:
        RasterError: as `open_raster`.
    """
    with open_raster(path) as dataset:
        beside = [Path(name) for name in dataset.files]
    return [
        file
        for file in beside
        if file.name != path.name and file.parent == path.parent and file.name.startswith(path.stem)
    ]


def size_on_disk(path: Path) -> int | None:
    """Measure a raster's files.

    Args:
        path: the raster.

    Returns:
        Bytes, those of a VRT's sources included; None if a source is remote.

    Raises:
        RasterError: the file cannot be opened, or is no allowed format.
    """
    if _driver(path) != "VRT":
        return path.stat().st_size
    found = vrt.sources(path)
    if any(source.startswith("/vsi") for source in found):
        return None
    return sum(Path(source).stat().st_size for source in found)


def _driver(path: Path) -> str:
    driver = _by_signature(_start(path))
    if driver is not None:
        check_beside(path)
    if driver is None and path.suffix.lower() == ".vrt":
        _check_sources(path)
        return "VRT"
    if driver is None:
        raise RasterError(
            f"{path}: not a GeoTIFF, COG, JPEG, PNG, BMP, JP2 or VRT by its first bytes; the file is "
            "damaged, or "
            "of a format that is not read: convert it with `gdal_translate`"
        )
    return driver


def _check_sources(path: Path) -> None:
    for source in vrt.sources(path):
        if source.startswith("/vsi"):
            vrt.check_remote(path, source)
        elif _by_signature(_start(Path(source))) is None:
            raise RasterError(
                f"{path}: reads {source}, which is no GeoTIFF, COG, JPEG, PNG or BMP by its first bytes; "
                "expected such files (VRTs of VRTs are not read)"
            )
        else:
            check_beside(Path(source))


def check_beside(path: Path) -> None:
    """Check the files that GDAL opens beside a raster by their content: masks, overviews and metadata.

    Args:
        path: the raster.

    Raises:
        RasterError: a mask or overview is no TIFF, or metadata names a file with overviews.
    """
    names = _names_in(path.parent, path.parent.stat().st_mtime_ns)
    own = path.name.lower()
    for name in (*names.get(f"{own}.msk", ()), *names.get(f"{own}.ovr", ())):
        beside = path.with_name(name)
        if _by_signature(_start(beside)) != "GTiff":
            raise RasterError(f"{beside}: found no TIFF beside {path.name}, expected one; remove the file")
        check_beside(beside)
    for name in names.get(f"{own}.aux.xml", ()):
        beside = path.with_name(name)
        if b"overview_file" in beside.read_bytes().lower():
            raise RasterError(
                f"{beside}: names another file as overviews of {path.name}; expected them in the file or "
                "in an .ovr: remove the line, or the file"
            )


@lru_cache(maxsize=64)
def _names_in(folder: Path, _modified: int) -> dict[str, tuple[str, ...]]:
    """The names of a folder's masks, overviews and metadata by their lower case, in which GDAL finds them."""
    found: dict[str, tuple[str, ...]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            lower = entry.name.lower()
            if lower.endswith((".msk", ".ovr", ".aux.xml")):
                found[lower] = (*found.get(lower, ()), entry.name)
    return found


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise RasterError(f"{path}: cannot be opened ({error.strerror})") from None


def _by_signature(start: bytes) -> str | None:
    return next((driver for signature, driver in _SIGNATURES.items() if start.startswith(signature)), None)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a failed read inside the block into an error that names the file.

    Args:
        path: the file that the block reads.

    Raises:
        RasterError: rasterio could not read.
    """
    try:
        yield
    except RasterioError as error:
        raise RasterError(
            f"{path}: a block cannot be read ({_reason(error)}); the file is damaged or cut off: "
            "copy or download it again"
        ) from None


def _reason(error: BaseException) -> str:
    text = str(error.__cause__ or error).replace("\n", " ").strip()
    return text.removesuffix(".")


class FileHandles:
    """Cache of open files, of which the least recently used are closed first.

    GDAL handles must be shared neither between threads nor across a fork, so each thread and process opens
    its own. A forked process forgets the inherited handles without closing them: the parent still reads with
    them. Pickling drops all handles.

    Args:
        limit: files that a thread keeps open; None: as many as the system allows, 512 at most.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = _open_at_once() if limit is None else limit
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._local = threading.local()

    def get(self, path: Path) -> DatasetReader:
        """Get an open file, and open it if it is not open yet.

        Args:
            path: a raster.

        Returns:
            The open file; the cache closes it.

        Raises:
            RasterError: as `open_raster`.
        """
        if self._pid != os.getpid():
            self._inherited = self._local
            self._reset()
        opened: OrderedDict[Path, DatasetReader] | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = OrderedDict()
        dataset = opened.get(path)
        if dataset is None:
            dataset = opened[path] = open_raster(path)
            if len(opened) > self._limit:
                opened.popitem(last=False)[1].close()
        else:
            opened.move_to_end(path)
        return dataset

    def close(self) -> None:
        """Close the files that this thread holds open."""
        if self._pid == os.getpid():
            for dataset in getattr(self._local, "opened", {}).values():
                dataset.close()
        self._reset()

    def __getstate__(self) -> dict[str, Any]:
        return {"_limit": self._limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_limit"])  # type: ignore[misc]
