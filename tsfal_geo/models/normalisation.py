"""The normalisation that pretrained weights were trained with, instead of the scenes' statistics."""

from __future__ import annotations

from dataclasses import replace

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from tsfal_geo.config import ModelConfig
from tsfal_geo.config.sections import BUNDLED
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.weights import cache_only_if_unreachable, is_torchgeo_name, torchgeo_weights
from tsfal_geo.raster.stats import Normalisation

_EIGHT_BIT = 255.0
_PROBE_SIZE = 256
_SPREAD = (0.005, 20.0)
"""Bounds of the scenes' deviation over the weights' deviation; beyond them the quantities differ."""


def own_normalisation(cfg: ModelConfig, scenes: Normalisation, bands: int, dtype: str) -> Normalisation:
    """Replace the scenes' mean and deviation by those that the pretrained weights were trained with.

    The weights' bands correspond to the images' first bands, in order. Further bands and heights keep the
    scenes' statistics, and all bands keep the scenes' clipping. For ``imagenet`` and for files the values are
    those published under the encoder's name. For ``bundled``, see `_scaled_to_range`.

    Args:
        cfg: encoder and weights.
        scenes: statistics of the training scenes, heights last.
        bands: number of image bands among the channels.
        dtype: of the bands, such as ``uint8``.

    Returns:
        The statistics for the network's input.

    Raises:
        ConfigError: there are no weights, or they are for other bands or another range of values.
        WeightsError: torchgeo has no weights of that name.
    """
    mean, std = _expected(cfg)
    if cfg.weights == BUNDLED:
        return _scaled_to_range(scenes, bands, mean / _EIGHT_BIT, std / _EIGHT_BIT)
    trained_bands = len(mean)
    if bands < trained_bands:
        raise _unfit(cfg, f"it has {trained_bands} bands, the images have {bands}")
    eight_bit = bool((mean + std).max() <= _EIGHT_BIT)
    spread = float((torch.tensor(scenes.std[:trained_bands], dtype=torch.float64) / std).median())
    if (not dtype.startswith("float") and eight_bit != (dtype == "uint8")) or not (
        _SPREAD[0] <= spread <= _SPREAD[1]
    ):
        raise _unfit(
            cfg,
            f"in band 1 it expects {mean[0]:.4g} ± {std[0]:.4g}, the images have {scenes.mean[0]:.4g} ± "
            f"{scenes.std[0]:.4g} ({dtype})",
        )
    return replace(
        scenes,
        mean=(*mean.tolist(), *scenes.mean[trained_bands:]),
        std=(*std.tolist(), *scenes.std[trained_bands:]),
    )


def _scaled_to_range(scenes: Normalisation, bands: int, mean: Tensor, std: Tensor) -> Normalisation:
    """Map each image band's range to the range of the weights' 8-bit pictures.

    The range of 8-bit bands is 0 … 255, so that they reach the network as the weights' authors gave them.
    Bands of other types reach from the lowest to the highest value that the scenes' statistics keep. Colours
    share one range, which keeps their ratios; each further band has its own. Heights keep the scenes'
    statistics.

    Args:
        scenes: statistics of the training scenes, heights last.
        bands: number of image bands among the channels.
        mean: (3,) of the weights, as a share of the range.
        std: (3,) deviation, as a share of the range.

    Returns:
        The statistics for the network's input. Bands beyond the third, and those of images with fewer than
        three, take the mean over the weights' bands.
    """
    colours = min(bands, len(mean))
    low, high = (torch.tensor(values[:bands], dtype=torch.float64) for values in (scenes.low, scenes.high))
    low[:colours], high[:colours] = low[:colours].min(), high[:colours].max()
    span = torch.where(high > low, high - low, 1.0)
    own = len(mean) if bands >= len(mean) else 0
    mean, std = (torch.cat([v[:own], v.mean().expand(bands - own)]) for v in (mean, std))
    return replace(
        scenes,
        mean=(*(low + mean * span).tolist(), *scenes.mean[bands:]),
        std=(*(std * span).tolist(), *scenes.std[bands:]),
    )


def _expected(cfg: ModelConfig) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each band of the weights, float64, in units of pixel values."""
    if cfg.weights is None:
        raise _unfit(cfg, "there are no weights")
    if is_torchgeo_name(cfg.weights):
        weights = torchgeo_weights(cfg.weights)
        if "in_chans" not in weights.meta:
            raise _unfit(cfg, "torchgeo does not say for which bands it is")
        return _of_transform(weights.transforms, weights.meta["in_chans"])
    try:
        with cache_only_if_unreachable():
            settings = smp.encoders.get_preprocessing_params(cfg.encoder)
    except Exception as error:  # no such encoder or weights, no network: each raises its own error
        raise _unfit(
            cfg, f"it cannot be loaded ({str(error).splitlines()[0]}); tu- encoders need no network for it"
        ) from error
    scale = _EIGHT_BIT / settings["input_range"][1]
    mean, std = (scale * torch.tensor(settings[key], dtype=torch.float64) for key in ("mean", "std"))
    return mean, std


def _of_transform(transforms: nn.Module, bands: int) -> tuple[Tensor, Tensor]:
    """Measure a transform's mean and deviation of each band on two constant images.

    A transform (x − m) / s maps 0 to −m / s and 1 to (1 − m) / s, whose difference is 1 / s.
    """
    flat = (torch.full((1, bands, _PROBE_SIZE, _PROBE_SIZE), value, dtype=torch.float64) for value in (0, 1))
    zero, one = (transforms(image)[0, :, 0, 0] for image in flat)
    std = 1 / (one - zero)
    return -zero * std, std


def _unfit(cfg: ModelConfig, reason: str) -> ConfigError:
    return ConfigError(
        f"model.normalisation=weights: that of {cfg.weights} for encoder {cfg.encoder} cannot be used: "
        f"{reason}; set model.normalisation=scenes"
    )
