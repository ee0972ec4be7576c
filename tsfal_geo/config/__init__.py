"""The configuration as typed, validated, immutable models: YAML in, resolved YAML out.

Every key has one meaning and one default. Where the paper's literal reading and the values recommended for
results differ, the default is None, and ``preset`` fills the value in.
"""

from tsfal_geo.config.configuration import Config
from tsfal_geo.config.label_values import NO_CLASS, LabelValue, parse_label_values, parse_map_options
from tsfal_geo.config.methods import ActiveConfig, EmdConfig, PlarConfig, QueryStrategy, TsfConfig
from tsfal_geo.config.reading import load_config, parse_set
from tsfal_geo.config.sections import (
    AugmentConfig,
    ClassSpec,
    DataConfig,
    ExportConfig,
    Method,
    ModelConfig,
    TrainConfig,
)

__all__ = [
    "NO_CLASS",
    "ActiveConfig",
    "AugmentConfig",
    "ClassSpec",
    "Config",
    "DataConfig",
    "EmdConfig",
    "ExportConfig",
    "LabelValue",
    "Method",
    "ModelConfig",
    "PlarConfig",
    "QueryStrategy",
    "TrainConfig",
    "TsfConfig",
    "load_config",
    "parse_label_values",
    "parse_map_options",
    "parse_set",
]
