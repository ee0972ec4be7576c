"""Vision transformers by name: four feature maps on a grid of 16 pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import timm
from timm.models import eva, group_parameters, is_model_in_modules, vision_transformer
from torch import Tensor, nn

from tsfal_geo.errors import ConfigError

PATCH = 16
_TAPS = 4
_MODULES = ("vision_transformer", "deit", "eva")
_PREFIX = "tu-"


class ViTFeatures(NamedTuple):
    """Feature maps after each quarter of the blocks, float (N, channels, H/16, W/16).

    Attributes:
        first: after the first quarter.
        second: after half.
        third: after three quarters.
        last: after the last block.
    """

    first: Tensor
    second: Tensor
    third: Tensor
    last: Tensor


class ViTEncoder(nn.Module):
    """A plain vision transformer of timm (``tu-vit_…``) with taps after each quarter of its blocks.

    Patches have 16 pixels a side, also where the network was trained with others: a cell of its grid then
    covers 4×4 cells of the logits. The filters of other patches are resampled so that their response to an
    upsampled patch equals that to the patch itself (FlexiViT, Beyer et al. 2023). Position embeddings keep
    their own grid and are interpolated to each image's.

    Attributes:
        name: the encoder's name.
        in_channels: channels of the input.
        net: timm's network; pretrained weights are matched with its state dict.
        channels: channels of the four maps.
        stride: pixels a side of a cell of every map.
        multiple: divisor of the input's height and width, in pixels; twice the stride, because the head
            halves the grid once.
    """

    stride = PATCH
    multiple = 2 * PATCH

    def __init__(self, name: str, in_channels: int) -> None:
        """Build a randomly initialised encoder.

        Args:
            name: such as ``tu-vit_small_patch14_dinov2``, ``tu-vit_base_patch16_dinov3``.
            in_channels: channels of the input.

        Raises:
            ConfigError: the network does not exist or lacks these maps.
        """
        super().__init__()
        self.name = name
        self.in_channels = in_channels
        self.net = _library_network(name, in_channels)
        depth = len(self.net.blocks)
        self._taps = [depth * (i + 1) // _TAPS - 1 for i in range(_TAPS)]
        width = int(self.net.embed_dim)
        self.channels = (width, width, width, width)

    def forward(self, x: Tensor) -> ViTFeatures:
        """Compute features, each normalised by the network's last norm.

        Args:
            x: (N, in_channels, H, W) float, with H and W multiples of 16.
        """
        maps = self.net.forward_intermediates(x, indices=self._taps, norm=True, intermediates_only=True)
        return ViTFeatures(*maps)

    def by_depth(self) -> list[list[nn.Parameter]]:
        """Return the parameters in layers: the embeddings, then block by block, the norm last."""
        depths = group_parameters(self.net, self.net.group_matcher(), reverse=True)
        layers: list[list[nn.Parameter]] = [[] for _ in range(max(depths.values()) + 1)]
        for key, parameter in self.net.named_parameters():
            layers[depths[key]].append(parameter)
        return layers

    def converted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Convert published weights to timm's keys, this network's patches and its grid of positions.

        The files of DINOv2 and DINOv3 are understood as well. Encoders of masked autoencoders lack the last
        norm, which then starts as the identity.

        Args:
            state: a state dict without wrapping prefixes.

        Returns:
            A state dict of this network.
        """
        library = eva if isinstance(self.net, eva.Eva) else vision_transformer
        converted = library.checkpoint_filter_fn(dict(state), self.net)
        own = {f"norm.{key}": value for key, value in self.net.norm.state_dict().items()}
        return {**own, **converted}


def is_vision_transformer(encoder: str) -> bool:
    """Return True if a name is that of a plain vision transformer of timm.

    Args:
        encoder: such as ``tu-vit_small_patch14_dinov2``.
    """
    return encoder.startswith(_PREFIX) and is_model_in_modules(encoder.removeprefix(_PREFIX), _MODULES)


def library_state(encoder: str) -> dict[str, Tensor]:
    """Load the weights that timm publishes under an encoder's name, from the network or its cache.

    Args:
        encoder: such as ``tu-vit_small_patch14_dinov2``.

    Returns:
        The state dict of timm's own configuration of the network.
    """
    return dict(timm.create_model(encoder.removeprefix(_PREFIX), pretrained=True, num_classes=0).state_dict())


def _library_network(name: str, in_channels: int) -> Any:
    try:
        net: Any = timm.create_model(
            name.removeprefix(_PREFIX),
            in_chans=in_channels,
            num_classes=0,
            global_pool="",
            dynamic_img_size=True,
        )
        rows, columns = net.patch_embed.grid_size
        net.set_input_size(img_size=(rows * PATCH, columns * PATCH), patch_size=(PATCH, PATCH))
    except Exception as error:  # timm's networks reject names and options with errors of any kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"model.encoder={name}: cannot be built on patches of {PATCH} pixels ({reason}); "
            "choose another encoder"
        ) from error
    if len(net.blocks) < _TAPS:
        raise ConfigError(
            f"model.encoder={name}: has {len(net.blocks)} blocks, expected {_TAPS} at least; "
            "choose another encoder"
        )
    return net
