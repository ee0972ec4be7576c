"""The description that a round keeps of its model."""

from __future__ import annotations

from typing import Any

from tsfal_geo.config import ModelConfig
from tsfal_geo.models.io import ModelCard
from tsfal_geo.rounds.context import RoundContext


def model_card(context: RoundContext, model: ModelConfig, number: int, metrics: dict[str, Any]) -> ModelCard:
    """Describe a round's model.

    Args:
        context: the workspace.
        model: configuration of the round's network.
        number: of the round.
        metrics: of its validation.
    """
    inputs, config = context.inputs, context.config
    return ModelCard(
        model=model.model_copy(update={"start": None}),
        in_channels=inputs.reader.channels,
        classes=inputs.classes.to_specs(),
        normalisation=inputs.normalisation.to_dict(),
        bands=config.data.bands,
        dsm=inputs.reader.channels > inputs.reader.bands,
        chip_size=config.data.chip_size,
        seed=config.train.seed,
        round=number,
        metrics=metrics,
    )
