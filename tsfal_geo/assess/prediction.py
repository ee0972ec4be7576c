"""The comparison of a model's prediction with label rasters, each pixel once, without writing the map."""

from __future__ import annotations

from collections.abc import Callable

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.inference.network import Network
from tsfal_geo.mapping.outputs.layers import classes as class_indices
from tsfal_geo.mapping.scene import Settings, map_scene
from tsfal_geo.mapping.windowed import LayerRows
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.reader import SceneReader


def compare_scene(
    reader: SceneReader,
    scene_index: int,
    network: Network,
    settings: Settings,
    labels: LabelReader,
    confusion: Confusion,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Predict a scene wall-to-wall, and add its pixels to a confusion matrix.

    Args:
        reader: reads the scenes.
        scene_index: position among the reader's scenes.
        network: the model.
        settings: of the prediction.
        labels: the truth of the same scenes, in the reader's order.
        confusion: takes the pixels; has as many classes as the network.
        progress: takes the share of the scene that is done.

    Raises:
        RasterError: scene or labels cannot be read.
    """

    def compare(rows: LayerRows) -> None:
        predicted = class_indices(rows)
        confusion.add(labels.read(Window(scene_index, rows.y, rows.x, *predicted.shape)), predicted)

    map_scene(reader, scene_index, network, settings, compare, progress=progress)
