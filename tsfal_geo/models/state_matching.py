"""Conversion of published state dicts to a network's keys and bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from tsfal_geo.errors import WeightsError

_PREFIXES = ("encoder.net.", "encoder.", "backbone.", "module.", "model.", "net.")


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


def _canonical(key: str) -> str:
    return stripped(key).replace(".", "_")


def stripped(key: str) -> str:
    """Return a key without the prefixes of wrapping modules.

    Args:
        key: of a state dict, such as ``module.encoder.conv1.weight``.
    """
    found = True
    while found:
        found = False
        for prefix in _PREFIXES:
            if key.startswith(prefix):
                key, found = key.removeprefix(prefix), True
    return key


def _match_by_order(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Match modules in the file's own order, or with numbered modules in the order of their numbers.

    The first order is that in which a network defines its modules, unless the file's format sorts keys by
    their letters. The second mends that, but moves modules without a number before numbered ones.
    """
    slots, sources = _by_module(wanted), _by_module(found)
    orders = [sorted(sources, key=lambda name: [int(t) if t.isdigit() else -1 for t in name.split(".")])]
    if _numbers_ascend(sources):
        orders.insert(0, list(sources))
    matches = [match for order in orders if (match := _match_in_order(wanted, found, slots, sources, order))]
    # Two orders that fit by shape alone but disagree: either may be wrong.
    agree = all(match[key] is matches[0][key] for match in matches for key in match)
    return matches[0] if matches and agree else None


def _match_in_order(
    wanted: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    slots: Mapping[str, Mapping[str, str]],
    sources: Mapping[str, Mapping[str, str]],
    ordered: Sequence[str],
) -> dict[str, Tensor] | None:
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


def _numbers_ascend(modules: Iterable[str]) -> bool:
    """Return False where a numbered module precedes one of a lower number beside it."""
    highest: dict[str, int] = {}
    for module in modules:
        parts = module.split(".")
        for i, part in enumerate(parts):
            if part.isdigit():
                parent = ".".join(parts[:i])
                if int(part) < highest.get(parent, 0):
                    return False
                highest[parent] = int(part)
    return True


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
