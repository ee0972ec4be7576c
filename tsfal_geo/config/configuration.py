"""The whole configuration: its sections, and the preset that fills in what is not given."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from tsfal_geo.config.presets import PRESETS, RATES
from tsfal_geo.config.sections import (
    ActiveConfig,
    AugmentConfig,
    ClassSpec,
    DataConfig,
    EmdConfig,
    ExportConfig,
    Frozen,
    ModelConfig,
    PlarConfig,
    TrainConfig,
    TsfConfig,
)


class Config(Frozen):
    """Everything a run depends on."""

    preset: Literal["paper", "strong"] = "strong"
    classes: tuple[ClassSpec, ...] | None = Field(
        None, description="the class map; None: taken from the label files, else Vaihingen's"
    )
    ignore_colours: tuple[tuple[int, int, int], ...] = Field(
        (), description="colours of RGB label files that mean no class; of use with `classes`"
    )
    ignore_ids: tuple[Annotated[int, Field(ge=0, le=255)], ...] = Field(
        (), description="ids in label files that mean no class, besides 255"
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
            given = values.get(section) or {}
            if isinstance(given, dict):
                filled = {k: v for k, v in defaults.items() if given.get(k) is None}
                values[section] = {**given, **filled}
        train = values["train"]
        if isinstance(train, dict):
            values["train"] = {**RATES.get(str(train["optimiser"]), {}), **train}
        return values

    def to_yaml(self) -> str:
        """The resolved configuration as YAML text."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
