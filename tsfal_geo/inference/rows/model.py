"""A trained model on rows, with the preparation of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import Compute
from tsfal_geo.inference.outputs import ERROR, PROBABILITIES, OutputLayers, to_device
from tsfal_geo.inference.rows.graph import UnstreamableError
from tsfal_geo.inference.rows.network import RowNetwork, row_network
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.segmenter import Segmenter

_PIXELS_CPU = 2**18
_PIXELS_GPU = 2**23


@dataclass(frozen=True)
class RowModel:
    """A network on rows and the preparation of its input.

    Attributes:
        network: gives the output layers at the raster's resolution.
        prepare: from a batch as in training to the network's input (1, B, h, w), on its device.
        pixels: pixels at a time that suit the device.
    """

    network: RowNetwork
    prepare: Callable[[dict[str, Tensor]], Tensor]
    pixels: int = _PIXELS_CPU


def row_model(
    segmenter: Segmenter,
    normaliser: Normaliser,
    compute: Compute,
    chip_size: int,
    decoder: ErrorMaskDecoder | None = None,
) -> RowModel | None:
    """Compile a network that processes a scene as one image, row by row.

    In training, the network's image pooling averages over a chip. Here it averages over as many pixels around
    each place, because training never showed the mean over a scene.

    Args:
        segmenter: in eval mode; moved to the device.
        normaliser: the training's; moved to the device.
        compute: device and number type.
        chip_size: pixels a side of the training's images.
        decoder: error mask decoder; with one, there is a layer ``error`` of its probabilities too.

    Returns:
        The model; None where one of the network's layers reads the image at once.
    """
    layers: nn.Module = OutputLayers(segmenter, decoder).eval()
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
        moved = {name: to_device(values, compute.device) for name, values in batch.items()}
        image: Tensor = normaliser(moved)
        return image.to(network.dtype, memory_format=torch.channels_last)

    return RowModel(network, prepare, _PIXELS_GPU if compute.device.type == "cuda" else _PIXELS_CPU)
