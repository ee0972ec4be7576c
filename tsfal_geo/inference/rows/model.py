"""A trained model as a function from batches to probabilities, on the fastest device that is there."""

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
        image = normaliser({name: to_device(tensor, compute.device) for name, tensor in batch.items()})
        return image.to(network.dtype, memory_format=torch.channels_last)

    return RowModel(network, prepare, 2**23 if compute.device.type == "cuda" else 2**18)


@dataclass(frozen=True)
class RowModel:
    """A network on rows, with what comes before it.

    Attributes:
        network: gives the layers at the raster's resolution.
        prepare: from a batch as in training to the network's input, on its device.
        pixels: at a time that suit the device.
    """

    network: RowNetwork
    prepare: Callable[[dict[str, Tensor]], Tensor]
    pixels: int = 2**18
