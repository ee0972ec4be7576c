"""Pretrained encoder weights: their sources, and their conversion to the network's keys and bands."""

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
from huggingface_hub import constants as hub
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tsfal_geo.errors import WeightsError
from tsfal_geo.models.encoders import Encoder
from tsfal_geo.models.vit import ViTEncoder, is_vision_transformer, library_state

_PREFIXES = ("encoder.net.", "encoder.", "backbone.", "module.", "model.", "net.")
_PICKLED = {".pth", ".pt", ".ckpt", ".bin"}
_REMEDY = "give a file with --set model.weights=FILE, or --set model.allow_random_init=true"


def load_encoder_weights(encoder: Encoder | ViTEncoder, spec: str, allow_random: bool = False) -> None:
    """Load pretrained weights into an encoder and adapt its first convolution to the encoder's bands.

    Args:
        encoder: randomly initialised; unchanged if an error is raised.
        spec: a file (.safetensors, or a .pth state dict), ``imagenet`` for the library's weights of the
            encoder's name, or torchgeo's name of weights, such as ``ResNet50_Weights.SENTINEL2_ALL_MOCO``.
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
        encoder_name: for ``imagenet``.

    Raises:
        WeightsError: the file or name does not exist, is not readable, or the network is not reachable.
    """
    path = Path(spec).expanduser()
    if path.is_file():
        return read_file(path)
    if spec == "imagenet":
        return _library_weights(encoder_name)
    if is_torchgeo_name(spec):
        return _torchgeo_state(spec)
    raise WeightsError(
        f"model.weights={spec}: no such file, expected a .safetensors file, 'imagenet' or a torchgeo weights "
        f"name; {_REMEDY}"
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


def match_keys(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Assign a tensor to each key of a network, by name or, where all shapes agree, by order.

    The comparison ignores wrapping prefixes and treats dots and underscores as equal, because timm flattens
    ``stages.0`` to ``stages_0`` in feature extractors. Surplus tensors, such as a classifier's, are dropped.
    The order serves networks that two libraries name differently (torchvision's and timm's MobileNetV2).

    Args:
        wanted: the network's state dict.
        found: the published state dict.
        source: named in the error.

    Returns:
        Published tensors by the network's keys, without counters of batches.

    Raises:
        WeightsError: a tensor of the network is missing.
    """
    names = {_canonical(key): key for key in found}
    needed = [key for key in wanted if not key.endswith("num_batches_tracked")]
    missing = [key for key in needed if _canonical(key) not in names]
    if not missing:
        return {key: found[names[_canonical(key)]] for key in needed}
    by_order = _match_by_order(wanted, found)
    if by_order is not None:
        return by_order
    raise WeightsError(
        f"{source}: {len(missing)} of {len(needed)} tensors of the encoder are missing, such as "
        f"'{missing[0]}'; choose the encoder that these weights belong to (model.encoder)"
    )


def adapt_bands(weight: Tensor, bands: int, source: str) -> Tensor:
    """Adapt the filters of a three-band network's first convolution to n bands.

    The sum over bands of each filter stays Σ_b w_b, so that a grey pixel (all bands equal) has the same
    response as before and activations keep their scale. With n > 3 bands the further ones get the mean filter
    w̄, and the sum Σ_b w_b + (n − 3) w̄ = n w̄ is scaled by 3/n. With n < 3 each band gets an equal share of the
    missing filters. Further bands (near infrared, height) start from the mean filter instead of zero, because
    the encoder's low learning rate would leave a zero band unused.

    Args:
        weight: (filters, 3, kernel, kernel).
        bands: number of input bands n.
        source: named in the error.

    Returns:
        (filters, n, kernel, kernel).

    Raises:
        WeightsError: the weights have another number of bands, so that each filter belongs to one spectral
            band.
    """
    trained_bands = weight.shape[1]
    if trained_bands != 3:
        raise WeightsError(
            f"{source}: these weights are for {trained_bands} bands, the images have {bands}; choose "
            f"{trained_bands} bands (--bands) or three-band weights"
        )
    if bands < trained_bands:
        return weight[:, :bands] + weight[:, bands:].sum(1, keepdim=True) / bands
    extra = weight.mean(1, keepdim=True).expand(-1, bands - trained_bands, -1, -1)
    return torch.cat([weight, extra], dim=1) * (trained_bands / bands)


def _stem_key(net: nn.Module, in_channels: int) -> str | None:
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            return f"{name}.weight" if module.in_channels == in_channels and module.groups == 1 else None
    return None


def _converted(encoder: ViTEncoder, state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    try:
        return encoder.converted({_stripped(key): value for key, value in state.items()})
    except Exception as error:  # timm's converters do not check the file
        raise WeightsError(
            f"{source}: cannot be converted for encoder {encoder.name} ({_first_line(error)}); choose the "
            "encoder that these weights belong to (model.encoder)"
        ) from error


def _canonical(key: str) -> str:
    return _stripped(key).replace(".", "_")


def _stripped(key: str) -> str:
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if key.startswith(prefix):
                key, stripped = key.removeprefix(prefix), True
    return key


def _match_by_order(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    slots, sources = _by_module(wanted), _by_module(found)
    ordered = sorted(sources, key=lambda name: [int(t) if t.isdigit() else -1 for t in name.split(".")])
    if len(ordered) < len(slots):
        return None
    matched: dict[str, Tensor] = {}
    for slot, source in zip(slots, ordered, strict=False):
        if set(slots[slot]) != set(sources[source]):
            return None
        for tensor, key in slots[slot].items():
            value = found[sources[source][tensor]]
            # Only the bands of the first convolution may differ; they are adapted later.
            shape = wanted[key].shape if matched or value.ndim != 4 else _with_bands(wanted[key], value)
            if value.shape != shape:
                return None
            matched[key] = value
    return matched


def _with_bands(stem: Tensor, value: Tensor) -> torch.Size:
    return torch.Size((stem.shape[0], value.shape[1], *stem.shape[2:]))


def _by_module(state: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    """Group keys by module, in the state dict's order: {module: {tensor: key}}."""
    modules: dict[str, dict[str, str]] = {}
    for key in state:
        module, _, tensor = key.rpartition(".")
        if tensor != "num_batches_tracked":
            modules.setdefault(module, {})[tensor] = key
    return modules


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
