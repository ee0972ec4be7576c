"""The whole configuration as typed, validated, frozen models: YAML in, resolved YAML out.

Every key has one meaning and one default; ``preset`` chooses between the paper's literal reading and the
values recommended for results wherever the two differ (``None`` defaults are filled in from the preset).
"""

from tsfal_geo.config.configuration import Config
from tsfal_geo.config.reading import load_config, parse_set
from tsfal_geo.config.sections import (
    ActiveConfig,
    AugmentConfig,
    ClassSpec,
    DataConfig,
    EmdConfig,
    ExportConfig,
    Method,
    ModelConfig,
    PlarConfig,
    QueryStrategy,
    TrainConfig,
    TsfConfig,
)

__all__ = [
    "ActiveConfig",
    "AugmentConfig",
    "ClassSpec",
    "Config",
    "DataConfig",
    "EmdConfig",
    "ExportConfig",
    "Method",
    "ModelConfig",
    "PlarConfig",
    "QueryStrategy",
    "TrainConfig",
    "TsfConfig",
    "load_config",
    "parse_set",
]
