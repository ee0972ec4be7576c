"""A trained model as a function from batches to probabilities, on the fastest device that is there."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tsfal_geo.classes import ClassMap
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.mapping.folded import fold_norms
from tsfal_geo.mapping.memory import out_of_memory
from tsfal_geo.mapping.predict import PredictFn
from tsfal_geo.mapping.rowgraph import UnstreamableError
from tsfal_geo.mapping.rowstream import row_network
from tsfal_geo.mapping.streamed import RowModel
from tsfal_geo.models.arithmetic import cpu_bf16
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.head import enlarge
from tsfal_geo.models.io import ModelCard, load_model, part_tensors
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.raster.stats import Normalisation

PROBABILITIES = "probabilities"
ERROR = "error"

_READY = 20
"""Steps of training below which an error mask decoder has no say."""


@dataclass(frozen=True)
class Compute:
    """Where and how a network runs.

    Attributes:
        device: CPU or GPU.
        dtype: type that autocast uses; None for float32.
    """

    device: torch.device
    dtype: torch.dtype | None

    @property
    def folds(self) -> bool:
        """Whether networks run with batch norms folded into their convolutions: on a CPU."""
        return self.device.type == "cpu"


def choose_compute() -> Compute:
    """The GPU if there is one, and half precision where it is faster than float32."""
    if torch.cuda.is_available():
        return Compute(
            torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
        )
    return Compute(torch.device("cpu"), torch.bfloat16 if cpu_bf16()[0] else None)


def probabilities(
    segmenter: Segmenter, normaliser: Normaliser, compute: Compute, decoder: ErrorMaskDecoder | None = None
) -> PredictFn:
    """The class probabilities of a network as a ``predict_fn``: layer ``probabilities`` at stride 4.

    Args:
        segmenter: put into eval mode and moved to the device; on a CPU a copy of it is used.
        normaliser: of the training; moved to the device.
        compute: where to run.
        decoder: error mask decoder; with one, there is a layer ``error`` of its probabilities too.
    """
    segmenter = segmenter.eval()
    if compute.folds:
        segmenter = folded(segmenter, compute.dtype)
        decoder = None if decoder is None else folded_decoder(decoder, compute.dtype)
    network: nn.Module = segmenter.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    normaliser = normaliser.to(compute.device)
    if decoder is not None:
        decoder = decoder.eval().to(compute.device)

    def predict(batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        moved = {name: _to(tensor, compute.device) for name, tensor in batch.items()}
        images = normaliser(moved).contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(compute.device.type, compute.dtype, enabled=compute.dtype is not None),
        ):
            output = network(images, features=decoder is not None)
            layers = {PROBABILITIES: output.logits.float().softmax(1)}
            if decoder is not None:
                logits = decoder(output.f1, output.f2, layers[PROBABILITIES])
                layers[ERROR] = logits.float().sigmoid()
        return layers

    return predict


class _Layers(nn.Module):
    """Normalised images to probabilities (and errors) at the image's resolution."""

    def __init__(self, segmenter: Segmenter, decoder: ErrorMaskDecoder | None) -> None:
        super().__init__()
        self.encoder, self.head, self.decoder = segmenter.encoder, segmenter.head, decoder

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        size = (x.shape[-2], x.shape[-1])
        logits, f1, f2 = self.head(self.encoder(x))
        layers = [logits.float().softmax(1)]
        if self.decoder is not None:
            layers.append(self.decoder(f1, f2, logits.softmax(1)).float().sigmoid())
        return tuple(enlarge(layer, Segmenter.LOGIT_STRIDE, size) for layer in layers)


def folded(segmenter: Segmenter, dtype: torch.dtype | None) -> Segmenter:
    """A copy for inference, with batch norms folded into convolutions where the network can be traced.

    Args:
        segmenter: stays as it is.
        dtype: what autocast uses on the CPU; None for float32.
    """
    segmenter = copy.deepcopy(segmenter).eval()
    fold_norms(_Layers(segmenter, None).eval(), dtype)
    return segmenter


def folded_decoder(decoder: ErrorMaskDecoder, dtype: torch.dtype | None) -> ErrorMaskDecoder:
    """A copy for inference, with batch norms folded into convolutions; ``dtype`` as in ``folded``."""
    decoder = copy.deepcopy(decoder)
    decoder.fold_batch_norms(dtype)
    return decoder


