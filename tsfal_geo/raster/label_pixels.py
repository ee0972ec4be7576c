"""Pixels of label files as they are stored: files that can hold labels, and windows with visibility."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from tsfal_geo.errors import LabelError
from tsfal_geo.raster.files import reading

_STRIP_ROWS = 1024
_LOSSY = ("JPEG", "WEBP", "JXL", "JP2", "JPEG2000")


@dataclass(frozen=True)
class LabelPixels:
    """The stored values of a window of a label file.

    Attributes:
        values: (bands, height, width), all bands of the file, an alpha band included.
        visible: (height, width) bool, False where alpha is 0 or the file's mask hides the pixel; None if all
            pixels are visible.
    """

    values: NDArray[np.generic]
    visible: NDArray[np.bool_] | None = None


def read_pixels(path: Path, dataset: DatasetReader, window: Window) -> LabelPixels:
    """Read a window of a label file.

    Args:
        path: the file, for messages.
        dataset: the same file, open.
        window: columns and rows inside the file.

    Returns:
        The stored values.

    Raises:
        RasterError: a block cannot be read.
    """
    flags = dataset.mask_flag_enums[0]
    with reading(path):
        values = dataset.read(window=window)
        if dataset.count in (2, 4):
            return LabelPixels(values, values[-1] != 0)
        if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
            return LabelPixels(values, dataset.read_masks(1, window=window) > 0)
    return LabelPixels(values)


def label_strips(path: Path, dataset: DatasetReader) -> Iterator[LabelPixels]:
    """Read a label file in strips of rows.

    Args:
        path: the file, for messages.
        dataset: the same file, open.

    Yields:
        Strips from the top to the bottom.

    Raises:
        RasterError: a block cannot be read.
    """
    for top in range(0, dataset.height, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, dataset.height - top)
        yield read_pixels(path, dataset, Window(0, top, dataset.width, rows))


def value_counts(values: NDArray[np.generic]) -> Counter[int]:
    """Count the values of pixels.

    Args:
        values: (n,) integers.

    Returns:
        Value → number of pixels.
    """
    if values.size and (values == values[0]).all():
        return Counter({int(values[0]): values.size})
    if values.dtype == np.uint8:
        counts = np.bincount(values.astype(np.uint8, copy=False))
        return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})
    found, numbers = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), numbers.tolist(), strict=True)))


def is_lossy(dataset: DatasetReader) -> bool:
    """Tell whether a file is compressed with loss, as far as it says so.

    Args:
        dataset: the file, open.
    """
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    lossless = structure.get("COMPRESSION_REVERSIBILITY", "").upper().startswith("LOSSLESS")
    kind = structure.get("COMPRESSION", dataset.driver).upper()
    return not lossless and any(word in _LOSSY for word in kind.split())


def check_bands(path: Path, dataset: DatasetReader) -> None:
    """Check that the bands of a file can hold labels.

    Args:
        path: the file, for messages.
        dataset: the same file, open.

    Raises:
        LabelError: too many bands, a type that is no integer, or a last band that is not declared alpha.
    """
    kinds = {np.dtype(dtype) for dtype in dataset.dtypes}
    if dataset.count >= 3 and (dataset.count > 4 or kinds != {np.dtype(np.uint8)}):
        raise LabelError(
            f"{path} has {dataset.count} bands of {dataset.dtypes[0]}, expected labels as one band of ids or "
            "as 8-bit RGB"
        )
    if not all(np.issubdtype(kind, np.integer) for kind in kinds):
        raise LabelError(
            f"{path} holds {dataset.dtypes[0]}, expected integer class ids; convert it with "
            "`gdal_translate -ot Byte`"
        )
    if dataset.count in (2, 4) and dataset.colorinterp[-1] != ColorInterp.alpha:
        kept = " ".join(f"-b {band}" for band in range(1, dataset.count))
        raise LabelError(
            f"{path}: band {dataset.count} is not declared alpha, expected one band of ids or three of "
            "colours, "
            f"and alpha; keep the bands of the labels with `gdal_translate {kept}`, or declare it with "
            f"`gdal_translate -colorinterp_{dataset.count} alpha`"
        )


def check_ids_kept(path: Path, dataset: DatasetReader) -> None:
    """Refuse ids that a lossy compression has smeared.

    Args:
        path: the file, for messages.
        dataset: the same file, open; one band of ids.

    Raises:
        LabelError: the file is compressed with loss.
    """
    if is_lossy(dataset):
        raise LabelError(
            f"{path} is compressed with loss, which smears class ids into ids of other classes; save it as "
            "PNG "
            "or LZW GeoTIFF, or if it is a mask, cut it with --map 0-127=background --map 128-255=CLASS"
        )
