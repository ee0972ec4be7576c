"""The networks' optimiser, and each parameter's share of the learning rate."""

from __future__ import annotations

from typing import Any

import torch

from tsfal_geo.config import TrainConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.models.vit import ViTEncoder


def parameter_groups(network: Segmenter, train: TrainConfig) -> list[dict[str, Any]]:
    """A network's parameters in groups of one rate, each with ``factor`` on the base rate.

    Encoders learn at the base rate and heads at ``head_lr_mult`` times that. With ``layer_decay`` d the
    block that is i before a vision transformer's last learns at dⁱ times the base rate, and the embeddings
    before the first block at one factor less (Clark et al. 2020; Bao et al. 2022).

    Raises:
        ConfigError: ``layer_decay`` for an encoder that is no vision transformer.
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
    """What ``train.optimiser`` names, over groups as `parameter_groups` gives them."""
    rated = [{**group, "lr": train.lr * group["factor"]} for group in groups]
    if train.optimiser == "adamw":
        return torch.optim.AdamW(rated, weight_decay=train.weight_decay)
    return torch.optim.SGD(rated, momentum=train.momentum, weight_decay=train.weight_decay)


def load_moments(optimiser: torch.optim.Optimizer, earlier: dict[str, Any]) -> None:
    """Go on with the moments that an optimiser of the same networks had.

    Rates, decays and momenta stay the optimiser's own. Nothing is taken over from another kind of optimiser
    or other groups of parameters.

    Args:
        optimiser: a fresh one.
        earlier: the state dict of the other.
    """
    own = optimiser.state_dict()["param_groups"]
    if [_shape(group) for group in own] == [_shape(group) for group in earlier["param_groups"]]:
        optimiser.load_state_dict({"state": earlier["state"], "param_groups": own})


def _shape(group: dict[str, Any]) -> tuple[int, frozenset[str]]:
    return len(group["params"]), frozenset(group)
