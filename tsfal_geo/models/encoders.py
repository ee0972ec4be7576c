"""Convolutional encoders by name: three feature stages, the last dilated to output stride 16 or 8."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import Tensor, nn

from tsfal_geo.errors import ConfigError
from tsfal_geo.models.phases import phased_runs

LOW_STRIDE = 4
_PROBE_SIZE = 64


class EncoderFeatures(NamedTuple):
    """Feature maps of a forward pass, float (N, channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Attributes:
        low: at stride 4.
        middle: of the last stage but one.
        high: of the last stage, at the output stride.
    """

    low: Tensor
    middle: Tensor
    high: Tensor


class Encoder(nn.Module):
    """A backbone of segmentation_models_pytorch or, with the prefix ``tu-``, of timm.

    Attributes:
        name: the encoder's name.
        in_channels: channels of the input.
        net: the library's encoder; pretrained weights are matched with its state dict.
        channels: channels of low, middle and high features.
        stride: pixels a side of a cell of the high features.
        multiple: divisor of the input's height and width, in pixels.
    """

    def __init__(
        self,
        name: str,
        in_channels: int,
        output_stride: int = 16,
        multi_grid: tuple[int, ...] | None = None,
    ) -> None:
        """Build a randomly initialised encoder.

        Args:
            name: such as ``mobilenet_v2``, ``resnet101``, ``tu-resnet101c`` (stem of three 3×3 convolutions).
            in_channels: channels of the input.
            output_stride: 16 or 8.
            multi_grid: factors on the dilations of the last stage's blocks, for ResNets.

        Raises:
            ConfigError: the name is unknown, or the network has no stages of these strides.
        """
        super().__init__()
        self.name = name
        self.in_channels = in_channels
        self.net = _library_encoder(name, in_channels, output_stride)
        if isinstance(self.net, torchvision.models.MobileNetV2):
            _drop_last_convolution(self.net)
        if multi_grid is not None:
            _set_multi_grid(self.net, name, multi_grid)
        self._runs = phased_runs(self.net)
        self.multiple = output_stride * max((run.dilation for run in self._runs), default=1)
        self.channels, self.stride = self._probe(output_stride)

    def forward(self, x: Tensor) -> EncoderFeatures:
        """Compute features.

        Args:
            x: (N, in_channels, H, W) float, with H and W multiples of ``multiple``.
        """
        features = self.net(x)
        return EncoderFeatures(features[2], features[-2], features[-1])

    def train(self, mode: bool = True) -> Self:
        """Switch the mode; in train mode dilated blocks work on phases, for a faster backward pass."""
        super().train(mode)
        for run in self._runs:
            run.switch(mode)
        return self

    @torch.no_grad()
    def _probe(self, output_stride: int) -> tuple[tuple[int, int, int], int]:
        self.eval()
        try:
            probe = torch.zeros(1, self.in_channels, _PROBE_SIZE, _PROBE_SIZE)
            features = Encoder.forward(self, probe)
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            raise _unusable(self.name, error) from error
        self.train()
        low, _, high = (_PROBE_SIZE // f.shape[-1] for f in features)
        if low != LOW_STRIDE or high != output_stride:
            raise ConfigError(
                f"model.encoder={self.name}: its stages have strides {low} and {high}, expected {LOW_STRIDE} "
                f"and {output_stride}; choose another encoder or model.output_stride"
            )
        low_channels, middle_channels, high_channels = (f.shape[1] for f in features)
        return (low_channels, middle_channels, high_channels), high


def _library_encoder(name: str, in_channels: int, output_stride: int) -> nn.Module:
    try:
        encoder: nn.Module = smp.encoders.get_encoder(
            name, in_channels=in_channels, depth=5, weights=None, output_stride=output_stride
        )
    except KeyError as error:
        raise ConfigError(
            f"model.encoder={name}: no such encoder in segmentation_models_pytorch; give one of its names "
            "(mobilenet_v2, resnet101, …) or tu- and a timm name (tu-resnet101c, …)"
        ) from error
    except Exception as error:  # timm's networks reject names and strides with errors of any kind
        raise _unusable(name, error) from error
    return encoder


def _unusable(name: str, error: Exception) -> ConfigError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ConfigError(
        f"model.encoder={name}: cannot be built or used with this output stride ({reason}); "
        "choose another encoder or model.output_stride"
    )


def _drop_last_convolution(net: Any) -> None:
    """Make a MobileNetV2 end with 320 channels; its last convolution, to 1280, serves classification."""
    del net.features[-1]
    net._out_indexes[-1] = len(net.features) - 1
    net._out_channels[-1] = net.features[-1].out_channels


def _set_multi_grid(net: Any, name: str, factors: tuple[int, ...]) -> None:
    """Multiply the dilations of the last stage's blocks (DeepLabv3, Chen et al. 2017, section 3.3).

    The first block works on the map before the stage's stride, which its dilation replaces, so its base is
    the dilation of the stage before. At output stride 8 the factors 2, 2, 4 give dilations 4, 8, 16.
    """
    backbone = getattr(net, "model", net)
    stages: list[Any] = [getattr(backbone, f"layer{i}", ()) for i in (3, 4)]
    if len(stages[1]) != len(factors):
        raise ConfigError(
            f"model.multi_grid={factors}: needs a ResNet whose last stage has {len(factors)} blocks, "
            f"found {name}; leave model.multi_grid out"
        )
    previous, own = (stage[-1].conv2.dilation[0] for stage in stages)
    for i, (block, factor) in enumerate(zip(stages[1], factors, strict=True)):
        for conv in block.modules():
            if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3):
                dilation = (previous if i == 0 else own) * factor
                conv.dilation = conv.padding = (dilation, dilation)
