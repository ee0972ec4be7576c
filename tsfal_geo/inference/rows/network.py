"""A network that sees an image of any height row by row, with the answer that it has for the whole image.

Each layer holds the last rows of its input (see ``layers``), so that memory depends on the image's width
alone and no pixel is computed twice, as it is where windows overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tsfal_geo.inference.rows.graph import Compiler, Step, traced
from tsfal_geo.inference.rows.layers import Rows, join_rows, row_count, rows_from, shift_rows


@dataclass(frozen=True)
class RowNetwork:
    """A network ready to work on rows; of one device and type.

    Attributes:
        outputs: names and step of what it gives.
        reach: rows of the input above and below that an output row depends on.
        multiple: what the input's width and height must be multiples of.
        dtype: of its weights and input.
    """

    steps: tuple[Step, ...]
    outputs: Mapping[str, int]
    reach: int
    multiple: int
    dtype: torch.dtype

    def start(self) -> RowStream:
        """A run over one image."""
        return RowStream(self)


class RowStream:
    """One image going through a network."""

    def __init__(self, network: RowNetwork) -> None:
        self._network = network
        self._layers = [step.make() for step in network.steps]
        self._waiting: dict[str, Rows] = dict.fromkeys(network.outputs)

    def push(self, rows: Tensor, last: bool) -> Iterator[dict[str, Tensor]]:
        """Take the next rows, as what this gives is iterated over.

        Args:
            rows: (1, bands, h, width), normalised; width, and h but for an image's last rows, multiples of
                the network's ``multiple``. Fastest in the memory format that suits the network.
            last: they end the image.

        Yields:
            The next rows of each output, (1, channels, h', width) at the input's resolution; all outputs have
            the same number of rows. Nothing where there are none yet; after the last rows those that the
            layers held, bit by bit, as all of them at once would be far more than a push gives elsewhere.
        """
        image: Rows = rows.to(self._network.dtype)
        ended = False
        while not ended:
            found = self._pass(image, last)
            image = None
            ended = not last or all(layer.ended for layer in self._layers)
            if found:
                yield found

    @torch.inference_mode()
    def _pass(self, image: Rows, last: bool) -> dict[str, Tensor]:
        values: dict[int, Rows] = {-1: image}
        for index, (layer, step) in enumerate(zip(self._layers, self._network.steps, strict=True)):
            # Layers above that still have rows to give end later, and this one with them.
            over = last and all(i < 0 or self._layers[i].ended for i in step.inputs)
            values[index] = None if layer.ended else layer.push([values[i] for i in step.inputs], over)
            for gone in step.done_with:
                del values[gone]
        found = {
            name: join_rows(self._waiting[name], values[index])
            for name, index in self._network.outputs.items()
        }
        # As an image ends, outputs that come later than others fall behind.
        count = min(row_count(rows) for rows in found.values())
        self._waiting = {name: rows_from(rows, count) for name, rows in found.items()}
        return {name: rows[:, :, :count] for name, rows in found.items() if rows is not None and count}

    def shift(self, left: int, right: int, width: int) -> None:
        """Go on with more (or, below 0, fewer) columns on either side of the ``width`` that there were."""
        for layer in self._layers:
            layer.shift(left, right, width)
        self._waiting = {name: shift_rows(rows, left, right, width) for name, rows in self._waiting.items()}


def row_network(
    network: nn.Module, outputs: Sequence[str], multiple: int, dtype: torch.dtype, cells: int
) -> RowNetwork:
    """Trace a network in eval mode.

    Args:
        network: from an image (1, bands, h, w) to a tuple of outputs, each at the image's resolution.
        outputs: their names.
        multiple: what the image's sides must be multiples of.
        dtype: floating type to compute in.
        cells: a side of the neighbourhood over which image pooling averages, odd.

    Raises:
        UnstreamableError: the network has layers that cannot work on rows.
    """
    graph, modules = traced(network)
    compiler = Compiler(modules, dtype, cells)
    for node in graph.nodes:
        compiler.add(node)
    (found,) = next(node for node in graph.nodes if node.op == "output").args
    indices = {name: compiler.index[node] for name, node in zip(outputs, found, strict=True)}
    reach = max(compiler.reach[node] for node in found)
    return RowNetwork(compiler.steps(set(indices.values())), indices, reach, multiple, dtype)