def row_model(
    segmenter: Segmenter,
    normaliser: Normaliser,
    compute: Compute,
    chip_size: int,
    decoder: ErrorMaskDecoder | None = None,
) -> RowModel | None:
    """A network that sees a scene as one image, row by row; None where its layers do not allow that.

    Its image pooling averages over as many pixels around each place as a chip has, as in training.

    Args:
        segmenter: the network.
        normaliser: of the training.
        compute: where to run.
        chip_size: pixels a side of the images of the training.
        decoder: error mask decoder; with one, there is a layer ``error`` of its probabilities too.
    """
    layers: nn.Module = _Layers(segmenter, decoder).eval()
    layers = layers.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    names = (PROBABILITIES,) if decoder is None else (PROBABILITIES, ERROR)
    cells = chip_size // segmenter.encoder.stride // 2 * 2 + 1
    try:
        network = row_network(
            layers, names, segmenter.encoder.multiple, compute.dtype or torch.float32, cells
        )
    except UnstreamableError:
        return None
    normaliser = normaliser.to(compute.device)

    def prepare(batch: dict[str, Tensor]) -> Tensor:
        image = normaliser({name: _to(tensor, compute.device) for name, tensor in batch.items()})
        return image.to(network.dtype, memory_format=torch.channels_last)

    return RowModel(network, prepare, 2**23 if compute.device.type == "cuda" else 2**18)


@dataclass(frozen=True)
class Network:
    """A model, ready to predict.

    Attributes:
        predict: gives the layer ``probabilities`` and, where there is a decoder, ``error``.
        card: what it was trained on.
        classes: its class map.
        batch: windows at a time that suit the device.
        error_threshold: of the decoder's probability; None where there is no decoder.
        rows: the same network on a scene as one image; None where it sees windows alone.
    """

    predict: PredictFn
    card: ModelCard
    classes: ClassMap
    batch: int = 4
    error_threshold: float | None = None
    rows: RowModel | None = None

    @property
    def channels(self) -> dict[str, int]:
        """Channels of each layer that ``predict`` gives."""
        layers = {PROBABILITIES: len(self.classes)}
        return layers if self.error_threshold is None else {**layers, ERROR: 1}


def open_network(
    folder: Path, compute: Compute | None = None, *, errors: bool = False, augment: bool = False
) -> Network:
    """Load the model of a folder.

    Args:
        folder: holds ``model.safetensors`` and ``model.json``.
        compute: where it runs; None: chosen.
        errors: with its error mask decoder, where it has a trained one.
        augment: the mean over the eight flips and quarter turns of each window, at eight times the work.

    Raises:
        WeightsError: missing or damaged.
    """
    compute = compute or choose_compute()
    segmenter, card = load_model(folder)
    decoder, threshold = load_decoder(folder, len(card.classes)) if errors else (None, None)
    normaliser = Normaliser(Normalisation.from_dict(card.normalisation))
    predict = probabilities(segmenter, normaliser, compute, decoder)
    rows = None if augment else row_model(segmenter, normaliser, compute, card.chip_size, decoder)
    predict = within_memory(mean_of_turns(predict) if augment else predict)
    batch = 16 if compute.device.type == "cuda" else 4
    return Network(predict, card, ClassMap.from_specs(card.classes), batch, threshold, rows)


def load_decoder(folder: Path, classes: int) -> tuple[ErrorMaskDecoder | None, float | None]:
    """A model's error mask decoder and the threshold of its probability; None where it has no trained one.

    Raises:
        WeightsError: missing or damaged.
    """
    part = part_tensors(folder, "refiner")
    if int(part.get("trained", torch.zeros(()))) < _READY:
        return None, None
    weights = {key.removeprefix("emd."): value for key, value in part.items() if key.startswith("emd.")}
    decoder = ErrorMaskDecoder(classes, first_kernel=1 if "coarse.weight" in weights else 3)
    decoder.load_state_dict(weights)
    return decoder, float(part["threshold"])


def mean_of_turns(predict: PredictFn) -> PredictFn:
    """A ``predict_fn`` that averages over the eight flips and quarter turns of square windows."""

    def averaged(batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        total: dict[str, Tensor] = {}
        for flipped in (False, True):
            for turns in range(4):
                turned = {name: _turn(tensor, flipped, turns) for name, tensor in batch.items()}
                for name, values in predict(turned).items():
                    back = _turn_back(values, flipped, turns)
                    total[name] = total[name] + back if name in total else back
        return {name: values / 8 for name, values in total.items()}

    return averaged


def within_memory(predict: PredictFn) -> PredictFn:
    """A ``predict_fn`` that halves batches for which the device has not enough memory, from then on."""
    most = 0

    def halving(batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        nonlocal most
        count = len(batch["image"])
        if not 0 < most < count:
            try:
                return predict(batch)
            except RuntimeError as error:
                if count == 1 or not out_of_memory(error):
                    raise
                most = -(-count // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        size = most
        parts = [halving({k: v[i : i + size] for k, v in batch.items()}) for i in range(0, count, size)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    return halving


def _turn(tensor: Tensor, flipped: bool, turns: int) -> Tensor:
    return (tensor.flip(-1) if flipped else tensor).rot90(turns, (-2, -1))


def _turn_back(tensor: Tensor, flipped: bool, turns: int) -> Tensor:
    tensor = tensor.rot90(-turns, (-2, -1))
    return tensor.flip(-1) if flipped else tensor


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
