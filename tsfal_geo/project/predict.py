"""Predictions of arrays: the model's classes on the same grid."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import RasterError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.reader import Patch, valid_pixels
from tsfal_geo.raster.scene import Scene

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

    from tsfal_geo.inference.network import Network
    from tsfal_geo.mapping.scene import Settings
    from tsfal_geo.mapping.windowed import LayerRows


@dataclass(frozen=True)
class Prediction:
    """The prediction of an image, on the image's grid.

    Arrays are NumPy arrays for a NumPy array, and `xarray.DataArray` with the image's coordinates for a
    `xarray.DataArray`.

    Attributes:
        classes: (H, W) uint8 class ids, 255 where the image has no data.
        confidence: (H, W) float32, probability of that class, 0 to 1; NaN where there is no data.
        probabilities: (C, H, W) float32 by class index, NaN where there is no data; None if not wanted.
        class_map: ids, names and colours of the classes.
    """

    classes: NDArray[np.uint8] | xarray.DataArray
    confidence: NDArray[np.float32] | xarray.DataArray
    probabilities: NDArray[np.float32] | xarray.DataArray | None
    class_map: ClassMap

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the classes in their colours, with a legend.

        Args:
            ax: axes of Matplotlib to draw on; None: new ones.

        Returns:
            The axes.
        """
        from tsfal_geo.plots import plot_classes

        return plot_classes(np.asarray(self.classes), self.class_map, ax)

    def _repr_html_(self) -> str:
        values = np.asarray(self.classes)
        counts = np.bincount(values.ravel(), minlength=256)
        rows = "".join(
            f"<tr><td>{escape(info.name)}</td><td>{counts[info.id] / max(values.size, 1):.2%}</td></tr>"
            for info in self.class_map.classes
        )
        shape = " × ".join(str(n) for n in values.shape)
        return f"<table><caption>Prediction, {shape} pixels</caption>{rows}</table>"


class ArrayReader:
    """Reads windows of an array as `tsfal_geo.raster.reader.SceneReader` reads those of files.

    Args:
        image: (bands, H, W).
        valid: (H, W) bool.
        heights: (H, W) float32, metres above local ground; None without.
    """

    def __init__(
        self, image: NDArray[Any], valid: NDArray[np.bool_], heights: NDArray[np.float32] | None
    ) -> None:
        grid = GeoBox(image.shape[1:], Affine.identity(), None)
        scene = Scene("array", Path("array"), grid, len(image), str(image.dtype))
        self.scenes: tuple[Scene, ...] = (scene,)
        self._image, self._valid, self._heights = image, valid, heights

    def read(self, window: Window) -> Patch:
        """Read a window, which may hang over the array's edges; what lies outside is 0 and not valid."""
        image = np.zeros((len(self._image), *window.shape), self._image.dtype)
        valid = np.zeros(window.shape, bool)
        heights = None if self._heights is None else np.zeros((1, *window.shape), np.float32)
        part = window.inside(*self._valid.shape)
        if part is not None:
            top, bottom, left, right = part
            rows = slice(top - window.y, bottom - window.y)
            columns = slice(left - window.x, right - window.x)
            image[:, rows, columns] = self._image[:, top:bottom, left:right]
            valid[rows, columns] = self._valid[top:bottom, left:right]
            if heights is not None and self._heights is not None:
                heights[0, rows, columns] = self._heights[top:bottom, left:right]
        return Patch(image, valid, heights)


def predict_array(
    image: NDArray[Any] | xarray.DataArray,
    network: Network,
    settings: Settings,
    dtype: str,
    *,
    heights: NDArray[np.floating[Any]] | xarray.DataArray | None = None,
    nodata: float | None = None,
    probabilities: bool = True,
) -> Prediction:
    """Predict an image of any size by overlapping windows, as ``export`` predicts scenes.

    Args:
        image: (bands, H, W), bands as in the training scenes; a `xarray.DataArray` may have its dimensions in
            any order, if they are called ``y``, ``x`` and, for the bands, anything else.
        network: the model.
        settings: how it predicts.
        dtype: NumPy name of the training scenes' pixel type.
        heights: (H, W), metres above local ground, for a model that was trained with a DSM.
        nodata: value of pixels without data; None: the array's own ``nodata`` or ``_FillValue``, if any.
        probabilities: whether the probabilities of all classes are wanted: 4 bytes a class and pixel.

    Returns:
        Arrays on the image's grid.

    Raises:
        RasterError: other bands or another type than in training, or heights that are missing or do not fit.
    """
    values = _band_first(image)
    declared = nodata if nodata is not None else _declared_nodata(image)
    card = network.card
    _check(values, network, dtype)
    mask = np.ma.getmaskarray(values).any(0) if np.ma.isMaskedArray(values) else False
    values = np.ma.getdata(values)
    if card.bands is not None:
        values = values[[band - 1 for band in card.bands]]
    valid = valid_pixels(values, declared) & ~np.asarray(mask)
    reader = ArrayReader(values, valid, _checked_heights(heights, values.shape[1:], card.dsm))
    layers = _predicted(reader, network, settings, probabilities)
    if isinstance(image, np.ndarray) or not hasattr(image, "dims"):
        return Prediction(*layers, class_map=network.classes)
    return Prediction(*_on_grid(image, layers, network.classes), class_map=network.classes)


