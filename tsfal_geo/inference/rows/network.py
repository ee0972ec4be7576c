"""A network that processes an image of any height row by row, with the result for the image at once.

Each layer holds the last rows of its input (see ``layers``). Memory thus depends on the image's width alone,
and no pixel is computed twice, as it is where windows overlap.
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
    """A compiled network, of one device and number type.

    Attributes:
        steps: its layers, each after those that it reads.
        outputs: name and step of each output.
        reach: rows of the input above and below an output row that this row depends on.
        multiple: a divisor that the input's width and height must have.
        dtype: of its weights and input.
    """

    steps: tuple[Step, ...]
    outputs: Mapping[str, int]
    reach: int
    multiple: int
    dtype: torch.dtype

    def start(self) -> RowStream:
        """Start a run over one image."""
        return RowStream(self)


class RowStream:
    """The run of a network over one image."""

    def __init__(self, network: RowNetwork) -> None:
        """Take the network.

        Args:
            network: shared by all runs; the run's own layers hold the rows.
        """
        self._network = network
        self._layers = [step.make() for step in network.steps]
        self._waiting: dict[str, Rows] = dict.fromkeys(network.outputs)

    def push(self, rows: Tensor, last: bool) -> Iterator[dict[str, Tensor]]:
        """Take the next rows; computes as the result is iterated over.

        After an image's last rows, those that the layers hold come in several items: together they would be
        far more than a push returns before.

        Args:
            rows: (1, bands, h, width), normalised. ``width`` is a multiple of the network's ``multiple``, and
                so is h but for an image's last rows. Fastest in the memory format that suits the network.
            last: whether they end the image.

        Yields:
            The next rows of each output, (1, channels, h', width) at the input's resolution; h' is the same
            for all outputs. Nothing where no row is complete.
        """
        image: Rows = rows.to(self._network.dtype)
        ended = False
        while not ended:
            found = self._pass(image, last)
            image = None
            ended = not last or all(layer.ended for layer in self._layers)
            if found:
                yield found

    def shift(self, left: int, right: int, width: int) -> None:
        """Continue with more or fewer columns; new ones hold zeros above the next row.

        Args:
            left: pixels that are added on the left; removed below 0.
            right: likewise on the right.
            width: pixels that there were.
        """
        for layer in self._layers:
            layer.shift(left, right, width)
        self._waiting = {name: shift_rows(rows, left, right, width) for name, rows in self._waiting.items()}

    @torch.inference_mode()
    def _pass(self, image: Rows, last: bool) -> dict[str, Tensor]:
        values: dict[int, Rows] = {-1: image}
        for index, (layer, step) in enumerate(zip(self._layers, self._network.steps, strict=True)):
            # A layer ends after those that it reads, which may hold rows still.
            over = last and all(i < 0 or self._layers[i].ended for i in step.inputs)
            values[index] = None if layer.ended else layer.push([values[i] for i in step.inputs], over)
            for spent in step.last_used:
                del values[spent]
        found = {
            name: join_rows(self._waiting[name], values[index])
            for name, index in self._network.outputs.items()
        }
        # Outputs differ in their reach, so that at an image's end one may be ahead of another.
        count = min(row_count(rows) for rows in found.values())
        self._waiting = {name: rows_from(rows, count) for name, rows in found.items()}
        return {name: rows[:, :, :count] for name, rows in found.items() if rows is not None and count}


def row_network(
    network: nn.Module, outputs: Sequence[str], multiple: int, dtype: torch.dtype, cells: int
) -> RowNetwork:
    """Compile a network for rows.

    Args:
        network: in eval mode, from an image (1, bands, h, w) to a tuple of outputs at the image's resolution.
        outputs: their names.
        multiple: a divisor that the image's sides must have.
        dtype: floating-point type to compute in.
        cells: a side of the neighbourhood over which image pooling averages, odd.

    Returns:
        The compiled network; its weights are shared, but for folded norms and another ``dtype``.

    Raises:
        UnstreamableError: the network has layers that cannot work on rows.
    """
    graph, modules = traced(network)
    compiler = Compiler(modules, dtype, cells)
    for node in graph.nodes:
        compiler.add(node)
    (results,) = next(node for node in graph.nodes if node.op == "output").args
    indices = {name: compiler.index[node] for name, node in zip(outputs, results, strict=True)}
    reach = max(compiler.reach[node] for node in results)
    return RowNetwork(compiler.steps(set(indices.values())), indices, reach, multiple, dtype)
