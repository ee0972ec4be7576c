"""A model against label rasters: every pixel of every scene once, without writing the map."""

from __future__ import annotations

from collections.abc import Callable

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.mapping.finish import classes_and_confidence
from tsfal_geo.mapping.network import PROBABILITIES
from tsfal_geo.mapping.predict import PredictFn, RowBlock, predict_scene
from tsfal_geo.raster.labels import LabelReader
from tsfal_geo.raster.reader import SceneReader


def confuse_scene(
    reader: SceneReader,
    scene_index: int,
    predict_fn: PredictFn,
    labels: LabelReader,
    confusion: Confusion,
    *,
    window: int,
    overlap: float,
    batch: int,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Count a scene's wall-to-wall prediction against its labels.

    Args:
        reader: reads the scenes.
        scene_index: which of them.
        predict_fn: gives the layer ``probabilities``.
        labels: knows the same scenes.
        confusion: counts the pixels; of as many classes as there are probabilities.
        window: pixels a side.
        overlap: share of a window that its neighbour covers too.
        batch: windows at a time.
        progress: gets the share that is done.
    """

    def compare(block: RowBlock) -> None:
        predicted, _ = classes_and_confidence(block)
        confusion.add(labels.read(scene_index, block.y, block.x, *predicted.shape), predicted)

    predict_scene(
        reader,
        scene_index,
        predict_fn,
        window=window,
        overlap=overlap,
        batch=batch,
        channels={PROBABILITIES: confusion.classes},
        on_rows=compare,
        progress=progress,
    )
