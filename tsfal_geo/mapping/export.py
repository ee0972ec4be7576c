"""A scene's map as a cloud-optimised GeoTIFF on the scene's own grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import UserError
from tsfal_geo.mapping.finish import classes_and_confidence
from tsfal_geo.mapping.network import PROBABILITIES
from tsfal_geo.mapping.predict import PredictFn, RowBlock, predict_scene
from tsfal_geo.mapping.rows import TileRows
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene
from tsfal_geo.raster.sidecars import write_grey_style
from tsfal_geo.raster.write import BLOCK, RasterWriter, class_writer


@dataclass(frozen=True)
class SceneMap:
    """Files of an exported scene.

    Attributes:
        scene: the scene's name.
        classes: uint8 class ids, 255 nodata.
        confidence: uint8 0 to 100, the chosen class's probability, 255 nodata; None where not asked for.
    """

    scene: str
    classes: Path
    confidence: Path | None


def map_paths(out: Path, scene: Scene, confidence: bool) -> SceneMap:
    """Where a scene's map goes: ``<out>/<name>.tif``, ``<out>/<name>_confidence.tif``."""
    return SceneMap(
        scene.name, out / f"{scene.name}.tif", out / f"{scene.name}_confidence.tif" if confidence else None
    )


def check_paths(out: Path, scenes: Sequence[Scene], confidence: bool) -> None:
    """Make sure that no map overwrites a scene's own files or another map.

    Raises:
        UserError: it would.
    """
    inputs = {p.resolve() for s in scenes for p in (s.path, s.dsm, s.labels) if p is not None}
    outputs: set[Path] = set()
    for scene in scenes:
        files = map_paths(out, scene, confidence)
        for path in (files.classes, files.confidence):
            if path is None:
                continue
            if path.resolve() in inputs:
                raise UserError(f"{path} is an input; expected another folder for the maps, give --out DIR")
            if path in outputs:
                raise UserError(f"{path} would be the map of two scenes; rename the scene {scene.path}")
            outputs.add(path)


def export_scene(
    reader: SceneReader,
    scene_index: int,
    predict_fn: PredictFn,
    classes: ClassMap,
    out: Path,
    *,
    window: int,
    overlap: float,
    batch: int,
    confidence: bool = False,
    progress: Callable[[float], None] | None = None,
) -> SceneMap:
    """Predict a scene wall-to-wall and write its map; each file appears whole or not at all.

    Args:
        reader: reads the scenes.
        scene_index: which of them.
        predict_fn: gives the layer ``probabilities`` with one channel a class.
        classes: the class map, in the order of the channels.
        out: folder, made if need be.
        window: pixels a side.
        overlap: share of a window that its neighbour covers too.
        batch: windows at a time.
        confidence: also write the chosen class's probability.
        progress: gets the share that is done.

    Raises:
        RasterError: the scene cannot be read.
    """
    scene = reader.scenes[scene_index]
    files = map_paths(out, scene, confidence)
    with ExitStack() as stack:
        labels = _open(stack, class_writer(files.classes, scene.grid, classes), scene)
        shares = None
        if files.confidence is not None:
            shares = _open(stack, RasterWriter(files.confidence, scene.grid, "uint8", 1, IGNORE), scene)

        def write(block: RowBlock) -> None:
            index, percent = classes_and_confidence(block, PROBABILITIES)
            labels.add(block.y, block.x, index)
            if shares is not None:
                shares.add(block.y, block.x, percent)

        predict_scene(
            reader,
            scene_index,
            predict_fn,
            window=window,
            overlap=overlap,
            batch=batch,
            channels={PROBABILITIES: len(classes)},
            on_rows=write,
            progress=progress,
        )
    if files.confidence is not None:
        write_grey_style(files.confidence, 0, 100)
    return files


def _open(stack: ExitStack, writer: RasterWriter, scene: Scene) -> TileRows:
    return stack.enter_context(TileRows(stack.enter_context(writer).write, scene.height, BLOCK))