def _predicted(
    reader: ArrayReader, network: Network, settings: Settings, every: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32] | None]:
    from tsfal_geo.inference.outputs import PROBABILITIES
    from tsfal_geo.mapping.outputs import layers
    from tsfal_geo.mapping.scene import map_scene

    shape = reader.scenes[0].shape
    ids = np.full(256, IGNORE, np.uint8)
    ids[: len(network.classes)] = network.classes.ids
    classes = np.full(shape, IGNORE, np.uint8)
    confidence = np.full(shape, np.nan, np.float32)
    probs = np.full((len(network.classes), *shape), np.nan, np.float32) if every else None

    def keep(rows: LayerRows) -> None:
        height, width = rows.valid.shape
        place = slice(rows.y, rows.y + height), slice(rows.x, rows.x + width)
        classes[place] = ids[layers.classes(rows)]
        if PROBABILITIES not in rows.layers:
            return
        values = rows.layers[PROBABILITIES].float().cpu().numpy()
        confidence[place] = np.where(rows.valid, values.max(0), np.nan)
        if probs is not None:
            probs[:, *place] = np.where(rows.valid, values, np.nan)

    map_scene(reader, 0, network, settings, keep)
    return classes, confidence, probs


def _band_first(image: Any) -> NDArray[Any]:
    if hasattr(image, "dims"):
        others = [name for name in image.dims if name not in ("y", "x")]
        if len(others) != 1 or len(image.dims) != 3:
            raise RasterError(
                f"found an array with dimensions {tuple(image.dims)}, expected a band dimension, y and x; "
                "rename them, for example with .rename(lat='y', lon='x')"
            )
        return np.asarray(image.transpose(others[0], "y", "x").data)
    values = image if np.ma.isMaskedArray(image) else np.asarray(image)
    if values.ndim != 3:
        raise RasterError(
            f"found an array of shape {values.shape}, expected (bands, height, width); add the missing axis"
        )
    return values


def _declared_nodata(image: Any) -> float | None:
    for source in (getattr(image, "attrs", {}), getattr(image, "encoding", {})):
        for key in ("nodata", "_FillValue"):
            if source.get(key) is not None:
                return float(source[key])
    return None


def _check(values: NDArray[Any], network: Network, dtype: str) -> None:
    card = network.card
    expected = card.in_channels - card.dsm
    if str(values.dtype) != dtype:
        raise RasterError(
            f"found an array of {values.dtype}, expected {dtype}, which the model was trained on; "
            "scale and convert it as the training scenes were"
        )
    if card.bands is None and len(values) != expected:
        raise RasterError(
            f"found {len(values)} bands in an array of shape {values.shape}, expected {expected} along the "
            "first axis, in the order of the training scenes"
        )
    if card.bands is not None and len(values) < max(card.bands):
        raise RasterError(
            f"found {len(values)} bands in an array of shape {values.shape}, expected band "
            f"{max(card.bands)} too, which the model was trained on"
        )


def _checked_heights(heights: Any, shape: tuple[int, ...], wanted: bool) -> NDArray[np.float32] | None:
    if not wanted:
        return None
    if heights is None:
        raise RasterError(
            "found no heights, expected heights=… in metres above local ground, as the model was trained"
        )
    values = np.asarray(heights, np.float32)
    if values.shape != shape:
        raise RasterError(f"found heights of shape {values.shape}, expected {shape} like the image")
    return np.nan_to_num(values)


def _on_grid(
    image: xarray.DataArray,
    layers: tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32] | None],
    classes: ClassMap,
) -> tuple[xarray.DataArray, xarray.DataArray, xarray.DataArray | None]:
    import xarray

    band = next(name for name in image.dims if name not in ("y", "x"))
    kept = {name: values for name, values in image.coords.items() if band not in values.dims}
    ids, confidence, probs = layers
    names = {"class_ids": [c.id for c in classes.classes], "class_names": [c.name for c in classes.classes]}

    def wrap(values: NDArray[Any], name: str, **attributes: Any) -> xarray.DataArray:
        return xarray.DataArray(values, kept, ("y", "x"), name=name, attrs=attributes)

    every = None
    if probs is not None:
        every = xarray.DataArray(
            probs, {**kept, "class": list(classes.names)}, ("class", "y", "x"), name="probabilities"
        )
    return wrap(ids, "classes", nodata=IGNORE, **names), wrap(confidence, "confidence"), every
