"""The STAC item of a model, with the MLM extension: each artefact as a consumer must feed it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pystac
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
from pystac.extensions.raster import DataType

from tsfal_geo.classes import ClassMap
from tsfal_geo.mapping.outputs.ground import bounding_box, box_geometry, footprint
from tsfal_geo.mapping.outputs.products import MODEL_ITEM
from tsfal_geo.mapping.outputs.stac import asset, stac_classes, write_item
from tsfal_geo.models.io import CARD_NAME, WEIGHTS_NAME, ModelCard
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.models.vit import is_vision_transformer
from tsfal_geo.raster.scene import Scene

_DIMENSIONS = ["batch", "bands", "height", "width"]
_CHANNELS = ["batch", "channel", "height", "width"]
_HEIGHT = "height above ground"


def write_model_item(
    out: Path, folder: Path, card: ModelCard, scenes: Sequence[Scene], onnx: Path | None
) -> Path | None:
    """Write ``<out>/model.stac.json``, which describes the model.

    The properties describe the network of the safetensors file; each file has a description of its own, too.

    Args:
        out: folder of the item.
        folder: holds the model.
        card: the model's description.
        scenes: its training scenes, whose bounds are the item's.
        onnx: the model as ONNX; None if it was not written.

    Returns:
        The item's path; None if no training scene has a CRS on the earth.
    """
    places = [place for place in map(footprint, scenes) if place is not None]
    if not places:
        return None
    bounds = bounding_box(places)
    path = out / MODEL_ITEM
    head = "DPT" if is_vision_transformer(card.model.encoder) else "DeepLabv3+"
    if card.model.architecture == "instant":
        head = "1x1 convolutions on all stages"
    bands = [{"name": name} for name in _band_names(card)]
    item = pystac.Item("model", box_geometry(bounds), bounds, datetime.now(UTC), {"bands": bands})
    MLMExtension.ext(item, add_if_missing=True).apply(
        name=f"tsfal-geo round {card.round}",
        architecture=f"{head} with {card.model.encoder}",
        tasks=[TaskType.SEMANTIC_SEGMENTATION],
        input=[_network_input(card)],
        output=[_network_output(card)],
        framework="PyTorch",
        framework_version=card.versions.get("torch"),
        pretrained=card.model.weights is not None,
        pretrained_source=card.model.weights,
    )
    weights = asset(folder / WEIGHTS_NAME, path, "application/octet-stream", "weights (safetensors)")
    weights.roles = ["mlm:model", "mlm:weights"]
    _describe(
        item, "weights", weights, "safetensors.torch.save_file", _network_input(card), _network_output(card)
    )
    item.add_asset("card", asset(folder / CARD_NAME, path, pystac.MediaType.JSON, "how to use it"))
    if onnx is not None:
        exported = asset(onnx, path, "application/octet-stream; application=onnx", "model as ONNX")
        exported.roles = ["mlm:model"]
        _describe(item, "onnx", exported, "onnx", _onnx_input(card), _onnx_output(card))
    return write_item(item, path)


def _describe(
    item: pystac.Item, key: str, file: pystac.Asset, kind: str, given: ModelInput, result: ModelOutput
) -> None:
    item.add_asset(key, file)
    AssetGeneralMLMExtension.ext(file, add_if_missing=True).apply(artifact_type=kind)
    file.extra_fields["mlm:input"] = [given.to_dict()]
    file.extra_fields["mlm:output"] = [result.to_dict()]


def _band_names(card: ModelCard) -> list[str]:
    image_bands = card.in_channels - card.dsm
    return [f"band {n}" for n in card.bands or range(1, image_bands + 1)] + ([_HEIGHT] if card.dsm else [])


def _network_input(card: ModelCard) -> ModelInput:
    """Describe what the weights' network takes: pixel values, clipped and standardised."""
    shape = [-1, card.in_channels, card.chip_size, card.chip_size]
    found = _input(card, "image", shape, "pixel values of the scene, clipped and standardised band by band")
    numbers = zip(*(card.normalisation[key] for key in ("low", "high", "mean", "std")), strict=True)
    found.properties["value_scaling"] = [
        {
            "type": "processing",
            "format": "python",
            "expression": f"(numpy.clip(x, {low!r}, {high!r}) - {mean!r}) / {std!r}",
        }
        for low, high, mean, std in (map(float, each) for each in numbers)
    ]
    return found


def _network_output(card: ModelCard) -> ModelOutput:
    cells = card.chip_size // Segmenter.LOGIT_STRIDE
    return _output(card, "logits", -1, cells, f"logits of cells of {Segmenter.LOGIT_STRIDE} pixels a side")


def _onnx_input(card: ModelCard) -> ModelInput:
    """Describe what the ONNX file takes: pixel values over 255, whatever their type; it holds the rest."""
    shape = [1, card.in_channels, card.chip_size, card.chip_size]
    found = _input(card, "image", shape, "pixel values of the scene, divided by 255 whatever their type")
    found.properties["value_scaling"] = [ValueScaling.create(ValueScalingType.SCALE, value=255).to_dict()]
    return found


def _onnx_output(card: ModelCard) -> ModelOutput:
    return _output(card, "probabilities", 1, card.chip_size, "class probabilities of each pixel")


def _input(card: ModelCard, name: str, shape: list[int], description: str) -> ModelInput:
    found = ModelInput.create(
        name, _band_names(card), InputStructure.create(shape, _DIMENSIONS, DataType.FLOAT32)
    )
    height = f"; the last channel is the {_HEIGHT} in metres" if card.dsm else ""
    found.properties["description"] = description + height
    return found


def _output(card: ModelCard, name: str, batch: int, side: int, description: str) -> ModelOutput:
    classes = ClassMap.from_specs(card.classes)
    result = ResultStructure.create([batch, len(classes), side, side], _CHANNELS, DataType.FLOAT32)
    found = ModelOutput.create(name, [TaskType.SEMANTIC_SEGMENTATION], result, classes=stac_classes(classes))
    found.properties["description"] = f"{description}; channel i is the i-th class of the list"
    return found
