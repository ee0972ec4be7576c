"""A scene's maps as cloud-optimised GeoTIFFs on the scene's own grid, all from one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.inference.network import Network
from tsfal_geo.mapping.outputs import layers as values_of
from tsfal_geo.mapping.overlay import LABEL, NETWORK, LabelOverlay, apply_overlay
from tsfal_geo.mapping.pipeline import TileRows
from tsfal_geo.mapping.scene import Settings, map_scene
from tsfal_geo.mapping.windowed import LayerRows
from tsfal_geo.plots import plot_classes
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.label_tables import infer_class_map
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene, grid_of
from tsfal_geo.raster.sidecars import write_grey_style
from tsfal_geo.raster.write import BLOCK, RasterWriter, class_writer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASSES = "classes"
LAYERS = ("confidence", "entropy", "error_mask", "probabilities", "source")
"""Layers that can be written beside the class map, as ``<scene>_<layer>.tif``."""


@dataclass(frozen=True)
class SceneMap:
    """Files of an exported scene.

    Attributes:
        scene: the scene's name.
        classes: uint8 class ids, 255 nodata.
        layers: further rasters, by layer, all uint8 with nodata 255. ``confidence`` and ``entropy`` hold
            percentages, the latter of the maximum; ``error_mask`` 0 outside the mask, else the probability of
            an error in percent; ``probabilities`` a band a class, 0 to 250 for 0 to 1; ``source`` the origin
            of the class, as in ``mapping.overlay``.
    """

    scene: str
    classes: Path
    layers: dict[str, Path] = field(default_factory=dict)

    def plot(self, ax: Axes | None = None, side: int = 1024) -> Axes:
        """Draw the classes in their colours, with a legend.

        Args:
            ax: axes of Matplotlib to draw on; None: new ones.
            side: pixels of the picture's longer side, at most; a larger map is read at an overview.

        Returns:
            The axes.
        """
        with open_raster(self.classes) as dataset, reading(self.classes):
            scale = min(1.0, side / max(dataset.shape))
            shape = tuple(max(1, round(length * scale)) for length in dataset.shape)
            ids = dataset.read(1, out_shape=shape)
            scene = Scene(self.scene, self.classes, grid_of(dataset), 1, "uint8", labels=self.classes)
        # A map carries names and colours of its classes, as label files do.
        classes = infer_class_map([scene])
        assert classes is not None
        return plot_classes(ids, classes, ax)

    def _repr_html_(self) -> str:
        files = {"classes": self.classes, **self.layers}
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(str(path))}</td></tr>" for name, path in files.items()
        )
        return f"<table><caption>{escape(self.scene)}</caption>{rows}</table>"


def map_paths(out: Path, scene: Scene, layers: Sequence[str] = ()) -> SceneMap:
    """Name a scene's maps: ``<out>/<name>.tif``, ``<out>/<name>_<layer>.tif``.

    Args:
        out: folder of the maps.
        scene: the scene.
        layers: of ``LAYERS``.
    """
    files = {layer: out / f"{scene.name}_{layer}.tif" for layer in LAYERS if layer in layers}
    return SceneMap(scene.name, out / f"{scene.name}.tif", files)


def export_scene(
    reader: SceneReader,
    scene_index: int,
    network: Network,
    out: Path,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
    overlay: LabelOverlay | None = None,
) -> SceneMap:
    """Predict a scene wall-to-wall and write its maps; each file appears whole or not at all.

    Args:
        reader: reads the scenes.
        scene_index: position among the reader's scenes.
        network: the model; its classes are those of the map.
        out: folder of the maps, created if need be.
        settings: of the prediction, with the layers to write.
        progress: takes the share of the scene that is done.
        overlay: labels and votes that replace the prediction; None: the prediction alone.

    Returns:
        The scene's files.

    Raises:
        RasterError: the scene cannot be read.
    """
    scene = reader.scenes[scene_index]
    files = map_paths(out, scene, settings.layers)
    tags = map_tags(network, settings)
    with ExitStack() as stack:
        writer = class_writer(files.classes, scene.grid, network.classes, tags=tags)
        sinks = {CLASSES: _open(stack, writer, scene)}
        for layer, path in files.layers.items():
            sinks[layer] = _open(stack, layer_writer(path, scene, layer, network.classes), scene)

        def write(rows: LayerRows) -> None:
            layers = raster_layers(rows, tuple(sinks), network, settings)
            if overlay is not None:
                layers = apply_overlay(layers, overlay, rows.y, rows.x)
            for layer, values in layers.items():
                sinks[layer].add(rows.y, rows.x, values)

        map_scene(reader, scene_index, network, settings, write, progress=progress)
    write_styles(files)
    return files


def raster_layers(
    rows: LayerRows, layers: Sequence[str], network: Network, settings: Settings
) -> dict[str, NDArray[np.uint8]]:
    """Compute the rasters' values from finished rows.

    Args:
        rows: finished rows of the network's layers.
        layers: ``classes``, and of ``LAYERS``.
        network: the model.
        settings: of the prediction.

    Returns:
        Per layer (…, h, w) uint8, 255 where nodata; ``classes`` holds class indices.
    """
    found = {CLASSES: values_of.classes(rows)}
    if "confidence" in layers:
        found["confidence"] = values_of.confidence(rows)
    if "entropy" in layers:
        found["entropy"] = values_of.entropy(rows)
    if "error_mask" in layers:
        found["error_mask"] = values_of.error_mask(rows, settings.doubt, network.error_threshold)
    if "probabilities" in layers:
        found["probabilities"] = values_of.probabilities(rows, len(network.classes))
    if "source" in layers:
        found["source"] = np.where(rows.valid, np.uint8(NETWORK), np.uint8(IGNORE))
    return {layer: found[layer] for layer in layers}


def map_tags(network: Network, settings: Settings) -> dict[str, str]:
    """Compile the tags of a class map: the runtime that computed it.

    Args:
        network: the model.
        settings: of the prediction.
    """
    # A scene in one piece runs through the rows, which are PyTorch's.
    return {} if settings.window is None else {"TSFAL_RUNTIME": network.runtime}


def layer_writer(path: Path, scene: Scene, layer: str, classes: ClassMap) -> RasterWriter:
    """Create the writer of a raster.

    Args:
        path: the raster.
        scene: the scene, whose grid the raster has.
        layer: of ``LAYERS``.
        classes: names of the bands of ``probabilities``.
    """
    if layer == "probabilities":
        names = classes.names
        return RasterWriter(
            path, scene.grid, "uint8", len(names), IGNORE, descriptions=names, scale=1 / values_of.FULL
        )
    return RasterWriter(path, scene.grid, "uint8", 1, IGNORE)


def write_styles(files: SceneMap) -> None:
    """Write QGIS's styles of the layers that are shown in grey.

    Args:
        files: the scene's rasters.
    """
    for layer, path in files.layers.items():
        if layer != "probabilities":
            write_grey_style(path, 0, LABEL if layer == "source" else 100)


def _open(stack: ExitStack, writer: RasterWriter, scene: Scene) -> TileRows:
    return stack.enter_context(TileRows(stack.enter_context(writer).write, scene.height, BLOCK))
