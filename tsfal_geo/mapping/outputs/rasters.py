"""A scene's maps as cloud-optimised GeoTIFFs on the scene's own grid, all from one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import UserError
from tsfal_geo.inference.network import Network
from tsfal_geo.mapping.outputs import layers as finish
from tsfal_geo.mapping.overlay import LABEL, NETWORK, Known, lay_over
from tsfal_geo.mapping.pipeline import TileRows
from tsfal_geo.mapping.scene import Settings, map_scene
from tsfal_geo.mapping.windowed import RowBlock
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.sidecars import write_grey_style
from tsfal_geo.raster.write import BLOCK, RasterWriter, class_writer

CLASSES = "classes"
LAYERS = ("confidence", "entropy", "error_mask", "probabilities", "source")
"""What can be written beside the class map, as ``<scene>_<layer>.tif``."""


@dataclass(frozen=True)
class SceneMap:
    """Files of an exported scene.

    Attributes:
        scene: the scene's name.
        classes: uint8 class ids, 255 nodata.
        layers: further rasters, by layer: ``confidence`` and ``entropy`` (of its maximum) 0 to 100;
            ``error_mask`` 0 outside the mask, else the probability of an error, 1 to 100; ``probabilities``
            a band a class, 0 to 250 for 0 to 1; ``source`` who says it, as in ``mapping.known``. All uint8,
            255 nodata.
    """

    scene: str
    classes: Path
    layers: dict[str, Path] = field(default_factory=dict)


def map_paths(out: Path, scene: Scene, layers: Sequence[str] = ()) -> SceneMap:
    """Where a scene's maps go: ``<out>/<name>.tif``, ``<out>/<name>_<layer>.tif``."""
    files = {layer: out / f"{scene.name}_{layer}.tif" for layer in LAYERS if layer in layers}
    return SceneMap(scene.name, out / f"{scene.name}.tif", files)


def check_paths(
    out: Path, scenes: Sequence[Scene], layers: Sequence[str] = (), pictures: Sequence[str] = ()
) -> None:
    """Make sure that no map, nor a picture of it, overwrites a scene's own files or another map.

    Args:
        out: folder of the maps.
        scenes: all scenes that are mapped.
        layers: of ``LAYERS``.
        pictures: ends of the names of pictures, such as ``.png`` for ``<out>/<name>.png``.

    Raises:
        UserError: it would.
    """
    inputs = {p.resolve() for s in scenes for p in (s.path, s.dsm, s.labels) if p is not None}
    outputs: set[Path] = set()
    for scene in scenes:
        files = map_paths(out, scene, layers)
        beside = (out / f"{scene.name}{end}" for end in pictures)
        for path in (files.classes, *files.layers.values(), *beside):
            if path.resolve() in inputs:
                raise UserError(f"{path} is an input; expected another folder for the maps, give --out DIR")
            if path in outputs:
                raise UserError(f"{path} would be the map of two scenes; rename the scene {scene.path}")
            outputs.add(path)


def export_scene(
    reader: SceneReader,
    scene_index: int,
    network: Network,
    out: Path,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
    known: Known | None = None,
) -> SceneMap:
    """Predict a scene wall-to-wall and write its maps; each file appears whole or not at all.

    Args:
        reader: reads the scenes.
        scene_index: which of them.
        network: the model; its classes are those of the map.
        out: folder, made if need be.
        settings: how, and which layers.
        progress: gets the share that is done.
        known: what lies over the network's word.

    Raises:
        RasterError: the scene cannot be read.
    """
    scene = reader.scenes[scene_index]
    files = map_paths(out, scene, settings.layers)
    with ExitStack() as stack:
        sinks = {CLASSES: _open(stack, class_writer(files.classes, scene.grid, network.classes), scene)}
        for layer, path in files.layers.items():
            sinks[layer] = _open(stack, layer_writer(path, scene, layer, network.classes), scene)

        def write(block: RowBlock) -> None:
            layers = finished(block, tuple(sinks), network, settings)
            if known is not None:
                layers = lay_over(layers, known, block.y, block.x)
            for layer, values in layers.items():
                sinks[layer].add(block.y, block.x, values)

        map_scene(reader, scene_index, network, settings, write, progress=progress)
    dress(files)
    return files


def finished(
    block: RowBlock, layers: Sequence[str], network: Network, settings: Settings
) -> dict[str, NDArray[np.uint8]]:
    """What rasters hold of a block: ``classes`` as class indices, and layers, (…, h, w) uint8."""
    found = {CLASSES: finish.classes(block)}
    if "confidence" in layers:
        found["confidence"] = finish.confidence(block)
    if "entropy" in layers:
        found["entropy"] = finish.entropy(block)
    if "error_mask" in layers:
        found["error_mask"] = finish.error_mask(block, settings.doubt, network.error_threshold)
    if "probabilities" in layers:
        found["probabilities"] = finish.probabilities(block, len(network.classes))
    if "source" in layers:
        found["source"] = np.where(block.valid, np.uint8(NETWORK), np.uint8(IGNORE))
    return {layer: found[layer] for layer in layers}


def layer_writer(path: Path, scene: Scene, layer: str, classes: ClassMap) -> RasterWriter:
    """A writer of one of ``LAYERS``."""
    if layer == "probabilities":
        names = classes.names
        return RasterWriter(
            path, scene.grid, "uint8", len(names), IGNORE, descriptions=names, scale=1 / finish.FULL
        )
    return RasterWriter(path, scene.grid, "uint8", 1, IGNORE)


def dress(files: SceneMap) -> None:
    """Write the styles of the layers that are shown in grey."""
    for layer, path in files.layers.items():
        if layer != "probabilities":
            write_grey_style(path, 0, LABEL if layer == "source" else 100)


def _open(stack: ExitStack, writer: RasterWriter, scene: Scene) -> TileRows:
    return stack.enter_context(TileRows(stack.enter_context(writer).write, scene.height, BLOCK))
