"""A trained model as a function from batches to probabilities, on the fastest device that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tsfal_geo.classes import ClassMap
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.mapping.predict import PredictFn
from tsfal_geo.models.io import ModelCard, load_model
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.raster.stats import Normalisation

PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Compute:
    """Where and how a network runs.

    Attributes:
        device: CPU or GPU.
        dtype: type that autocast uses; None for float32.
    """

    device: torch.device
    dtype: torch.dtype | None


def choose_compute() -> Compute:
    """The GPU if there is one, and half precision where it is faster than float32."""
    if torch.cuda.is_available():
        return Compute(
            torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
        )
    # Without matrix or dot-product instructions for it, bfloat16 is emulated and slower.
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return Compute(torch.device("cpu"), torch.bfloat16 if fast else None)


def probabilities(segmenter: Segmenter, normaliser: Normaliser, compute: Compute) -> PredictFn:
    """The class probabilities of a network as a ``predict_fn``: layer ``probabilities`` at stride 4.

    Args:
        segmenter: put into eval mode and moved to the device.
        normaliser: of the training; moved to the device.
        compute: where to run.
    """
    network: nn.Module = segmenter.eval().to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    normaliser = normaliser.to(compute.device)

    def predict(batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        moved = {name: _to(tensor, compute.device) for name, tensor in batch.items()}
        images = normaliser(moved).contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(compute.device.type, compute.dtype, enabled=compute.dtype is not None),
        ):
            logits = network(images).logits
        return {PROBABILITIES: logits.float().softmax(1)}

    return predict


@dataclass(frozen=True)
class Network:
    """A model, ready to predict.

    Attributes:
        predict: gives the layer ``probabilities``.
        card: what it was trained on.
        classes: its class map.
    """

    predict: PredictFn
    card: ModelCard
    classes: ClassMap


def open_network(folder: Path, compute: Compute | None = None) -> Network:
    """Load the model of a folder.

    Args:
        folder: holds ``model.safetensors`` and ``model.json``.
        compute: where it runs; None: chosen.

    Raises:
        WeightsError: missing or damaged.
    """
    segmenter, card = load_model(folder)
    normaliser = Normaliser(Normalisation.from_dict(card.normalisation))
    predict = probabilities(segmenter, normaliser, compute or choose_compute())
    return Network(predict, card, ClassMap.from_specs(card.classes))


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
