"""A model against label rasters: every pixel of every scene once, without writing the map."""

from __future__ import annotations

from collections.abc import Callable

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.inference.network import Network
from tsfal_geo.mapping.outputs.layers import classes
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
    """Count a scene's wall-to-wall prediction against its labels.

    Args:
        reader: reads the scenes.
        scene_index: which of them.
        network: the model.
        settings: how it predicts.
        labels: knows the same scenes.
        confusion: counts the pixels; of as many classes as the network knows.
        progress: gets the share that is done.
    """

    def compare(rows: LayerRows) -> None:
        predicted = classes(rows)
        confusion.add(labels.read(Window(scene_index, rows.y, rows.x, *predicted.shape)), predicted)

    map_scene(reader, scene_index, network, settings, compare, progress=progress)
