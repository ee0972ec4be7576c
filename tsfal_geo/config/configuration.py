"""The configuration: its sections, and the preset that fills in the values that are not given."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, field_validator, model_validator

from tsfal_geo.config.label_values import parse_label_values
from tsfal_geo.config.methods import ActiveConfig, EmdConfig, PlarConfig, TsfConfig
from tsfal_geo.config.presets import PRESETS, RATES
from tsfal_geo.config.sections import (
    INSTANT_WINDOW,
    AugmentConfig,
    ClassSpec,
    DataConfig,
    ExportConfig,
    Frozen,
    ModelConfig,
    TrainConfig,
)
from tsfal_geo.errors import ConfigError

_OF_INSTANT = (
    ("model", "architecture", "instant"),
    # Its head was fitted to features with these statistics.
    ("model", "freeze_encoder_bn", True),
    # The head learns features of blocks of this side; in narrower windows they are others.
    ("export", "window", INSTANT_WINDOW),
    # At the scales 1 and 2 a chip of 512 pixels would take five times the memory of other networks.
    ("data", "chip_size", 256),
    # Trainings that start from it must not undo what its encoder knows.
    ("train", "lr", 1e-4),
    ("train", "head_lr_mult", 1.0),
)
"""Values that the architecture of the instant model sets where they are not given: section, key and value."""


class Config(Frozen):
    """Everything that a run depends on.

    Sections are given as instances or as mappings. Keys that are not given, or None, take the preset's value
    where the preset has one.

    Example:
        >>> config = Config(train=TrainConfig(steps=10), plar={"purity": 0.9})
        >>> config.train.steps, config.train.optimiser, config.plar.min_margin
        (10, 'adamw', 0.5)
        >>> Config(preset="paper", train={"steps": 10}).train.optimiser
        'sgd'
    """

    preset: Literal["literal", "paper", "strong"] = Field(
        "strong",
        description="literal: the paper's equations as printed; paper: their workable reading, with what AEL "
        "adds; strong: recommended for results",
    )
    classes: tuple[ClassSpec, ...] | None = Field(
        None, description="the class map; null: the classes of the label files, else Vaihingen's"
    )
    ignore_colours: tuple[tuple[int, int, int], ...] = Field(
        (), description="colours in RGB label files that mean no class; takes effect with `classes`"
    )
    ignore_ids: tuple[Annotated[int, Field(ge=0, le=255)], ...] = Field(
        (), description="ids in label files that mean no class, besides 255"
    )
    label_values: dict[str, str] = Field(
        {},
        description="classes that values of the folder's label files mean, such as {255: building, 0: "
        "background}; ranges 1-9, colours '255,0,0'; `ignore`: no class",
    )
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    tsf: TsfConfig = TsfConfig()
    emd: EmdConfig = EmdConfig()
    plar: PlarConfig = PlarConfig()
    active: ActiveConfig = ActiveConfig()
    export: ExportConfig = ExportConfig()

    @field_validator("label_values", mode="before")
    @classmethod
    def _texts(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        texts = {str(key): str(meaning) for key, meaning in values.items()}
        try:
            parse_label_values(texts)
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("label_values: ")) from None
        return texts

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = PRESETS.get(values.get("preset", "strong"))
        if preset is None:
            return values
        values = dict(values)
        for section, defaults in preset.items():
            given = _given(values.get(section))
            if isinstance(given, dict):
                filled = {k: v for k, v in defaults.items() if given.get(k) is None}
                values[section] = {**given, **filled}
        train, model = values["train"], _given(values.get("model"))
        if isinstance(train, dict) and isinstance(model, dict):
            if "instant" in (train.get("method"), model.get("architecture")):
                for section, key, value in _OF_INSTANT:
                    given = _given(values.get(section))
                    if isinstance(given, dict) and given.get(key) is None:
                        values[section] = {**given, key: value}
            values["train"] = {**RATES.get(str(train["optimiser"]), {}), **values["train"]}
        return values

    def to_yaml(self) -> str:
        """Write the configuration as YAML text, with every key resolved.

        Returns:
            Text that `load_config` reads back to an equal configuration.
        """
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _given(section: Any) -> Any:
    """The keys of a section that its author wrote, whether it is an instance or a mapping."""
    return section.model_dump(exclude_unset=True) if isinstance(section, BaseModel) else section or {}
