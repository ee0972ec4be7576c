"""Wall-to-wall prediction of a scene: in one piece where the network allows it, else by windows."""

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
    """How a scene is predicted.

    Attributes:
        window: pixels a side; None: the scene in one piece.
        overlap: share of a window that its neighbour covers too.
        batch: windows at a time.
        layers: of ``LAYERS``, in any order.
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
        export: the configuration's section.
        doubt: confidence below which a pixel is in the error mask.
        layers: of ``LAYERS``.

    Raises:
        UserError: the scene is to be one window, which the network does not allow.
    """
    window = export.window
    if window is None:
        # Networks expect the padding around a chip: see "Accuracy" in docs/benchmarks.md.
        window = network.card.chip_size
    if window == "scene" and network.rows is None:
        raise UserError(
            "export.window is scene, expected a number for an encoder that looks at a window as a whole and "
            "with --augment; leave export.window out, or give export --window 512"
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
    """Predict every pixel of a scene, or of a block, and give each to ``on_rows`` exactly once.

    Args:
        reader: reads the scenes.
        scene_index: which of them.
        network: the model.
        settings: how; without a window the network must have ``rows``.
        on_rows: takes the finished rows.
        block: only these pixels.
        progress: gets the share that is done.
    """
    if settings.window is not None:
        predict_scene(
            reader, scene_index, network.predict,
            window=settings.window, overlap=settings.overlap, batch=settings.batch,
            channels=network.channels, on_rows=on_rows, block=block, progress=progress,
        )  # fmt: skip
        return
    if network.rows is None:
        raise ValueError("found no window, expected one, as the network does not work on rows")
    stream_scene(
        reader, scene_index, network.rows,
        channels=network.channels, on_rows=on_rows, block=block, progress=progress,
    )  # fmt: skip
