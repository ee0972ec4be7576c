"""Dilated blocks on the phases of their map: the same sums, by the fast kernels for undilated convolutions.

A 3×3 convolution with dilation d and padding d never mixes cells of different (row mod d, column mod d). Laid
side by side in the batch these d² phases take an ordinary 3×3 convolution. oneDNN's backward pass of dilated
depthwise convolutions is a slow reference kernel (in bf16 thirty times slower than the undilated one), which
without this takes a quarter of a MobileNetV2 training step on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import timm.models._efficientnet_blocks as timm_blocks
import torchvision.models.mobilenetv2 as torchvision_blocks
from torch import Tensor, nn


def split_phases(x: Tensor, dilation: int) -> Tensor:
    """(N, C, H, W) to (d·d·N, C, H/d, W/d), channels last in memory; H and W must be multiples of d."""
    n, c, height, width = x.shape
    h, w = height // dilation, width // dilation
    cells = x.permute(0, 2, 3, 1).reshape(n, h, dilation, w, dilation, c).permute(2, 4, 0, 1, 3, 5)
    return cells.reshape(dilation * dilation * n, h, w, c).permute(0, 3, 1, 2)


def join_phases(x: Tensor, dilation: int) -> Tensor:
    """Undo `split_phases`."""
    n, c, h, w = x.shape
    n //= dilation * dilation
    cells = x.permute(0, 2, 3, 1).reshape(dilation, dilation, n, h, w, c).permute(2, 3, 0, 4, 1, 5)
    return cells.reshape(n, h * dilation, w * dilation, c).permute(0, 3, 1, 2)


class PhasedRun:
    """Equally dilated inverted residual blocks, one after another, that can work on phases.

    Everything else in such blocks works cell by cell (1×1 convolutions, activations) or over all cells (batch
    norm), so a whole run stays on phases, which are made and undone once. Parameters and their names stay.

    Attributes:
        dilation: of the blocks; while on phases the sizes of their maps must be multiples of it.
    """

    def __init__(self, blocks: list[nn.Module], dilation: int) -> None:
        self.dilation = dilation
        self._convs = [conv for block in blocks for conv in _wide_convolutions(block)]
        blocks[0].register_forward_pre_hook(self._enter)
        blocks[-1].register_forward_hook(self._leave)

    def switch(self, on: bool) -> None:
        """Work on phases from now on, or on the map with dilated convolutions."""
        dilation = 1 if on else self.dilation
        for conv in self._convs:
            conv.dilation = conv.padding = (dilation, dilation)

    def _on(self) -> bool:
        return self._convs[0].dilation == (1, 1)

    def _enter(self, _module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return split_phases(inputs[0], self.dilation) if self._on() else inputs[0]

    def _leave(self, _module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return join_phases(output, self.dilation) if self._on() else output


def phased_runs(net: nn.Module) -> list[PhasedRun]:
    """Prepare a network's runs of dilated inverted residual blocks; all are switched off at first."""
    runs = [(dilation, list(run)) for dilation, run in groupby(_blocks(net), key=_dilation)]
    return [PhasedRun(run, dilation) for dilation, run in runs if dilation > 1]


def _blocks(net: Any) -> Sequence[nn.Module]:
    if hasattr(net, "features"):
        return list(net.features)
    stages = getattr(getattr(net, "model", None), "blocks", ())
    return [block for stage in stages for block in stage]


def _dilation(block: nn.Module) -> int:
    """The block's dilation, or 1 where it is not one that works cell by cell otherwise."""
    plain = isinstance(block, torchvision_blocks.InvertedResidual)
    # Squeeze-and-excitation and drop path look at an image as a whole, so they must not see phases.
    if type(block) is timm_blocks.InvertedResidual:
        plain = isinstance(block.se, nn.Identity) and isinstance(block.drop_path, nn.Identity)
    wide = _wide_convolutions(block)
    if not plain or len(wide) != 1 or wide[0].stride != (1, 1) or wide[0].kernel_size != (3, 3):
        return 1
    return wide[0].dilation[0] if wide[0].padding == wide[0].dilation else 1


def _wide_convolutions(block: nn.Module) -> list[nn.Conv2d]:
    return [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
