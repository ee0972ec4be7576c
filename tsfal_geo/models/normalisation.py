"""The normalisation that pretrained weights were trained with, in place of the scenes' statistics."""

from __future__ import annotations

from dataclasses import replace

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.weights import cache_only_if_unreachable, is_torchgeo_name, torchgeo_weights
from tsfal_geo.raster.stats import Normalisation

_EIGHT_BIT = 255.0
_PROBE_SIZE = 256
_SPREAD = (0.005, 20.0)
"""Deviations of the scenes, in those of the weights, beyond which the two cannot mean the same quantity."""


def own_normalisation(cfg: ModelConfig, scenes: Normalisation, bands: int, dtype: str) -> Normalisation:
    """The scenes' statistics, with the weights' own mean and deviation in the bands that the weights know.

    The weights' bands are the images' first ones, in order. Further bands and heights keep the scenes'
    statistics, and every band keeps the scenes' clipping. ``imagenet`` and files stand for what is published
    under the encoder's name.

    Args:
        cfg: encoder and weights.
        scenes: statistics of the training scenes, heights last.
        bands: image bands among the channels.
        dtype: of the bands, such as ``uint8``.

    Raises:
        ConfigError: no weights, or weights for other bands or another range of values.
        WeightsError: torchgeo has no weights of that name.
    """
    mean, std = _expected(cfg)
    known = len(mean)
    if bands < known:
        raise _unfit(cfg, f"it has {known} bands, the images have {bands}")
    eight_bit = bool((mean + std).max() <= _EIGHT_BIT)
    spread = float((torch.tensor(scenes.std[:known], dtype=torch.float64) / std).median())
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
        mean=(*mean.tolist(), *scenes.mean[known:]),
        std=(*std.tolist(), *scenes.std[known:]),
    )


def _expected(cfg: ModelConfig) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each band that the weights know, float64, in the units of the pixels."""
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
    except Exception as error:  # no such encoder or weights, no network: each has its own error
        raise _unfit(
            cfg, f"it cannot be had ({str(error).splitlines()[0]}); tu- encoders need no network for it"
        ) from error
    scale = _EIGHT_BIT / settings["input_range"][1]
    mean, std = (scale * torch.tensor(settings[key], dtype=torch.float64) for key in ("mean", "std"))
    return mean, std


def _of_transform(transforms: nn.Module, bands: int) -> tuple[Tensor, Tensor]:
    """What a transform subtracts from and divides each band by, asked with two flat images."""
    flat = (torch.full((1, bands, _PROBE_SIZE, _PROBE_SIZE), value, dtype=torch.float64) for value in (0, 1))
    zero, one = (transforms(image)[0, :, 0, 0] for image in flat)
    std = 1 / (one - zero)
    return -zero * std, std


def _unfit(cfg: ModelConfig, reason: str) -> ConfigError:
    return ConfigError(
        f"model.normalisation=weights: that of {cfg.weights} for encoder {cfg.encoder} cannot be used: "
        f"{reason}; set model.normalisation=scenes"
    )
