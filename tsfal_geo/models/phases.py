"""Dilated blocks on the phases of their map: the same sums, by the fast kernels for undilated convolutions.

A 3×3 convolution with dilation d and padding d never mixes cells of different (row mod d, column mod d). Laid
side by side in the batch these d² phases take an ordinary 3×3 convolution. oneDNN's backward pass of dilated
depthwise convolutions is a slow reference kernel (in bf16 thirty times slower than the undilated one), which
without this takes a quarter of a MobileNetV2 training step on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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


def run_in_phases(net: nn.Module) -> int:
    """Let each run of equally dilated inverted residual blocks of a network work on phases.

    Everything else in such blocks works cell by cell (1×1 convolutions, activations) or over all cells (batch
    norm), so a whole run can stay on phases, which are made and undone once. Parameters and their names stay.

    Returns:
        The factor that the sizes of the maps in these blocks must be multiples of; 1 where nothing was done.
    """
    largest = 1
    for dilation, run in groupby(_blocks(net), key=_dilation):
        if dilation > 1:
            _convert(list(run), dilation)
            largest = max(largest, dilation)
    return largest


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
    wide = [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    if not plain or len(wide) != 1 or wide[0].stride != (1, 1) or wide[0].kernel_size != (3, 3):
        return 1
    return wide[0].dilation[0] if wide[0].padding == wide[0].dilation else 1


def _convert(run: list[nn.Module], dilation: int) -> None:
    for block in run:
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                module.dilation = (1, 1)
                module.padding = (module.kernel_size[0] // 2, module.kernel_size[1] // 2)
    run[0].register_forward_pre_hook(partial(_enter, dilation))
    run[-1].register_forward_hook(partial(_leave, dilation))


def _enter(dilation: int, _module: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    return split_phases(inputs[0], dilation)


def _leave(dilation: int, _module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> Tensor:
    return join_phases(output, dilation)
