"""Decoding of one label file: tables from ids, palette or colours to class indices, and its grid."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from tsfal_geo.classes import IGNORE, ClassMap, Colour
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.label_pixels import LabelPixels, check_bands, check_ids_kept, is_lossy, value_counts
from tsfal_geo.raster.scene import Scene

UNKNOWN = 254
"""Index of values that the class map does not hold; a class map has at most 254 classes, 0 to 253."""


class LabelDecoder:
    """Decoder of the bands of one label file to class indices.

    A single band is decoded by its ids, or by the colours of its palette. The palette decides if it holds at
    least half of the class map's colours, at least two, and not under the class map's ids: as in pictures
    whose palette was made from their colours. The class map's `label_values` come before all of these.

    Args:
        path: the label file, for messages.
        dataset: the same file, open.
        classes: the class map.

    Raises:
        LabelError: the type, the bands or the compression cannot hold labels.
    """

    def __init__(self, path: Path, dataset: DatasetReader, classes: ClassMap) -> None:
        self._path = path
        self._classes = classes
        self._nodata = dataset.nodata
        self._lossy = is_lossy(dataset)
        self.by_colour = dataset.count >= 3
        check_bands(path, dataset)
        if not self.by_colour and not classes.label_values:
            check_ids_kept(path, dataset)
        self._table = _rgb_table(classes) if self.by_colour else _band_table(dataset, classes)

    def __call__(self, pixels: LabelPixels) -> NDArray[np.uint8]:
        """Decode a window.

        Args:
            pixels: all bands of the window.

        Returns:
            (height, width) uint8: class indices; 255 for ignored pixels, `UNKNOWN` for values out of the map.
        """
        labels = self._colours(pixels.values) if self.by_colour else self._ids(pixels.values[0])
        if pixels.visible is not None:
            labels[~pixels.visible] = IGNORE
        return labels

    def count(self, pixels: LabelPixels, labels: NDArray[np.uint8], index: int) -> Counter[tuple[int, ...]]:
        """Count the values of the pixels that were decoded to an index.

        Args:
            pixels: a window; those without a label of their own (transparent, masked) are left out.
            labels: (height, width) uint8, decoded from ``pixels``.
            index: `UNKNOWN`, `IGNORE` or a class index.

        Returns:
            (id,) or (red, green, blue) → number of pixels.
        """
        chosen = labels == index
        if pixels.visible is not None:
            chosen &= pixels.visible
        if not self.by_colour:
            return Counter({(value,): n for value, n in value_counts(pixels.values[0][chosen]).items()})
        counts = value_counts(_packed_bands(pixels.values[:3, chosen]))
        return Counter({(v >> 16, v >> 8 & 255, v & 255): n for v, n in counts.items()})

    def error(self, unknown: Counter[tuple[int, ...]], where: str = "") -> LabelError:
        """Make the error for values that the class map does not hold.

        Args:
            unknown: the values, as `count` counts them.
            where: place in the file, for the message.

        Returns:
            The error; it names the commonest value and the classes of the map.
        """
        value, count = unknown.most_common(1)[0]
        what = f"colour {value}" if self.by_colour else f"id {value[0]}"
        more = f" (and {len(unknown) - 1} more unknown values)" if len(unknown) > 1 else ""
        expected = ", ".join(
            f"{c.name} {c.colour if self.by_colour else c.id}" for c in self._classes.classes[:12]
        )
        key = ",".join(map(str, value))
        mend = f"say what it means with --map {key}=CLASS, add it to `classes`, or mend the labels"
        if self._lossy:
            mend = "the file is compressed with loss, which smears labels: save it as PNG or LZW GeoTIFF"
        pixels = "1 pixel" if count == 1 else f"{count} pixels"
        return LabelError(
            f"{self._path}: {what} on {pixels}{where}{more} is not in the class map ({expected}); {mend}"
        )

    def _ids(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        if values.dtype == np.uint8:
            return np.asarray(self._table[values])
        held = np.greater_equal(values, 0) & np.less_equal(values, IGNORE)
        labels: NDArray[np.uint8] = self._table[np.where(held, values, 0).astype(np.uint8)]
        labels[~held] = UNKNOWN
        if self._nodata is not None:
            labels[values == self._nodata] = IGNORE
        for value in self._classes.label_values:
            if value.low is not None and value.high is not None:
                inside = np.greater_equal(values, value.low) & np.less_equal(values, value.high)
                labels[inside] = self._classes.meaning_index(value)
        return labels

    def _colours(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        packed = _packed_bands(values[:3])
        labels: NDArray[np.uint8] = self._table[packed]
        if self._nodata is not None:
            said = [_packed(value.colour) for value in self._classes.label_values if value.colour is not None]
            labels[(values[:3] == self._nodata).all(0) & ~np.isin(packed, said)] = IGNORE
        return labels


@lru_cache(maxsize=4)
def _rgb_table(classes: ClassMap) -> NDArray[np.uint8]:
    table = np.full(1 << 24, UNKNOWN, np.uint8)
    for colour in classes.ignore_colours:
        table[_packed(colour)] = IGNORE
    for index, info in enumerate(classes.classes):
        table[_packed(info.colour)] = index
    for value in classes.label_values:
        if value.colour is not None:
            table[_packed(value.colour)] = classes.meaning_index(value)
    return table


def _packed_bands(bands: NDArray[np.generic]) -> NDArray[np.uint32]:
    red, green, blue = (band.astype(np.uint32) for band in bands)
    return np.asarray(red << 16 | green << 8 | blue)


def _packed(colour: Colour) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _band_table(dataset: DatasetReader, classes: ClassMap) -> NDArray[np.uint8]:
    ids = classes.lut_ids_to_index()
    table = np.where(ids < 0, UNKNOWN, ids).astype(np.uint8)
    table.setflags(write=True)
    said = [value for value in classes.label_values if value.low is not None]
    colours = palette(dataset)
    if not said and _uses_palette(colours, classes):
        index = {info.colour: i for i, info in enumerate(classes.classes)}
        index |= dict.fromkeys(classes.ignore_colours, IGNORE)
        index |= {v.colour: classes.meaning_index(v) for v in classes.label_values if v.colour is not None}
        for value, colour in colours.items():
            table[value] = index.get(colour, UNKNOWN)
        table[IGNORE] = IGNORE
    if dataset.nodata is not None and 0 <= dataset.nodata <= IGNORE:
        table[int(dataset.nodata)] = IGNORE
    indices = [classes.meaning_index(value) for value in said]
    # A class that a value means is not also the class of its own id: the file may use that id for another.
    table[np.isin(table, [index for index in indices if index != IGNORE])] = UNKNOWN
    for rule, meaning in zip(said, indices, strict=True):
        table[max(rule.low or 0, 0) : max((rule.high or 0) + 1, 0)] = meaning
    return table


def _uses_palette(colours: dict[int, Colour], classes: ClassMap) -> bool:
    if all(colours.get(info.id) == info.colour for info in classes.classes):
        return False
    there = set(colours.values())
    held = sum(info.colour in there for info in classes.classes)
    return held >= 2 and 2 * held >= len(classes)


def palette(dataset: DatasetReader) -> dict[int, Colour]:
    """Read the colour table of a label file.

    Args:
        dataset: the file, open.

    Returns:
        Id → colour; empty for several bands, without a table, and for a grey ramp.
    """
    if dataset.count != 1 or dataset.colorinterp[0] != ColorInterp.palette:
        return {}
    table = {value: (c[0], c[1], c[2]) for value, c in dataset.colormap(1).items() if 0 <= value < IGNORE}
    return {} if all(colour == (value,) * 3 for value, colour in table.items()) else table


def check_grid(scene: Scene, path: Path, dataset: DatasetReader) -> None:
    """Compare the grids of a label file and its scene, to within half a pixel.

    Args:
        scene: the scene.
        path: the label file, for messages.
        dataset: the same file, open.

    Raises:
        LabelError: another size, another CRS, or shifted by half a pixel or more.
    """
    if (dataset.height, dataset.width) != scene.shape:
        raise LabelError(
            f"{path} has {dataset.width}x{dataset.height} pixels, its scene {scene.path.name} has "
            f"{scene.width}x{scene.height}; bring the labels onto the scene's grid with "
            "`gdalwarp -r near -te … -ts …`"
        )
    if dataset.transform.is_identity or scene.grid.affine.is_identity:
        return
    here, there = (_epsg(crs.to_wkt()) if crs else None for crs in (scene.grid.crs, dataset.crs))
    if here and there and here != there:
        raise LabelError(
            f"{path} is in EPSG:{there}, its scene {scene.path.name} in EPSG:{here}; give it the scene's "
            "georeference, or warp it onto the scene's grid with `gdalwarp -r near`"
        )
    to_scene = ~scene.grid.affine * dataset.transform
    corners = [(0, 0), (scene.width, 0), (0, scene.height), (scene.width, scene.height)]
    shift = max(max(abs(there - here) for there, here in zip(to_scene * c, c, strict=True)) for c in corners)
    if shift >= 0.5:
        raise LabelError(
            f"{path} lies {shift:.1f} pixels off its scene {scene.path.name} although both have the same "
            "size; give it the scene's georeference, or warp it onto the scene's grid with `gdalwarp -r near`"
        )


@lru_cache(maxsize=64)
def _epsg(wkt: str) -> int | None:
    """The EPSG code of a CRS without its heights, or None."""
    return pyproj.CRS.from_wkt(wkt).to_2d().to_epsg()
