"""A trained model as a function from batches to probabilities, on the fastest device of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tsfal_geo.classes import ClassMap
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.backends import PYTORCH, Converted, convert, runtime_name
from tsfal_geo.inference.compute import Compute, choose_compute, is_out_of_memory
from tsfal_geo.inference.folding import fold_decoder, fold_segmenter
from tsfal_geo.inference.outputs import ERROR, PROBABILITIES, PredictFn, StrideLayers, to_device
from tsfal_geo.inference.rows.model import RowModel, row_model
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.io import ModelCard, load_model
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.raster.stats import Normalisation
from tsfal_geo.refinement.refiner import load_error_decoder

_BATCH_CPU, _BATCH_GPU = 4, 16


@dataclass(frozen=True)
class Network:
    """A model, ready to predict.

    Attributes:
        predict: gives the layer ``probabilities`` and, with a decoder, ``error``.
        card: the model's description.
        classes: its class map.
        batch: windows at a time that suit the device.
        error_threshold: of the decoder's probability; None without a decoder.
        rows: the same network on a scene as one image; None where it only works on windows.
        runtime: the runtime that computes windows, for people.
    """

    predict: PredictFn
    card: ModelCard
    classes: ClassMap
    batch: int = _BATCH_CPU
    error_threshold: float | None = None
    rows: RowModel | None = None
    runtime: str = runtime_name(PYTORCH, None)

    @property
    def channels(self) -> dict[str, int]:
        """Number of channels of each layer that ``predict`` gives, by name."""
        layers = {PROBABILITIES: len(self.classes)}
        return layers if self.error_threshold is None else {**layers, ERROR: 1}


def open_network(
    folder: Path,
    compute: Compute | None = None,
    *,
    errors: bool = False,
    augment: bool = False,
    backend: str = PYTORCH,
    window: int | None = None,
) -> Network:
    """Load the model of a folder.

    Args:
        folder: holds ``model.safetensors`` and ``model.json``.
        compute: device and number type; None: chosen by `choose_compute`.
        errors: whether to load the error mask decoder too, if the model has a trained one.
        augment: whether to average over the eight flips and quarter turns of each window, which takes eight
            times as long; such a network has no ``rows``.
        backend: runtime of windows on a CPU, of `choose_backend`; PyTorch computes what it cannot convert.
        window: pixels a side of the windows to come, for which the network is converted; None: of its chips.

    Returns:
        The network, in eval mode on the device.

    Raises:
        WeightsError: a file is missing or damaged.
        UserError: the runtime is not installed.
    """
    compute = compute or choose_compute()
    segmenter, card = load_model(folder)
    decoder, threshold = load_error_decoder(folder, len(card.classes)) if errors else (None, None)
    normaliser = Normaliser(Normalisation.from_dict(card.normalisation))
    converted = None
    if backend != PYTORCH and compute.device.type == "cpu":
        layers = StrideLayers(segmenter.eval(), decoder).eval()
        converted = convert(layers, card.in_channels, window or card.chip_size, backend, compute)
    failed = backend if backend != PYTORCH and converted is None else None
    runtime = runtime_name(PYTORCH, compute.dtype, failed) if converted is None else converted.name
    predict = make_predict_fn(segmenter, normaliser, compute, decoder, converted)
    rows = None if augment else row_model(segmenter, normaliser, compute, card.chip_size, decoder)
    predict = halve_on_memory_error(average_orientations(predict) if augment else predict)
    batch = _BATCH_GPU if compute.device.type == "cuda" else _BATCH_CPU
    return Network(predict, card, ClassMap.from_specs(card.classes), batch, threshold, rows, runtime)


def make_predict_fn(
    segmenter: Segmenter,
    normaliser: Normaliser,
    compute: Compute,
    decoder: ErrorMaskDecoder | None = None,
    converted: Converted | None = None,
) -> PredictFn:
    """Make a ``predict_fn`` of a network: layer ``probabilities`` at stride 4.

    Args:
        segmenter: put into eval mode and moved to the device; on a CPU a copy of it is used.
        normaliser: the training's; moved to the device.
        compute: device and number type.
        decoder: error mask decoder; with one, there is a layer ``error`` of its probabilities too.
        converted: computes windows of its size in place of PyTorch; None: nothing does.

    Returns:
        The function; its layers are float32.
    """
    segmenter = segmenter.eval()
    if compute.folds_norms:
        segmenter = fold_segmenter(segmenter, compute.dtype)
        decoder = None if decoder is None else fold_decoder(decoder, compute.dtype)
    segmenter = segmenter.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    normaliser = normaliser.to(compute.device)
    if decoder is not None:
        decoder = decoder.eval().to(compute.device)
    network = StrideLayers(segmenter, decoder)
    names = (PROBABILITIES,) if decoder is None else (PROBABILITIES, ERROR)

    def predict(batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        moved = {name: to_device(tensor, compute.device) for name, tensor in batch.items()}
        images = normaliser(moved)
        if converted is not None and tuple(images.shape[-2:]) == converted.size:
            return dict(zip(names, converted(images), strict=True))
        images = images.contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(compute.device.type, compute.dtype, enabled=compute.dtype is not None),
        ):
            return dict(zip(names, network(images), strict=True))

    return predict


def average_orientations(predict: PredictFn) -> PredictFn:
    """Average a ``predict_fn`` over the eight flips and quarter turns of square windows.

    Args:
        predict: the network.

    Returns:
        A function of the same layers; each result is turned back before it is added.
    """

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


def halve_on_memory_error(predict: PredictFn) -> PredictFn:
    """Halve the batches of a ``predict_fn`` where the device's memory does not suffice, and keep that size.

    Args:
        predict: the network.

    Returns:
        A function of the same layers for batches of any size. It raises the device's error where one window
        is too large already.
    """
    limit = 0

    def halving(batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        nonlocal limit
        count = len(batch["image"])
        if not 0 < limit < count:
            try:
                return predict(batch)
            except RuntimeError as error:
                if count == 1 or not is_out_of_memory(error):
                    raise
                limit = -(-count // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        size = limit
        parts = [halving({k: v[i : i + size] for k, v in batch.items()}) for i in range(0, count, size)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    return halving


def _turn(tensor: Tensor, flipped: bool, turns: int) -> Tensor:
    return (tensor.flip(-1) if flipped else tensor).rot90(turns, (-2, -1))


def _turn_back(tensor: Tensor, flipped: bool, turns: int) -> Tensor:
    tensor = tensor.rot90(-turns, (-2, -1))
    return tensor.flip(-1) if flipped else tensor
