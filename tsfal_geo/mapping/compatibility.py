"""The check that scenes have the bands, the pixel type and the heights that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from tsfal_geo.errors import RasterError
from tsfal_geo.models.io import ModelCard
from tsfal_geo.raster.radiometry import Radiometry
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.scene import Scene


def open_scenes(
    scenes: Sequence[Scene], card: ModelCard, dtype: str, trained: Radiometry | None = None
) -> SceneReader:
    """Open scenes for a model.

    Args:
        scenes: the scenes to predict.
        card: the model's description.
        dtype: NumPy name of the training scenes' pixel type.
        trained: declarations of the training scenes, whose numbers the scenes are read in; None: not
        recorded.

    Returns:
        A reader of the channels that the model was trained on.

    Raises:
        RasterError: a scene has other bands, another pixel type or no DSM, or declares scales and offsets and
            the training scenes do not.
    """
    expected = card.in_channels - card.dsm
    for scene in scenes:
        if scene.dtype != dtype:
            raise RasterError(
                f"{scene.path} is {scene.dtype}, expected {dtype}, which the model was trained on; "
                f"`gdal_translate -ot … -scale` it as the training scenes were"
            )
        found = len(card.bands or scene.spectral)
        if card.bands is None and found != expected:
            raise RasterError(
                f"{scene.path} has {found} bands, expected {expected}, which the model was trained on; give "
                "scenes with the same bands in the same order"
            )
        if card.bands and max(card.bands) > scene.bands:
            raise RasterError(
                f"{scene.path} has bands 1 to {scene.bands}, expected band {max(card.bands)} too, which the "
                "model was trained on; give scenes with the same bands in the same order"
            )
        if card.dsm and scene.dsm is None:
            raise RasterError(
                f"{scene.path} has no DSM, expected one, as the model was trained with heights; put one with "
                "the same name into dsm/ beside it"
            )
    return SceneReader(scenes, card.bands, card.dsm, reference=trained)
