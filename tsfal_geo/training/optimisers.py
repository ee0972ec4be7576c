"""The optimiser of the networks, and each parameter's factor on the learning rate."""

from __future__ import annotations

from typing import Any

import torch

from tsfal_geo.config import TrainConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.models.vit import ViTEncoder


def parameter_groups(network: Segmenter, train: TrainConfig) -> list[dict[str, Any]]:
    """Group a network's parameters by their factor on the base rate.

    Encoders learn at the base rate and heads at ``head_lr_mult`` times that. With ``layer_decay`` d a vision
    transformer's block that is i before the last learns at dⁱ times the base rate, and the embeddings at one
    factor d less than the first block (Clark et al. 2020; Bao et al. 2022).

    Args:
        network: encoder and head.
        train: ``layer_decay`` and ``head_lr_mult``.

    Returns:
        Groups of ``params`` with their ``factor``.

    Raises:
        ConfigError: ``layer_decay`` is set and the encoder is no vision transformer.
    """
    encoder: Any = network.encoder
    layers = [list(encoder.parameters())]
    if train.layer_decay is not None:
        if not isinstance(encoder, ViTEncoder):
            raise ConfigError(
                f"train.layer_decay={train.layer_decay}: encoder {network.cfg.encoder} is no vision "
                "transformer (tu-vit_…); leave train.layer_decay out"
            )
        layers = encoder.by_depth()
    decay = train.layer_decay or 1.0
    groups = [
        {"params": parameters, "factor": decay ** (len(layers) - 1 - depth)}
        for depth, parameters in enumerate(layers)
    ]
    return [*groups, {"params": list(network.head.parameters()), "factor": train.head_lr_mult}]


def build_optimiser(groups: list[dict[str, Any]], train: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimiser that ``train.optimiser`` names.

    Args:
        groups: as `parameter_groups` returns them.
        train: optimiser, rate, momentum and weight decay.
    """
    rated = [{**group, "lr": train.lr * group["factor"]} for group in groups]
    if train.optimiser == "adamw":
        return torch.optim.AdamW(rated, weight_decay=train.weight_decay)
    return torch.optim.SGD(rated, momentum=train.momentum, weight_decay=train.weight_decay)


def load_moments(optimiser: torch.optim.Optimizer, earlier: dict[str, Any]) -> None:
    """Continue with the moments of an earlier optimiser of the same networks.

    Rates, decays and momenta stay the optimiser's own. An optimiser of another kind, or of other groups of
    parameters, leaves the moments at zero.

    Args:
        optimiser: a new optimiser; changed in place.
        earlier: state dict of the earlier one.
    """
    own = optimiser.state_dict()["param_groups"]
    if [_shape(group) for group in own] == [_shape(group) for group in earlier["param_groups"]]:
        optimiser.load_state_dict({"state": earlier["state"], "param_groups": own})


def _shape(group: dict[str, Any]) -> tuple[int, frozenset[str]]:
    return len(group["params"]), frozenset(group)
