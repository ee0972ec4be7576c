"""STAC items beside the maps: one for each scene, and one for the model with the MLM extension."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pystac
import shapely
from pystac.extensions.classification import Classification, ClassificationExtension
from pystac.extensions.mlm import (
    AssetGeneralMLMExtension,
    InputStructure,
    MLMExtension,
    ModelInput,
    ModelOutput,
    ResultStructure,
    TaskType,
    ValueScaling,
    ValueScalingType,
)
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import DataType

from tsfal_geo.atomic import write_text
from tsfal_geo.classes import ClassMap
from tsfal_geo.mapping.outputs.ground import bounding_box, box_geometry, footprint
from tsfal_geo.mapping.outputs.products import MODEL_ITEM
from tsfal_geo.mapping.outputs.rasters import SceneMap
from tsfal_geo.models.io import CARD_NAME, WEIGHTS_NAME, ModelCard
from tsfal_geo.models.vit import is_vision_transformer
from tsfal_geo.raster.scene import Scene


def write_map_item(
    files: SceneMap, scene: Scene, classes: ClassMap, further: dict[str, Path] | None = None
) -> Path | None:
    """Write ``<scene>.stac.json`` beside the map, with the time of writing as its date.

    Args:
        files: the scene's rasters.
        scene: the scene.
        classes: names and colours.
        further: other files of the scene, by role.

    Returns:
        The item's path; None for a scene without a CRS on the earth, which has no place in STAC.
    """
    place = footprint(scene)
    if place is None:
        return None
    box = bounding_box([place])
    path = files.classes.with_suffix(".stac.json")
    item = pystac.Item(files.scene, shapely.geometry.mapping(place), box, datetime.now(UTC), {})
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    crs = scene.grid.crs
    assert crs is not None
    projection.apply(
        code=f"EPSG:{crs.epsg}" if crs.epsg else None,
        wkt2=None if crs.epsg else crs.to_wkt(),
        shape=list(scene.shape),
        transform=list(scene.grid.affine)[:6],
    )
    item.add_asset("classes", _asset(files.classes, path, pystac.MediaType.COG, "class map"))
    ClassificationExtension.ext(item.assets["classes"], add_if_missing=True).classes = _classes(classes)
    for layer, raster in files.layers.items():
        item.add_asset(layer, _asset(raster, path, pystac.MediaType.COG, layer.replace("_", " ")))
    for role, file in (further or {}).items():
        item.add_asset(role, _asset(file, path, _media_type(file), role))
    item.add_link(pystac.Link("derived_from", MODEL_ITEM, pystac.MediaType.JSON, "the model"))
    return _write(item, path)


def write_model_item(
    out: Path, folder: Path, card: ModelCard, scenes: Sequence[Scene], dtype: str, onnx: Path | None
) -> Path | None:
    """Write ``<out>/model.stac.json``, which describes the model.

    Args:
        out: folder of the item.
        folder: holds the model.
        card: the model's description.
        scenes: its training scenes, whose bounds are the item's.
        dtype: NumPy name of their pixel type.
        onnx: the model as ONNX; None if it was not written.

    Returns:
        The item's path; None if no training scene has a CRS.
    """
    places = [place for place in map(footprint, scenes) if place is not None]
    if not places:
        return None
    bounds = bounding_box(places)
    path = out / MODEL_ITEM
    head = "DPT" if is_vision_transformer(card.model.encoder) else "DeepLabv3+"
    item = pystac.Item("model", box_geometry(bounds), bounds, datetime.now(UTC), {})
    MLMExtension.ext(item, add_if_missing=True).apply(
        name=f"tsfal-geo round {card.round}",
        architecture=f"{head} with {card.model.encoder}",
        tasks=[TaskType.SEMANTIC_SEGMENTATION],
        input=[_input(card, dtype)],
        output=[_output(card)],
        framework="PyTorch",
        framework_version=card.versions.get("torch"),
        pretrained=True,
        pretrained_source=card.model.weights or "none",
    )
    weights = _asset(folder / WEIGHTS_NAME, path, "application/octet-stream", "weights (safetensors)")
    weights.roles = ["mlm:model", "mlm:weights"]
    item.add_asset("weights", weights)
    AssetGeneralMLMExtension.ext(weights, add_if_missing=True).apply(
        artifact_type="safetensors.torch.save_file"
    )
    item.add_asset("card", _asset(folder / CARD_NAME, path, pystac.MediaType.JSON, "how to use it"))
    if onnx is not None:
        exported = _asset(onnx, path, "application/octet-stream; application=onnx", "model as ONNX")
        exported.roles = ["mlm:model"]
        item.add_asset("onnx", exported)
        AssetGeneralMLMExtension.ext(exported, add_if_missing=True).apply(artifact_type="onnx")
    return _write(item, path)


def _input(card: ModelCard, dtype: str) -> ModelInput:
    image_bands = card.in_channels - card.dsm
    names = [f"band {n}" for n in card.bands or range(1, image_bands + 1)]
    structure = InputStructure.create(
        [-1, card.in_channels, card.chip_size, card.chip_size],
        ["batch", "bands", "height", "width"],
        DataType(dtype),
    )
    found = ModelInput.create(
        "image" if not card.dsm else "image, and height above ground in metres as the last band",
        [*names, *(["height above ground"] if card.dsm else [])],
        structure,
    )
    numbers = zip(card.normalisation["mean"], card.normalisation["std"], strict=True)
    scaling = (ValueScaling.create(ValueScalingType.Z_SCORE, mean=mean, stddev=std) for mean, std in numbers)
    # The extension requires an entry a band, which pystac's setter does not take.
    found.properties["value_scaling"] = [band.to_dict() for band in scaling]
    return found


def _output(card: ModelCard) -> ModelOutput:
    classes = ClassMap.from_specs(card.classes)
    cells = card.chip_size // 4
    result = ResultStructure.create(
        [-1, len(classes), cells, cells], ["batch", "channel", "height", "width"], DataType.FLOAT32
    )
    return ModelOutput.create("logits", [TaskType.SEMANTIC_SEGMENTATION], result, classes=_classes(classes))


def _classes(classes: ClassMap) -> list[Classification]:
    return [
        Classification.create(
            info.id,
            name=re.sub(r"\W+", "_", info.name) or str(info.id),
            description=info.name,
            title=info.name,
            color_hint="{:02X}{:02X}{:02X}".format(*info.colour),
        )
        for info in classes.classes
    ]


def _asset(file: Path, item: Path, media: str | None, title: str) -> pystac.Asset:
    return pystac.Asset(
        Path(os.path.relpath(file, item.parent)).as_posix(), title, media_type=media, roles=["data"]
    )


def _media_type(path: Path) -> str | None:
    types: dict[str, str] = {
        ".gpkg": pystac.MediaType.GEOPACKAGE,
        ".png": pystac.MediaType.PNG,
        ".parquet": "application/vnd.apache.parquet",
        ".fgb": "application/vnd.flatgeobuf",
    }
    return types.get(path.suffix)


def _write(item: pystac.Item, path: Path) -> Path:
    values = item.to_dict(include_self_link=False, transform_hrefs=False)
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False))
    return path
