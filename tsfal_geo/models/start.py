"""Networks that start from another model, in its structure and with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.archive import model_folder
from tsfal_geo.models.io import load_card, load_model
from tsfal_geo.models.segmenter import Segmenter, build_segmenter

_NOT_STRUCTURE = ("weights", "allow_random_init", "start", "freeze_encoder_bn")
_OF_CLASSES = ("head.classifier.", "head.aux.")  # their last tensors have a row for each class


def structure_of(path: Path) -> dict[str, Any]:
    """Read the settings that a network must share with a model to start from it.

    Args:
        path: a model, as `models.archive.model_folder` takes it.

    Returns:
        Values by key of the configuration, such as ``model.encoder``.

    Raises:
        WeightsError: there is no model.
    """
    with model_folder(path) as folder:
        values = load_card(folder).model.model_dump()
    return {f"model.{key}": value for key, value in values.items() if key not in _NOT_STRUCTURE}


def build_network(
    cfg: ModelConfig, in_channels: int, class_names: Sequence[str], seed: int, *, with_head: bool = True
) -> Segmenter:
    """Build a network, with the weights of ``cfg.start`` if there are any.

    The rows of the classifier are matched by the classes' names; classes that the model lacks begin with
    random weights.

    Args:
        cfg: encoder, weights and head.
        in_channels: channels of the input, heights included.
        class_names: C names in index order.
        seed: of the random weights.
        with_head: whether the head starts from the model, too; else it is drawn from the seed, so that the
            networks of a training differ.

    Returns:
        The network, in train mode on the CPU.

    Raises:
        ConfigError: the encoder does not exist, lacks the stages, or has no head of this architecture.
        WeightsError: weights cannot be loaded or do not fit.
    """
    if cfg.start is None:
        return build_segmenter(cfg, in_channels, len(class_names), seed)
    path = Path(cfg.start)
    segmenter = build_segmenter(cfg.model_copy(update={"weights": None}), in_channels, len(class_names), seed)
    with model_folder(path) as folder:
        model, card = load_model(folder)
    if card.in_channels != in_channels:
        raise WeightsError(
            f"{path}: takes {card.in_channels} channels, the scenes give {in_channels}; expected as many: "
            "choose them with --bands, and heights with --dsm use or --dsm ignore"
        )
    own, given = segmenter.state_dict(), model.state_dict()
    odd = sorted(own.keys() ^ given.keys())
    if odd:
        raise WeightsError(
            f"{path}: its network is another one than the configuration's ('{odd[0]}' is in one of them); "
            "start with `tsfal-geo train --from`, which takes the settings of the model"
        )
    for key, value in given.items():
        if key.startswith("head.") and not with_head:
            continue
        if key.startswith(_OF_CLASSES) and value.shape[:1] == (len(card.classes),):
            value = _by_name(own[key], value, class_names, [info.name for info in card.classes])
        if value.shape != own[key].shape:
            shapes = f"shape {tuple(value.shape)}, expected {tuple(own[key].shape)}"
            raise WeightsError(f"{path}: '{key}' has {shapes}; start with `tsfal-geo train --from`")
        own[key] = value
    segmenter.load_state_dict(own)
    return segmenter


def _by_name(
    own: torch.Tensor, given: torch.Tensor, names: Sequence[str], given_names: Sequence[str]
) -> torch.Tensor:
    """Take the rows of the classes that both networks have."""
    found = own.clone()
    for index, name in enumerate(names):
        if name in given_names:
            found[index] = given[given_names.index(name)]
    return found
