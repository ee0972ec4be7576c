"""Opening rasters: allowed formats only, bounded caches, errors that name the file."""

from __future__ import annotations

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from tsfal_geo.errors import RasterError

# GDAL reads this from the environment when a process first needs it. Its block cache would otherwise take
# 5 % of the memory in every worker.
os.environ.setdefault("GDAL_CACHEMAX", "128")

_SIGNATURES = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"BM": "BMP",
}
"""First bytes of the formats that are read. Others may reach beyond their own file (VRT, MRF …)."""

_MAX_OPEN = 128


def open_raster(path: Path) -> DatasetReader:
    """Open a raster for reading.

    Raises:
        RasterError: missing, damaged, or of a format that is not on the list.
    """
    driver = _driver(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path, driver=driver)
    except RasterioIOError as error:
        raise RasterError(
            f"{path}: cannot be opened as {driver} ({_reason(error)}); the file is damaged or cut off: copy "
            "or download it again"
        ) from None


def _driver(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise RasterError(f"{path}: cannot be opened ({error.strerror})") from None
    for signature, driver in _SIGNATURES.items():
        if start.startswith(signature):
            return driver
    raise RasterError(
        f"{path}: not a GeoTIFF, COG, JPEG, PNG or BMP by its first bytes; the file is damaged, or of a "
        "format that is not read (VRTs neither): convert it with `gdal_translate`"
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a failed read inside the block into a `RasterError` that names the file."""
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
    """Open files, the most recently used ones kept; each process and thread has its own.

    GDAL handles must be shared neither between threads nor across a fork. Handles inherited by a fork are
    forgotten, not closed: the parent still reads with them. Pickling drops them all.
    """

    def __init__(self, limit: int = _MAX_OPEN) -> None:
        self._limit = limit
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._local = threading.local()

    def get(self, path: Path) -> DatasetReader:
        """The open file, opened now if need be."""
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
