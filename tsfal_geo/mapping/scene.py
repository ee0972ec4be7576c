"""Wall-to-wall prediction of a scene, as one image or by windows, as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tsfal_geo.config import ExportConfig
from tsfal_geo.errors import UserError
from tsfal_geo.inference.network import Network
from tsfal_geo.mapping.streamed import stream_scene
from tsfal_geo.mapping.windowed import Block, RowSink, predict_scene
from tsfal_geo.raster.reader import PatchReader


@dataclass(frozen=True)
class Settings:
    """Settings of a wall-to-wall prediction.

    Attributes:
        window: pixels a side of a window; None: the scene as one image.
        overlap: share of a window that its neighbour covers too.
        batch: windows at a time.
        layers: rasters beside the class map, of ``outputs.rasters.LAYERS``, in any order.
        doubt: confidence below which a pixel is in the error mask.
    """

    window: int | None
    overlap: float = 0.25
    batch: int = 4
    layers: tuple[str, ...] = ()
    doubt: float = 0.7


def settings_for(
    network: Network, export: ExportConfig, doubt: float, layers: tuple[str, ...] = ()
) -> Settings:
    """Resolve the settings that a configuration leaves to the network.

    Args:
        network: the model.
        export: the configuration's section of maps.
        doubt: confidence below which a pixel is in the error mask.
        layers: rasters beside the class map, of ``outputs.rasters.LAYERS``.

    Returns:
        The settings; a window that is not configured has the chips' size.

    Raises:
        UserError: the scene is configured as one image, and the network only works on windows.
    """
    window = export.window
    if window is None:
        # A network has learnt the padding around chips: see "Accuracy" in docs/benchmarks.md.
        window = network.card.chip_size
    if window == "scene" and network.rows is None:
        raise UserError(
            "export.window is scene, expected a number: with --augment, and with encoders that read a window "
            "at once, scenes are predicted by windows; leave export.window out, or give export --window 512"
        )
    batch = export.batch or network.batch
    return Settings(None if window == "scene" else window, export.overlap, batch, layers, doubt)


def map_scene(
    reader: PatchReader,
    scene_index: int,
    network: Network,
    settings: Settings,
    on_rows: RowSink,
    *,
    block: Block | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Predict every pixel of a scene, or of a block, and pass each to ``on_rows`` exactly once.

    Args:
        reader: reads the scenes.
        scene_index: position among the reader's scenes.
        network: the model.
        settings: of the prediction; without a window the network must have ``rows``.
        on_rows: takes the finished rows.
        block: predict these pixels alone.
        progress: takes the share of the scene that is done.

    Raises:
        RasterError: the scene cannot be read.
        ValueError: no window, for a network that only works on windows.
    """
    if settings.window is not None:
        predict_scene(
            reader, scene_index, network.predict,
            window=settings.window, overlap=settings.overlap, batch=settings.batch,
            channels=network.channels, on_rows=on_rows, block=block, progress=progress,
        )  # fmt: skip
        return
    if network.rows is None:
        raise ValueError("found no window, expected one: the network only works on windows")
    stream_scene(
        reader, scene_index, network.rows,
        channels=network.channels, on_rows=on_rows, block=block, progress=progress,
    )  # fmt: skip
