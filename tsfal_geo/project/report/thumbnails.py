"""Small pictures of the scenes of a round as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from tsfal_geo.classes import IGNORE
from tsfal_geo.mapping.outputs.pictures import class_picture, label_picture, picture_shape, scene_picture
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.scene import Scene
from tsfal_geo.workspace.folder import WorkspaceFolder

_SIDE = 320  # pixels of a picture's longer side, at most
_MASK = np.array([214, 40, 57], np.float32)
_QUALITY = 85


@dataclass(frozen=True)
class Thumbnail:
    """A picture of a scene.

    Attributes:
        title: the picture's name: image, prediction, error mask, refined, or truth.
        alt: the picture in words.
        uri: the picture as a data URI.
    """

    title: str
    alt: str
    uri: str


def scene_thumbnails(workspace: WorkspaceFolder, scene: Scene) -> tuple[Thumbnail, ...]:
    """Draw the pictures of a scene in the last round.

    Args:
        workspace: with a complete round.
        scene: one of its training scenes.

    Returns:
        The image, and those of prediction, error mask, refined labels and truth that there are; empty where
        the round has no prediction of the scene.

    Raises:
        RasterError: a raster cannot be read.
    """
    if not (workspace.round_dir(workspace.current_round) / scene.name / "prediction.tif").is_file():
        return ()
    return tuple(_thumbnails(workspace, scene))


def _thumbnails(workspace: WorkspaceFolder, scene: Scene) -> Iterator[Thumbnail]:
    folder = workspace.round_dir(workspace.current_round) / scene.name
    shape = picture_shape(scene, _SIDE)
    image = scene_picture(scene, workspace.config.data.bands, shape)
    yield _photo("image", f"Orthophoto of {scene.name}", image)
    classes = workspace.classes
    prediction = class_picture(folder / "prediction.tif", shape, classes)[0]
    yield _drawing("prediction", f"Predicted classes of {scene.name}", prediction)
    grey = _greyed(image)
    if (folder / "error_mask.tif").is_file():
        share = _share(folder / "error_mask.tif", shape)
        picture = (grey * (1 - share[..., None]) + _MASK * share[..., None]).astype(np.uint8)
        yield _photo(
            "error mask",
            f"Places of {scene.name} where the model expects its own errors, in red: "
            f"{np.count_nonzero(share) / share.size:.0%} of the scene",
            picture,
        )
    if (folder / "refined.tif").is_file():
        refined, known = class_picture(folder / "refined.tif", shape, classes)
        yield _drawing(
            "refined", f"Refined labels of {scene.name}, grey without one", np.where(known, refined, grey)
        )
    if scene.labels is not None and scene.labels.is_file():
        truth = label_picture(FolderLabels([scene], classes), 0, scene, shape, classes)
        yield _drawing("truth", f"Label raster of {scene.name}", truth)


def _greyed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = image.mean(-1, keepdims=True) * 0.5 + 110
    return np.broadcast_to(grey, image.shape).astype(np.uint8)


def _share(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Read an error mask as opacity: 0 outside, at least a third inside."""
    with open_raster(path) as dataset, reading(path):
        percent = dataset.read(1, out_shape=shape, resampling=Resampling.nearest)
    inside = (percent > 0) & (percent != IGNORE)
    return np.where(inside, 0.35 + 0.6 * percent / 100, 0).astype(np.float32)


def _photo(title: str, alt: str, pixels: NDArray[np.uint8]) -> Thumbnail:
    return Thumbnail(title, alt, _uri(pixels, "jpeg", quality=_QUALITY))


def _drawing(title: str, alt: str, pixels: NDArray[np.uint8]) -> Thumbnail:
    return Thumbnail(title, alt, _uri(pixels, "png", optimize=True))


def _uri(pixels: NDArray[np.uint8], kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
