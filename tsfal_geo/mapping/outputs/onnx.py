"""A model as one ONNX file, for QGIS's Deepness plugin and any ONNX runtime."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tsfal_geo.atomic import replace_file
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.errors import UserError
from tsfal_geo.inference.outputs import PredictFn
from tsfal_geo.models.head import upsample
from tsfal_geo.models.io import ModelCard, load_model
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.raster.stats import Normalisation

_OPSET = 18


class _ScaledImageModel(nn.Module):
    """A network and its normalisation: from pixel values over 255 to class probabilities of each pixel."""

    def __init__(self, segmenter: Segmenter, normaliser: Normaliser) -> None:
        super().__init__()
        self.segmenter, self.normaliser = segmenter, normaliser

    def forward(self, image: Tensor) -> Tensor:
        n = self.normaliser
        values = ((image * 255.0).clamp(n.low, n.high) - n.mean) / n.std
        logits = self.segmenter(values).logits
        size = (image.shape[-2], image.shape[-1])
        return upsample(logits.softmax(1), Segmenter.LOGIT_STRIDE, size)


def export_onnx(folder: Path, path: Path, *, resolution: float | None, overlap: float) -> ModelCard:
    """Write a model as ONNX, whole or not at all.

    The file's input ``image`` is float32 (1, channels, size, size), pixel values divided by 255 whatever
    their type. A height in metres, if the model uses one, is the last channel, divided likewise. The output
    ``probabilities`` is float32 (1, classes, size, size).

    Args:
        folder: holds the model.
        path: the file to write.
        resolution: metres per pixel of the training scenes; None: unknown, and not written.
        overlap: share of a window that its neighbour covers too, for Deepness.

    Returns:
        The model's card.

    Raises:
        UserError: the package ``onnx`` is missing.
        WeightsError: the model is missing or damaged.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"--onnx needs the package {error.name}: pip install 'tsfal-geo[onnx]'") from None
    segmenter, card = load_model(folder)
    normaliser = Normaliser(Normalisation.from_dict(card.normalisation))
    model = _ScaledImageModel(segmenter, normaliser).eval()
    image = torch.zeros(1, card.in_channels, card.chip_size, card.chip_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model,
            (image,),
            input_names=["image"],
            output_names=["probabilities"],
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, deepness_metadata(card, resolution, overlap))
    with replace_file(path) as temporary:
        onnx.save_model(proto, temporary)
    return card


def deepness_metadata(card: ModelCard, resolution: float | None, overlap: float) -> dict[str, str]:
    """Compile the metadata that Deepness reads.

    Args:
        card: the model's description.
        resolution: metres per pixel; None: unknown.
        overlap: share of a window that its neighbour covers too.

    Returns:
        Values as JSON, by Deepness's keys.
    """
    values: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(index): spec.name for index, spec in enumerate(card.classes)},
        "tile_size": card.chip_size,
        "tiles_overlap": round(100 * overlap),
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
        "standardization_mean": [0.0] * card.in_channels,
        "standardization_std": [1.0] * card.in_channels,
    }
    if resolution is not None:
        values["resolution"] = round(100 * resolution, 3)
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def onnx_network(path: Path) -> PredictFn:
    """Open an exported model as a ``predict_fn`` for scenes without nodata; needs onnxruntime.

    Args:
        path: a file of `export_onnx`.

    Returns:
        A function that gives the layer ``probabilities`` at the raster's resolution.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def predict(batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        image = batch["image"].float()
        if "height" in batch:
            image = torch.cat([image, batch["height"]], 1)
        found = [session.run(None, {"image": (one[None] / 255).numpy()})[0] for one in image]
        return {"probabilities": torch.cat([torch.from_numpy(each) for each in found])}

    return predict
