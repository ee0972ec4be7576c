"""Dilated blocks computed on the phases of their map: the same sums by kernels for undilated convolutions.

A 3×3 convolution with dilation d and padding d computes y[i, j] = Σ_kl w[k, l] · x[i + d·k, j + d·l] with k
and l in {−1, 0, 1}. Write i = d·i' + r and j = d·j' + s. All cells on the right then have the phase (r, s):
y_rs[i', j'] = Σ_kl w[k, l] · x_rs[i' + k, j' + l]. This is an ordinary 3×3 convolution of the phase x_rs with
padding 1. Larger odd kernels split in the same way. The d² phases are stacked in the batch.

oneDNN's backward pass of dilated depthwise convolutions is a slow reference kernel, in bfloat16 thirty times
slower than the undilated one. It took a quarter of a MobileNetV2 training step on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import timm.models._efficientnet_blocks as timm_blocks
import torchvision.models.mobilenetv2 as torchvision_blocks
from torch import Tensor, nn


def split_phases(x: Tensor, dilation: int) -> Tensor:
    """Split a map into its phases.

    Args:
        x: (N, C, H, W) with H and W multiples of d.
        dilation: d.

    Returns:
        (d·d·N, C, H/d, W/d), channels last in memory.
    """
    n, c, height, width = x.shape
    h, w = height // dilation, width // dilation
    cells = x.permute(0, 2, 3, 1).reshape(n, h, dilation, w, dilation, c).permute(2, 4, 0, 1, 3, 5)
    return cells.reshape(dilation * dilation * n, h, w, c).permute(0, 3, 1, 2)


def join_phases(x: Tensor, dilation: int) -> Tensor:
    """Join phases to the map that `split_phases` split.

    Args:
        x: (d·d·N, C, H/d, W/d).
        dilation: d.

    Returns:
        (N, C, H, W), channels last in memory.
    """
    n, c, h, w = x.shape
    n //= dilation * dilation
    cells = x.permute(0, 2, 3, 1).reshape(dilation, dilation, n, h, w, c).permute(2, 3, 0, 4, 1, 5)
    return cells.reshape(n, h * dilation, w * dilation, c).permute(0, 3, 1, 2)


class PhasedRun:
    """Consecutive inverted residual blocks of one dilation that can work on phases.

    The other layers of such blocks work on single cells (1×1 convolutions, activations) or on all cells alike
    (batch norm). A run therefore splits its input once and joins its output once. Parameters and their names
    do not change.

    Attributes:
        dilation: of the blocks; on phases the height and width of their maps must be multiples of it.
    """

    def __init__(self, blocks: list[nn.Module], dilation: int) -> None:
        """Hook into the first and the last block.

        Args:
            blocks: in the order of the network.
            dilation: of all of them.
        """
        self.dilation = dilation
        self._convs = [conv for block in blocks for conv in _wide_convolutions(block)]
        blocks[0].register_forward_pre_hook(self._enter)
        blocks[-1].register_forward_hook(self._leave)

    def switch(self, on: bool) -> None:
        """Switch between phases and dilated convolutions.

        Args:
            on: True for phases.
        """
        dilation = 1 if on else self.dilation
        for conv in self._convs:
            conv.dilation, conv.padding = (dilation, dilation), _padding(conv, dilation)

    def _on(self) -> bool:
        return self._convs[0].dilation == (1, 1)

    def _enter(self, _module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return split_phases(inputs[0], self.dilation) if self._on() else inputs[0]

    def _leave(self, _module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return join_phases(output, self.dilation) if self._on() else output


def phased_runs(net: nn.Module) -> list[PhasedRun]:
    """Find a network's runs of dilated inverted residual blocks and hook into them, switched off.

    Args:
        net: an encoder of segmentation_models_pytorch.

    Returns:
        The runs, from the input to the output; empty for networks without such blocks.
    """
    runs = [(dilation, list(run)) for dilation, run in groupby(_blocks(net), key=_dilation)]
    return [PhasedRun(run, dilation) for dilation, run in runs if dilation > 1]


def _blocks(net: Any) -> Sequence[nn.Module]:
    if hasattr(net, "features"):
        return list(net.features)
    stages = getattr(getattr(net, "model", None), "blocks", ())
    return [block for stage in stages for block in stage]


def _dilation(block: nn.Module) -> int:
    """Return the dilation of a block that may work on phases, and 1 for all others."""
    plain = isinstance(block, torchvision_blocks.InvertedResidual)
    # Squeeze-and-excitation and drop path treat each item of the batch as one image; a phase is no image.
    if type(block) is timm_blocks.InvertedResidual:
        plain = isinstance(block.se, nn.Identity) and isinstance(block.drop_path, nn.Identity)
    wide = _wide_convolutions(block)
    if not plain or len(wide) != 1 or wide[0].stride != (1, 1):
        return 1
    dilation = wide[0].dilation[0]
    return dilation if wide[0].padding == _padding(wide[0], dilation) else 1


def _padding(conv: nn.Conv2d, dilation: int) -> tuple[int, ...]:
    """Return the padding with which a convolution keeps the map's size."""
    return tuple(dilation * (size // 2) for size in conv.kernel_size)


def _wide_convolutions(block: nn.Module) -> list[nn.Conv2d]:
    return [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
